"""The photo check before a training: every photo is decoded once and looked at, then the photos are compared.

Costs nothing and makes no job. Needs dlib's weights (see `faces`) only where faces are looked for; imports no torch.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import cv2
import numpy as np

from studio.domain import Refused
from studio.photo_report import (
    COUPLE,
    FACELESS,
    LEAST_DRAWN_SIDE,
    LEAST_FACE,
    LEAST_SIDE,
    CropMode,
    Handed,
    Nature,
    PhotoReport,
    PhotoVerdict,
    Reason,
    check_choices,
    of_count,
    with_reasons,
)
from studio.pipelines import near_copies, photo_looks, photo_sets, tool_weights
from studio.pipelines.bases import Bases
from studio.pipelines.faces import Box, Faces
from studio.pipelines.near_copies import Print
from studio.pipelines.photo_looks import Array
from studio.pipelines.photo_or_drawing import looks_drawn
from studio.pipelines.picture_files import on_white, read

LOOKED_AT = 1600
"""Pixels of the longer side of the copy of a photo that everything is measured on: 30 of them take 200 MB."""
DRAWN_SHARE = 0.8  # of a set that looks drawn for `auto` to take it as drawn
CAMERA = (".jpg", ".jpeg", ".heic", ".heif")  # what cameras write; other kinds of the same picture are copies

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A photo as it is measured: the copy in sRGB, `scale` times as large as the photo, and what is kept of it."""

    name: str
    width: int
    height: int
    rgb: Array
    scale: float
    looks_drawn: bool
    print: Print


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What one photo gave: its verdict so far, and the embeddings of the faces of its sitters."""

    verdict: PhotoVerdict
    numbers: tuple[Array, ...] = ()
    sharpness: float = 0.0


@dataclass
class Shelf:
    """Keeps dlib's models, 30 MB, for as long as the process lives."""

    kept: dict[str, object] = field(default_factory=dict[str, object])

    def held(self, key: str, size: int, make: Callable[[], T]) -> T:
        if key not in self.kept:
            self.kept[key] = make()
        value: Any = self.kept[key]
        return value


class PhotoCheck:
    """Checks sets of photos, one set after another."""

    def __init__(self, bases: Bases) -> None:
        self._bases = bases
        self._faces = Faces(Shelf(), bases)
        self._one_at_a_time = Lock()  # dlib's networks are not made for two threads

    def __call__(
        self,
        photos: Sequence[Handed],
        *,
        class_name: str = "person",
        nature: Nature = "auto",
        crop: CropMode = "face",
        seen: Callable[[int, int], None] = lambda done, of: None,
    ) -> PhotoReport:
        """The verdicts on a set. `nature` says whether the photos are `real`, `drawn`, or of which this may tell
        (`auto`: drawn where four fifths look so, see `photo_or_drawing`); `seen` is told how many were looked at.

        A file that cannot be read has the verdict so. Raises Refused (a choice), WeightsMissing (faces would be looked
        for) and BrokenWeights.
        """
        check_choices(class_name, nature, crop)
        faces_matter = class_name not in FACELESS
        if faces_matter and nature == "real":
            tool_weights.check_ids(tool_weights.DLIB, self._bases)  # before any photo is decoded

        with self._one_at_a_time:
            # 1. Every photo is decoded once, and a copy of it kept that is large enough to measure on.
            opened: list[Seen | PhotoVerdict] = []
            for number, photo in enumerate(photos):
                opened.append(_open(photo))
                seen(number + 1, 2 * len(photos))
            there = {index: one for index, one in enumerate(opened) if isinstance(one, Seen)}

            # 2. Real photos or drawn pictures.
            drawn = nature == "drawn" or (nature == "auto" and _looks_drawn(list(there.values())))
            told = list(of_count(len(photos)))
            if nature == "auto" and there:
                told.append(Reason.of("took_drawn" if drawn else "took_real"))
            elif drawn:
                told.append(Reason.of("said_drawn"))
            if not faces_matter and not drawn:
                told.append(Reason.of("faceless", class_name=class_name))
            if faces_matter and not drawn and there:
                tool_weights.check_ids(tool_weights.DLIB, self._bases)

            # 3. Each by itself.
            looked: dict[int, Looked] = {}
            for number, (index, one) in enumerate(there.items()):
                if drawn or not faces_matter:
                    looked[index] = _without_faces(one, crop, drawn=drawn)
                else:
                    looked[index] = self._with_faces(one, crop, couple=class_name == COUPLE)
                seen(len(photos) + number + 1, 2 * len(photos))

        # 4. Each among the others.
        verdicts = tuple(looked[index].verdict if isinstance(one, Seen) else one for index, one in enumerate(opened))
        strangers, mixed = photo_sets.strangers({index: one.numbers for index, one in looked.items()})
        verdicts = with_reasons(verdicts, strangers)
        verdicts = with_reasons(verdicts, _duplicates(there, looked, verdicts))
        told += [Reason.of("mixed")] if mixed else []
        return PhotoReport(photos=verdicts, drawn=drawn, told=tuple(told))

    def _with_faces(self, photo: Seen, crop: CropMode, *, couple: bool) -> Looked:
        wanted = 2 if couple else 1
        boxes = photo_looks.faces_of(photo.rgb, self._faces, wanted=wanted)
        reasons = _of_size(photo, LEAST_SIDE)
        if not boxes and not couple:
            reasons.append(Reason.of("no_face"))
        elif couple and len(boxes) != 2:
            reasons.append(Reason.of("not_two_faces", n=len(boxes)))
        elif len(boxes) > wanted:
            reasons.append(Reason.of("several_faces", n=len(boxes)))
        sitters = boxes[:wanted]
        width = round(min((box.width for box in sitters), default=0) / photo.scale)
        verdict = PhotoVerdict(
            name=photo.name,
            width=photo.width,
            height=photo.height,
            face=_edges(sitters, photo),
            crop=photo_looks.crop_of(crop, _in_full(sitters, photo.scale), photo.width, photo.height),
        )
        if not sitters:
            return Looked(verdict=replace(verdict, reasons=tuple(reasons)))

        look = photo_looks.look_at(photo.rgb, sitters, self._faces)
        if width < LEAST_FACE:
            reasons.append(Reason.of("face_small", n=width, least=LEAST_FACE))
        if look.cut_off:
            reasons.append(Reason.of("cut_off"))
        if look.light < photo_looks.DARK_BELOW:
            reasons.append(Reason.of("dark"))
        elif look.sharpness < photo_looks.BLURRED_BELOW:  # what is dark has no contrast to be judged by
            reasons.append(Reason.of("blurred"))
        verdict = replace(verdict, reasons=tuple(reasons))
        return Looked(verdict=verdict, numbers=look.numbers, sharpness=look.sharpness)


