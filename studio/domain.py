"""What the studio speaks of: requests, jobs, pictures, and the seam to the pipelines. Standard library only."""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

# The errors are part of what the studio speaks of, and are imported from here.
from studio.errors import BrokenPicture as BrokenPicture
from studio.errors import BrokenWeights as BrokenWeights
from studio.errors import Cancelled as Cancelled
from studio.errors import Conflict as Conflict
from studio.errors import NotEnoughCredits as NotEnoughCredits
from studio.errors import NotFound as NotFound
from studio.errors import OutOfMemory as OutOfMemory
from studio.errors import Refused as Refused
from studio.errors import StorageFailed as StorageFailed
from studio.errors import StudioError as StudioError
from studio.errors import WeightsMissing as WeightsMissing
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

# So are the requests of the tools.
from studio.tools import BackgroundRequest as BackgroundRequest
from studio.tools import FaceRequest as FaceRequest
from studio.tools import UpscaleRequest as UpscaleRequest

# --- time -------------------------------------------------------------------------------------------------------------

Clock = Callable[[], int]
"""UTC in whole seconds since 1970. One is made at the top and handed down, so that tests own the time."""


def utc_now() -> int:
    return int(time.time())


# --- sizes ------------------------------------------------------------------------------------------------------------


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


# --- requests ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ImageRequest:
    """Pictures from a prompt. Checks itself when made, so that one that exists can be priced and run.

    `None` means: `guidance`, `scheduler`, `strength` as the base's family has it; `seed` drawn by `resolve`.
    `init` and `mask` are ids of uploads (image to image, inpainting), `tune` the id of a trained likeness.
    `super_resolution` doubles the sides of each finished picture.
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


Request = ImageRequest | UpscaleRequest | FaceRequest | BackgroundRequest
"""Any request. Further kinds join with the same `kind`, `base`, `style`, `pictures`, `inputs`, `resolve`, `to_json` and
`from_json`."""

REQUESTS: Mapping[str, type[Request]] = {
    request.kind: request for request in (ImageRequest, UpscaleRequest, FaceRequest, BackgroundRequest)
}


def request_from_json(kind: str, body: object) -> Request:
    """The request of that kind. Raises `Refused`."""
    if kind not in REQUESTS:
        raise Refused(f"There is no kind of job {shown(kind)}.", field="kind", allowed=", ".join(REQUESTS))
    return REQUESTS[kind].from_json(body)


# --- the seam to the pipelines ----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Task:
    """A job as a runner sees it: what to make, where to put it, and what is there already.

    `folder` is the job's own scratch folder, on the file system of the pictures and kept between attempts;
    `done` the indexes that are stored and must not be made again; `inputs` the files of the uploads, by field.
    """

    job_id: str
    request: Request
    folder: Path
    done: frozenset[int] = frozenset()
    inputs: Mapping[str, Path] = field(default_factory=dict[str, Path])


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a runner is, over all of the job's work. `preview` is a small picture directly in the task's folder;
    not every report is kept, so it is best written anew under the same name.

    `warning` is a sentence kept with the job (a prompt that was cut); the rest is overwritten by the next report.
    """

    step: int
    steps: int
    message: str = ""
    preview: Path | None = None
    warning: str | None = None


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One finished picture: a PNG in the task's folder that already carries its recipe and the AI mark."""

    index: int
    file: Path
    width: int
    height: int
    seed: int | None
    recipe: Mapping[str, object]


Report = Callable[[Progress], None]
IsCancelled = Callable[[], bool]
Runner = Callable[[Task, Report, IsCancelled], Iterator[Drawn]]
"""A generator that yields each picture as it is finished. A `StudioError` fails the job with its sentence."""


# --- jobs, pictures, money --------------------------------------------------------------------------------------------

JobState = Literal["queued", "running", "done", "failed", "cancelled"]
ENDED: frozenset[JobState] = frozenset({"done", "failed", "cancelled"})

CreditKind = Literal["playground", "tune", "tune_image"]
CREDIT_KINDS: tuple[CreditKind, ...] = ("playground", "tune", "tune_image")

OWNER = "owner"
"""The account of whose machine it is."""


@dataclass(frozen=True, kw_only=True)
class Charge:
    """`each` credits of one kind for every picture delivered, `count` of them at most."""

    kind: CreditKind
    each: int
    count: int

    @property
    def amount(self) -> int:
        return self.each * self.count


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job as it stands: the one row that the page, the API and a waiting command all read.

    `preview` is a file's name in the job's scratch folder; `seconds` how long it has been worked on, as of its end.
    """

    id: str
    account: str
    state: JobState
    request: Request
    charges: tuple[Charge, ...]
    attempt: int
    created_at: int
    started_at: int | None
    ended_at: int | None
    seconds: float
    step: int
    steps: int
    message: str
    seconds_left: int | None
    preview: str | None
    warnings: tuple[str, ...]
    delivered: int
    cancel_requested: bool
    error: str | None
    error_field: str | None
    error_allowed: str | None

    @property
    def ended(self) -> bool:
        return self.state in ENDED


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A stored picture. `file` is its name in the pictures folder; width and height are in pixels."""

    id: str
    job: str
    index: int
    account: str
    file: str
    width: int
    height: int
    seed: int | None
    recipe: Mapping[str, object]
    kind: str
    base: str | None
    style: str | None
    created_at: int
    favourite: bool
    deleted_at: int | None
