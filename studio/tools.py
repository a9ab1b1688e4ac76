"""What may be asked of the tools that work on pictures: upscale, face enhance, background. Standard library only."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, Self, cast

from studio.errors import Refused
from studio.rules import flag, known_fields, name, number, shown

MOST_UPLOADS = 200  # pictures in one job
AUTO = "auto"

UPSCALE_MODELS = (
    AUTO,  # one of the first two, picture by picture
    "realesrgan-x4plus",
    "realesrgan-x4plus-anime",
    "realesr-animevideov3",
    "realesr-general-x4v3",
)
SCALES = (2, 4)
FACE_MODELS = (AUTO, "gfpgan", "realesrgan")  # auto: gfpgan where its weights are, else realesrgan
BACKGROUND_MODELS = ("u2netp", "u2net", "isnet-general-use", "birefnet-portrait")

TRANSPARENT, BLUR, PICTURE = "transparent", "blur", "picture"
COLOURS: Mapping[str, str] = {
    "white": "#ffffff",
    "black": "#000000",
    "grey": "#808080",
    "gray": "#808080",
    "red": "#ff0000",
    "green": "#008000",
    "blue": "#0000ff",
    "yellow": "#ffff00",
}
ON_RULE = f"{TRANSPARENT}, {BLUR}, {PICTURE}, #rrggbb, #rgb, or one of {', '.join(COLOURS)}"


@dataclass(frozen=True, kw_only=True)
class _Uploads:
    """The pictures a tool works on, by the ids of their uploads: one result for each, with the same index."""

    kind: ClassVar[str]
    base: ClassVar[None] = None  # a tool draws with no base and in no style
    style: ClassVar[None] = None

    uploads: tuple[str, ...]

    def __post_init__(self) -> None:
        self._put("uploads", _ids(self.uploads))

    def _put(self, field: str, value: object) -> None:
        # Values are put back as checked: "#FFF" becomes "#ffffff", so that equal requests have equal JSON.
        object.__setattr__(self, field, value)

    def _one_of(self, field: str, allowed: tuple[object, ...]) -> None:
        value = getattr(self, field)
        if not any(value == one and type(value) is type(one) for one in allowed):
            words = ", ".join(str(one) for one in allowed)
            raise Refused(f"{field} must be one of {words}, not {shown(value)}.", field=field, allowed=words)

    @property
    def pictures(self) -> int:
        """How many pictures it makes: what a job's indexes run to."""
        return len(self.uploads)

    def inputs(self) -> dict[str, str]:
        """The uploads it needs, by field: `upload_field(index)` of each picture."""
        return {upload_field(index): upload for index, upload in enumerate(self.uploads)}

    def resolve(self, draw: Callable[[], int]) -> Self:
        """The request itself: nothing in a tool hangs on a seed."""
        return self

    def to_json(self) -> dict[str, object]:
        body: dict[str, object] = {field.name: getattr(self, field.name) for field in fields(self)}
        return body | {"uploads": list(self.uploads)}

    @classmethod
    def from_json(cls, body: object) -> Self:
        """The request of a JSON object; what is left out has its default. Raises `Refused`."""
        given: dict[str, Any] = known_fields(cls.kind, [field.name for field in fields(cls)], body)
        if "uploads" not in given:
            raise Refused("uploads is missing.", field="uploads", allowed=_UPLOADS_RULE)
        return cls(**given)


@dataclass(frozen=True, kw_only=True)
class UpscaleRequest(_Uploads):
    """Pictures made larger, `scale` times each way. `model` is an id of the catalogue; `auto` looks at each picture
    and takes the one for photos or the one for drawings."""

    kind: ClassVar[Literal["upscale"]] = "upscale"

    scale: int = 4
    model: str = AUTO

    def __post_init__(self) -> None:
        super().__post_init__()
        self._one_of("scale", SCALES)
        self._one_of("model", UPSCALE_MODELS)


@dataclass(frozen=True, kw_only=True)
class FaceRequest(_Uploads):
    """The faces on pictures made clearer, at the size they have. `strength` is how much of the made face goes over
    the one that was there; it is lowered where the person would not stay the person."""

    kind: ClassVar[Literal["face"]] = "face"

    strength: float = 0.8
    model: str = AUTO

    def __post_init__(self) -> None:
        super().__post_init__()
        self._put("strength", number("strength", self.strength, 0.05, 1))
        self._one_of("model", FACE_MODELS)


@dataclass(frozen=True, kw_only=True)
class BackgroundRequest(_Uploads):
    """Pictures cut out of their backgrounds, and put on nothing (`transparent`), a colour, a blurred copy of
    themselves (`blur`), or another picture (`picture`: the upload `behind`). `matting` makes hair and fur finer."""

    kind: ClassVar[Literal["background"]] = "background"

    model: str = "u2netp"
    matting: bool = False
    on: str = TRANSPARENT
    behind: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._one_of("model", BACKGROUND_MODELS)
        flag("matting", self.matting)
        self._put("on", _ground(self.on))
        if self.behind is not None:
            name("behind", self.behind)
        if (self.behind is not None) != (self.on == PICTURE):
            raise Refused(
                f"behind is the picture to put others on: it goes with on = {PICTURE}, and only with that.",
                field="behind",
                allowed=f"an upload's id where on is {PICTURE}",
            )

    def inputs(self) -> dict[str, str]:
        return super().inputs() | ({"behind": self.behind} if self.behind is not None else {})


ToolRequest = UpscaleRequest | FaceRequest | BackgroundRequest


def upload_field(index: int) -> str:
    """Under which field a task has the file of that picture."""
    return f"picture {index + 1}"


def about(index: int, message: str) -> str:
    """A sentence about one picture of several, as a job's warnings have it."""
    return f"Picture {index + 1}: {message}"


def told(warnings: tuple[str, ...]) -> dict[int, str]:
    """What a job's warnings say of single pictures, by index: why they are not among its pictures."""
    found = (re.fullmatch(r"Picture (\d+): (.*)", warning, re.DOTALL) for warning in warnings)
    return {int(match[1]) - 1: match[2] for match in found if match}


_UPLOADS_RULE = f"a list of 1 to {MOST_UPLOADS} ids of uploads"


def _ids(value: object) -> tuple[str, ...]:
    ids = cast(tuple[object, ...], value) if type(value) in (list, tuple) else ()
    if not 1 <= len(ids) <= MOST_UPLOADS:
        raise Refused(f"uploads must be {_UPLOADS_RULE}, not {shown(value)}.", field="uploads", allowed=_UPLOADS_RULE)
    return tuple(name("uploads", one) for one in ids)


def _ground(value: object) -> str:
    """`on` as it is kept: a word, or a colour as #rrggbb."""
    if isinstance(value, str):
        word = value.strip().lower()
        if word in (TRANSPARENT, BLUR, PICTURE):
            return word
        if word in COLOURS:
            return COLOURS[word]
        if re.fullmatch(r"#[0-9a-f]{6}", word, re.ASCII):
            return word
        if re.fullmatch(r"#[0-9a-f]{3}", word, re.ASCII):
            return "#" + "".join(digit * 2 for digit in word[1:])
    raise Refused(f"on must be {ON_RULE}, not {shown(value)}.", field="on", allowed=ON_RULE)
