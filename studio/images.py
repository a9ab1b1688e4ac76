"""What may be asked of the bases: pictures from a prompt, and their sizes. Standard library only."""

import re
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Literal, Self

from studio.errors import Refused
from studio.rules import (
    MOST_COUNT,
    MOST_PROMPT,
    MOST_SEED,
    MOST_STEPS,
    SIDE_LEAST,
    SIDE_MOST,
    SIDE_STEP,
    SIZE_RULE,
    flag,
    known_fields,
    name,
    number,
    shown,
    text,
    whole,
)


@dataclass(frozen=True, kw_only=True)
class Size:
    """A picture's size in pixels, as it may be asked for."""

    width: int
    height: int

    def __post_init__(self) -> None:
        for side in ("width", "height"):
            value = getattr(self, side)
            if type(value) is not int or not SIDE_LEAST <= value <= SIDE_MOST or value % SIDE_STEP:
                raise Refused(
                    f"{side} must be a multiple of {SIDE_STEP} from {SIDE_LEAST} to {SIDE_MOST}, not {shown(value)}.",
                    field=side,
                    allowed=SIZE_RULE,
                )

    @classmethod
    def parse(cls, words: str) -> Self:
        """`512x768` as a size. Raises `Refused`."""
        found = re.fullmatch(r"(\d{1,6})\s*[x×*]\s*(\d{1,6})", words.strip(), re.ASCII | re.IGNORECASE)
        if not found:
            raise Refused(
                f"size must look like 512x768, not {shown(words)}.", field="size", allowed=f"WIDTHxHEIGHT; {SIZE_RULE}"
            )
        return cls(width=int(found[1]), height=int(found[2]))

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


@dataclass(frozen=True, kw_only=True)
class ImageRequest:
    """Pictures from a prompt. Checks itself when made, so that one that exists can be priced and run.

    `None` means: `guidance`, `scheduler`, `strength` as the base's family has it; `seed` drawn by `resolve`.
    `init` and `mask` are ids of uploads (image to image, inpainting), `tune` the id of a trained likeness.
    `super_resolution` doubles the sides of each finished picture; `face_enhance`, for those of a tune, makes the faces
    on it clearer.
    """

    kind: ClassVar[Literal["image"]] = "image"

    prompt: str
    negative: str = ""
    style: str | None = None
    base: str = "starter"
    width: int = 512
    height: int = 512
    steps: int = 30
    guidance: float | None = None
    scheduler: str | None = None
    seed: int | None = None
    count: int = 1
    init: str | None = None
    mask: str | None = None
    strength: float | None = None
    super_resolution: bool = False
    tune: str | None = None
    tune_strength: float = 1.0
    face_enhance: bool = False

    def __post_init__(self) -> None:
        # The values are put back as checked: 7 becomes 7.0, so that equal requests have equal JSON.
        def put(field: str, value: object) -> None:
            object.__setattr__(self, field, value)

        put("prompt", text("prompt", self.prompt, most=MOST_PROMPT))
        put("negative", text("negative", self.negative, most=MOST_PROMPT, empty=True))
        name("base", self.base)
        for field_name in ("style", "scheduler", "init", "mask", "tune"):
            if getattr(self, field_name) is not None:
                name(field_name, getattr(self, field_name))
        Size(width=self.width, height=self.height)
        whole("steps", self.steps, 1, MOST_STEPS)
        whole("count", self.count, 1, MOST_COUNT)
        if self.seed is not None:
            whole("seed", self.seed, 0, MOST_SEED)
        if self.guidance is not None:
            put("guidance", number("guidance", self.guidance, 0, 30))
        if self.strength is not None:
            put("strength", number("strength", self.strength, 0.05, 1))
        put("tune_strength", number("tune_strength", self.tune_strength, 0, 2))
        flag("super_resolution", self.super_resolution)
        if flag("face_enhance", self.face_enhance) and self.tune is None:
            raise Refused(
                "face_enhance is for pictures of a tune; others can be handed to the tool face.",
                field="face_enhance",
                allowed="only together with tune",
            )
        for field_name in ("mask", "strength"):
            if getattr(self, field_name) is not None and self.init is None:
                raise Refused(
                    f"{field_name} needs a picture to start from: give init too.",
                    field=field_name,
                    allowed="only together with init",
                )

    @property
    def size(self) -> Size:
        return Size(width=self.width, height=self.height)

    @property
    def pictures(self) -> int:
        """How many pictures it makes: what a job's indexes run to."""
        return self.count

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seed of each picture, so that any one can be made again alone. Only of a resolved request."""
        if self.seed is None:
            raise ValueError("a request has no seeds before resolve()")
        return tuple((self.seed + index) % (MOST_SEED + 1) for index in range(self.count))

    def inputs(self) -> dict[str, str]:
        """The uploads it needs, by field."""
        return {field: value for field in ("init", "mask") if (value := getattr(self, field)) is not None}

    def resolve(self, draw: Callable[[], int]) -> Self:
        """The same request with its seed settled; `draw()` gives one from 0 to 2**32 - 1."""
        return self if self.seed is not None else replace(self, seed=draw())

    def to_json(self) -> dict[str, object]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_json(cls, body: object) -> Self:
        """The request of a JSON object; what is left out has its default. Raises `Refused`."""
        given: dict[str, Any] = known_fields(cls.kind, [field.name for field in fields(cls)], body)
        if "prompt" not in given:
            raise Refused("prompt is missing.", field="prompt", allowed=f"1 to {MOST_PROMPT} characters")
        return cls(**given)