def _open(photo: Handed) -> Seen | PhotoVerdict:
    """The photo, or what is to be said of a file that is none."""
    try:
        picture = read(photo.file, name=photo.name, field="photos")
    except Refused as error:
        return PhotoVerdict(name=photo.name, reasons=(Reason.of("unreadable", why=error.message),))
    scale = min(1.0, LOOKED_AT / max(picture.width, picture.height))
    size = (max(round(picture.width * scale), 1), max(round(picture.height * scale), 1))
    rgb = np.ascontiguousarray(on_white(picture))
    if scale < 1:
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    return Seen(
        name=photo.name,
        width=picture.width,
        height=picture.height,
        rgb=rgb,
        scale=scale,
        looks_drawn=looks_drawn(rgb),
        print=near_copies.print_of(rgb),
    )


def _looks_drawn(photos: Sequence[Seen]) -> bool:
    return bool(photos) and sum(one.looks_drawn for one in photos) >= DRAWN_SHARE * len(photos)


def _without_faces(photo: Seen, crop: CropMode, *, drawn: bool) -> Looked:
    reasons = _of_size(photo, LEAST_DRAWN_SIDE if drawn else LEAST_SIDE)
    sharp = photo_looks.sharpest_tile(photo.rgb)
    if not drawn:
        if photo_looks.light(photo.rgb) < photo_looks.DARK_BELOW:
            reasons.append(Reason.of("dark"))
        elif sharp < photo_looks.BLURRED_BELOW:
            reasons.append(Reason.of("blurred"))
    verdict = PhotoVerdict(
        name=photo.name,
        width=photo.width,
        height=photo.height,
        crop=photo_looks.crop_of(crop, [], photo.width, photo.height),
        reasons=tuple(reasons),
    )
    return Looked(verdict=verdict, sharpness=sharp)


def _of_size(photo: Seen, least: int) -> list[Reason]:
    if min(photo.width, photo.height) >= least:
        return []
    return [Reason.of("small", width=photo.width, height=photo.height, least=least)]


def _duplicates(
    there: Mapping[int, Seen], looked: Mapping[int, Looked], verdicts: Sequence[PhotoVerdict]
) -> dict[int, Reason]:
    """All but the best of each group of copies: least to be said against it, largest, from a camera, clearly sharper,
    first."""

    def worth(index: int) -> tuple[int, int, int, bool, int, int]:
        one = verdicts[index]
        standing = ("good", "warned", "blocking").index(one.verdict)
        from_camera = Path(one.name).suffix.lower() in CAMERA
        sharp = round(4 * math.log2(max(looked[index].sharpness, 1)))
        return -standing, -len(one.reasons), one.width * one.height, from_camera, sharp, -index

    found: dict[int, Reason] = {}
    indexes = list(there)
    for members in near_copies.copies([there[index].print for index in indexes]):
        group = [indexes[member] for member in members]
        best = max(group, key=worth)
        found |= {index: Reason.of("duplicate", name=there[best].name) for index in group if index != best}
    return found


def _in_full(boxes: Sequence[Box], scale: float) -> list[Box]:
    """The boxes in pixels of the photo itself."""
    return [
        Box(
            left=round(box.left / scale),
            top=round(box.top / scale),
            width=round(box.width / scale),
            height=round(box.height / scale),
        )
        for box in boxes
    ]


def _edges(boxes: Sequence[Box], photo: Seen) -> tuple[int, int, int, int] | None:
    """The box around all of them, as far as it lies on the photo."""
    full = _in_full(boxes, photo.scale)
    if not full:
        return None
    return (
        max(min(box.left for box in full), 0),
        max(min(box.top for box in full), 0),
        min(max(box.left + box.width for box in full), photo.width),
        min(max(box.top + box.height for box in full), photo.height),
    )
