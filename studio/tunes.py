"""What may be asked of a training: whose photos, of what, on which base, with whose consent. Standard library only."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Literal, Self, cast

from studio.errors import Refused
from studio.rules import MOST_PROMPT, MOST_SEED, flag, known_fields, name, shown, text, whole

LEAST_PHOTOS, MOST_PHOTOS = 4, 30
MOST_STYLES = 8
MOST_LOSSES = 200
LOSSES, SAMPLE = "losses.json", "sample.png"
"""What a training under way leaves in its task's folder: the losses so far, thinned, and its newest picture."""
TOKEN = "sks"  # stands before the class for this one; rare enough to mean nothing yet
CLASSES = ("person", "man", "woman", "boy", "girl", "couple", "dog", "cat", "object")
POLICIES = ("keep-avatars", "delete-all")
CONSENT = "2026-11"
"""Which wording of the statement of consent this studio asks for; the wordings themselves are in the page's words."""

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels of a photo."""


@dataclass(frozen=True, kw_only=True)
class TuneRequest:
    """A tune to be trained: `photos` are ids of uploads, `crops` the part of each that is used (None: all of it).

    `caption` says what all photos share and what is not the person ("flat cartoon style"). `None` means: `steps`,
    `rank`, `text_encoder` as the base's family has it; `seed` drawn by `resolve`. `consent` names the statement that
    was agreed to.
    """

    kind: ClassVar[Literal["tune"]] = "tune"
    style: ClassVar[None] = None  # styles are of the avatars that follow

    name: str
    class_name: str
    photos: tuple[str, ...]
    consent: str
    crops: tuple[Box | None, ...] = ()
    caption: str = ""
    base: str = "starter"
    steps: int | None = None
    rank: int | None = None
    text_encoder: bool | None = None
    prior: bool = True
    mirrored: bool = True
    seed: int | None = None
    styles: tuple[str, ...] = ()
    policy: str = "keep-avatars"

    def __post_init__(self) -> None:
        # Values are put back as checked, so that equal requests have equal JSON.
        def put(field: str, value: object) -> None:
            object.__setattr__(self, field, value)

        put("name", text("name", self.name, most=80).strip())
        _one_of("class_name", self.class_name, CLASSES)
        put("photos", _photos(self.photos))
        put("crops", _crops(self.crops, len(self.photos)))
        _one_of("consent", self.consent, (CONSENT,))
        put("caption", text("caption", self.caption, most=MOST_PROMPT, empty=True).strip())
        name("base", self.base)
        for field, least, most in (("steps", 10, 10_000), ("rank", 1, 128), ("seed", 0, MOST_SEED)):
            if getattr(self, field) is not None:
                whole(field, getattr(self, field), least, most)
        if self.text_encoder is not None:
            flag("text_encoder", self.text_encoder)
        flag("prior", self.prior)
        flag("mirrored", self.mirrored)
        put("styles", _styles(self.styles))
        _one_of("policy", self.policy, POLICIES)

    @property
    def pictures(self) -> int:
        """How many results it has: the tune itself."""
        return 1

    def inputs(self) -> dict[str, str]:
        """The uploads it needs, by field: `photo_field(index)` of each photo."""
        return {photo_field(index): upload for index, upload in enumerate(self.photos)}

    def resolve(self, draw: Callable[[], int]) -> Self:
        """The same request with its seed settled."""
        return self if self.seed is not None else replace(self, seed=draw())

    def to_json(self) -> dict[str, object]:
        body: dict[str, object] = {field.name: getattr(self, field.name) for field in fields(self)}
        crops = [None if box is None else list(box) for box in self.crops]
        return body | {"photos": list(self.photos), "crops": crops, "styles": list(self.styles)}

    @classmethod
    def from_json(cls, body: object) -> Self:
        """The request of a JSON object; what is left out has its default. Raises `Refused`."""
        given: dict[str, Any] = known_fields(cls.kind, [field.name for field in fields(cls)], body)
        for field, allowed in NEEDED.items():
            if field not in given:
                raise Refused(f"{field} is missing.", field=field, allowed=allowed)
        return cls(**given)


_PHOTOS_RULE = f"{LEAST_PHOTOS} to {MOST_PHOTOS} ids of uploads, each once"
_CROPS_RULE = "for every photo null or [left, top, right, bottom] in pixels"
_STYLES_RULE = f"at most {MOST_STYLES} ids of styles, each once"
NEEDED: Mapping[str, str] = {
    "name": "1 to 80 characters",
    "class_name": ", ".join(CLASSES),
    "photos": _PHOTOS_RULE,
    "consent": CONSENT,
}


def subject_of(class_name: str) -> str:
    """How a prompt names the sitter: the token and the class."""
    return f"{TOKEN} {class_name}"


def photo_field(index: int) -> str:
    """Under which field a task has the file of that photo."""
    return f"photo {index + 1}"


def thinned(losses: Sequence[float]) -> list[float]:
    """What is kept and plotted of the loss of every step: at most 200 means of equal parts, oldest first."""
    parts = min(len(losses), MOST_LOSSES)
    cuts = [round(part * len(losses) / parts) for part in range(parts + 1)] if parts else []
    return [round(sum(losses[start:end]) / (end - start), 5) for start, end in zip(cuts, cuts[1:], strict=False)]


def _one_of(field: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        words = ", ".join(allowed)
        raise Refused(f"{field} must be one of {words}, not {shown(value)}.", field=field, allowed=words)


def _list(value: object) -> tuple[object, ...] | None:
    return cast(tuple[object, ...], tuple(value)) if type(value) in (list, tuple) else None  # type: ignore[arg-type]


def _photos(value: object) -> tuple[str, ...]:
    ids = _list(value)
    if ids is None or not LEAST_PHOTOS <= len(ids) <= MOST_PHOTOS:
        many = shown(value) if ids is None else f"{len(ids)}"
        raise Refused(f"photos must be {_PHOTOS_RULE}, not {many}.", field="photos", allowed=_PHOTOS_RULE)
    found = tuple(name("photos", one) for one in ids)
    if len(set(found)) < len(found):
        raise Refused("photos has one photo twice.", field="photos", allowed=_PHOTOS_RULE)
    return found


def _crops(value: object, photos: int) -> tuple[Box | None, ...]:
    boxes = _list(value)
    if boxes is None or len(boxes) not in (0, photos):
        raise Refused(f"crops must be {_CROPS_RULE}, not {shown(value)}.", field="crops", allowed=_CROPS_RULE)
    return tuple(None if box is None else _box(box) for box in boxes)


def _box(value: object) -> Box:
    sides = _list(value)
    if sides is None or len(sides) != 4 or any(type(side) is not int or not 0 <= side < 100_000 for side in sides):
        raise Refused(f"crops must be {_CROPS_RULE}, not {shown(value)}.", field="crops", allowed=_CROPS_RULE)
    left, top, right, bottom = cast(Box, sides)
    if left >= right or top >= bottom:
        raise Refused(f"crops has a box without an area: {shown(value)}.", field="crops", allowed=_CROPS_RULE)
    return left, top, right, bottom


def _styles(value: object) -> tuple[str, ...]:
    ids = _list(value)
    if ids is None or len(ids) > MOST_STYLES or len(set(ids)) < len(ids):
        raise Refused(f"styles must be {_STYLES_RULE}, not {shown(value)}.", field="styles", allowed=_STYLES_RULE)
    return tuple(name("styles", one) for one in ids)
