"""What the photo check says before a training: a verdict for each photo, and whether the set may be trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from studio.errors import Refused
from studio.rules import shown
from studio.tunes import CLASSES, LEAST_PHOTOS, MOST_PHOTOS, Box

ADVISED_LEAST, ADVISED_MOST = 10, 20
FACELESS = ("dog", "cat", "object")  # classes whose faces nobody looks for
COUPLE = "couple"

LEAST_SIDE = 256
"""Pixels of the shorter side of a photo: smaller ones hold less than the bases draw."""
LEAST_DRAWN_SIDE = 96  # of a drawn picture, which holds little detail anyway
LEAST_FACE = 96
"""Pixels of a face's width: with hair and shoulders it then fills about three times as many."""

Nature = Literal["auto", "real", "drawn"]
NATURES: tuple[str, ...] = get_args(Nature)
CropMode = Literal["face", "centre", "none"]
CROP_MODES: tuple[str, ...] = get_args(CropMode)
Verdict = Literal["good", "warned", "blocking"]

SENTENCES: Mapping[str, str] = {
    # of one photo; what stops the start
    "unreadable": "{why}",
    "no_face": "No face was found: it may be turned away, covered or very small.",
    "several_faces": "There are several faces: {n}.",
    "not_two_faces": "A couple's photo needs two faces; this one has {n}.",
    "other_person": "This is another person than on the other photos (distance {distance}).",
    "small": "The photo is too small: {width}x{height}; its shorter side needs {least} pixels.",
    # of one photo; what only warns
    "face_small": "The face is too small: {n} pixels wide; {least} are needed for a good likeness.",
    "blurred": "The photo is blurred.",
    "dark": "The photo is too dark.",
    "cut_off": "The face is cut off by the edge of the photo.",
    "duplicate": "This is the same picture as {name}.",
    # of the set
    "too_few": "Too few photos ({n}): a tune needs at least {least}.",
    "too_many": "Too many photos ({n}): a tune takes at most {most}.",
    "mixed": "The photos show several people, and none of them on most.",
    "few": "There are {n} photos; {least} to {most} make a better tune.",
    "many": "There are {n} photos; more than {most} make a tune slower and hardly better.",
    "took_real": "These were taken for real photos.",
    "took_drawn": "These were taken for drawn pictures: faces, blur and darkness were not looked at.",
    "said_drawn": "For drawn pictures faces, blur and darkness are not looked at.",
    "faceless": "For the class {class_name} no faces are looked for.",
}
"""What is said, by code. The page has each in its own language."""
BLOCKING = frozenset(
    {
        "unreadable",
        "no_face",
        "several_faces",
        "not_two_faces",
        "other_person",
        "small",
        "too_few",
        "too_many",
        "mixed",
    }
)


@dataclass(frozen=True, kw_only=True)
class Handed:
    """A photo handed in: its file, and how it is called."""

    file: Path
    name: str


@dataclass(frozen=True, kw_only=True)
class Reason:
    """One thing said of a photo or of the set: a code for programs, a sentence for people."""

    code: str
    sentence: str

    @classmethod
    def of(cls, code: str, **values: object) -> "Reason":
        return cls(code=code, sentence=SENTENCES[code].format(**values))

    @property
    def blocks(self) -> bool:
        return self.code in BLOCKING


@dataclass(frozen=True, kw_only=True)
class PhotoVerdict:
    """What was found on one photo, which is `width` x `height` pixels when it is upright.

    `face` is the box of the sitter's face (of a couple the box around both), None where none was looked for or found;
    `crop` the part that is proposed for the training, None for all of it. Both in pixels of the upright photo.
    """

    name: str
    width: int = 0
    height: int = 0
    face: Box | None = None
    crop: Box | None = None
    reasons: tuple[Reason, ...] = ()

    @property
    def verdict(self) -> Verdict:
        if any(reason.blocks for reason in self.reasons):
            return "blocking"
        return "warned" if self.reasons else "good"


@dataclass(frozen=True, kw_only=True)
class PhotoReport:
    """The check of a set: its photos in the order they were given, what is said of all of them, and how they were taken
    (`drawn` or real)."""

    photos: tuple[PhotoVerdict, ...]
    drawn: bool
    told: tuple[Reason, ...]

    @property
    def may_start(self) -> bool:
        """Whether nothing is in the way of a training on all these photos."""
        return not any(reason.blocks for reason in self.told) and all(one.verdict != "blocking" for one in self.photos)

    @property
    def leave_out(self) -> tuple[int, ...]:
        """Which photos to leave out for the best tune: all that are not good, while enough good ones are left; else
        those alone that stop the start."""
        good = sum(one.verdict == "good" for one in self.photos)
        kept: tuple[Verdict, ...] = ("good",) if good >= LEAST_PHOTOS else ("good", "warned")
        return tuple(index for index, one in enumerate(self.photos) if one.verdict not in kept)

    def to_train(self, *, leave_out_bad: bool) -> list[int]:
        """Which photos are trained on: all, or the good ones alone. Raises Refused where they are not good enough, with
        what is wrong with each."""
        out = set(self.leave_out) if leave_out_bad else set[int]()
        kept = [index for index in range(len(self.photos)) if index not in out]
        stops = [reason.sentence for reason in self.told if reason.blocks]
        for index in kept:
            photo = self.photos[index]
            if photo.verdict == "blocking":
                stops.append(f"{photo.name}: {' '.join(one.sentence for one in photo.reasons if one.blocks)}")
        if stops:
            raise Refused(
                f"These photos cannot be trained on. {' '.join(stops)}",
                field="photos",
                allowed="good photos, or leave out the bad ones",
            )
        return kept

    def to_json(self) -> dict[str, object]:
        """As `tune check --json` and the API answer it; `reasons` are codes, `said` their sentences."""
        return {
            "photos": [
                {
                    "file": one.name,
                    "verdict": one.verdict,
                    "reasons": [reason.code for reason in one.reasons],
                    "said": [reason.sentence for reason in one.reasons],
                    "width": one.width,
                    "height": one.height,
                    "face": None if one.face is None else list(one.face),
                    "crop": None if one.crop is None else list(one.crop),
                }
                for one in self.photos
            ],
            "may_start": self.may_start,
            "taken_as": "drawn" if self.drawn else "real",
            "told": [{"code": reason.code, "sentence": reason.sentence} for reason in self.told],
            "leave_out": [self.photos[index].name for index in self.leave_out],
        }


def check_choices(class_name: str, nature: str, crop: str) -> None:
    """Raises Refused where one of the choices is none, naming its field."""
    for field, value, allowed in (
        ("class", class_name, CLASSES),
        ("photos", nature, NATURES),
        ("crop", crop, CROP_MODES),
    ):
        if value not in allowed:
            words = ", ".join(allowed)
            raise Refused(f"{field} must be one of {words}, not {shown(value)}.", field=field, allowed=words)


def centre(width: int, height: int) -> Box:
    """The largest square about the middle of a photo."""
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side


def of_count(count: int) -> tuple[Reason, ...]:
    """What is to say of so many photos."""
    if count < LEAST_PHOTOS:
        return (Reason.of("too_few", n=count, least=LEAST_PHOTOS),)
    if count > MOST_PHOTOS:
        return (Reason.of("too_many", n=count, most=MOST_PHOTOS),)
    if count < ADVISED_LEAST:
        return (Reason.of("few", n=count, least=ADVISED_LEAST, most=ADVISED_MOST),)
    if count > ADVISED_MOST:
        return (Reason.of("many", n=count, most=ADVISED_MOST),)
    return ()


def with_reasons(photos: Sequence[PhotoVerdict], more: Mapping[int, Reason]) -> tuple[PhotoVerdict, ...]:
    """The photos, those of these indexes with one reason more."""
    return tuple(
        replace(one, reasons=(*one.reasons, more[index])) if index in more else one for index, one in enumerate(photos)
    )
