"""Finds faces on photos and tells people apart, with dlib: its HOG detector and its 128-number face embedding.

Distances between embeddings, measured on photos: the same person 0.24 to 0.45, two people 0.81 to 0.89. Sources:
https://dlib.net/face_recognition.py.html; the detector is Dalal and Triggs' (2005) as dlib trained it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import cv2
import dlib
import numpy as np

from studio.pipelines.bases import Bases
from studio.pipelines.weights import find

LEAST_SCORE = 0.1  # of a detection: below lie knees and helmets
DETECTOR_SIDE = 80  # pixels of the smallest face the detector sees
LEAST_SIDE = 24  # pixels of the smallest face that is looked for
MOST_LOOKED_AT = 16_000_000  # pixels of the largest picture the detector is given
AROUND = 1.0  # how much of a face's width is kept on either side when its embedding is made

models: Any = dlib  # a compiled module without types

T = TypeVar("T")
Array = np.ndarray[Any, np.dtype[Any]]


class Keeper(Protocol):
    """What keeps models warm, as `Device` does; named so, since telling faces apart needs no torch."""

    def held(self, key: str, size: int, make: Callable[[], T]) -> T: ...


@dataclass(frozen=True, kw_only=True)
class Box:
    """Where a face is, in pixels of its picture; it may reach beyond the edges."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class Described:
    """A face's 128 numbers, and in how many pixels from the picture's left its eyes' outer corners are."""

    numbers: Array
    left_eye: int
    right_eye: int


class Faces:
    """dlib's three models, warm on first use. Looks at (height, width, 3) uint8 RGB. Needs its weights to be here."""

    def __init__(self, device: Keeper, bases: Bases) -> None:
        self.device = device
        self.bases = bases

    def find(self, rgb: Array) -> list[Box]:
        """The faces seen from the front, largest first."""
        height, width = rgb.shape[:2]
        pixels = height * width
        # Large faces are found on a small copy at once; small ones on one that makes them large enough.
        for scale in (min(1.0, (1_500_000 / pixels) ** 0.5), 1.0, 2.0, DETECTOR_SIDE / LEAST_SIDE):
            if scale > 1 and pixels * scale**2 > MOST_LOOKED_AT:
                break
            if found := self.seen(rgb, scale):
                return [box for box, _ in found]
        return []

    def seen(self, rgb: Array, scale: float) -> list[tuple[Box, float]]:
        """The faces that the detector sees on a copy of that scale, largest first, each with how sure it is.

        It sees those of `DETECTOR_SIDE` pixels and more on the copy; the boxes are in pixels of the picture.
        """
        height, width = rgb.shape[:2]
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        copy = rgb if scale == 1 else cv2.resize(rgb, size, interpolation=way)
        found, scores, _ = self._detector.run(np.ascontiguousarray(copy), 0, LEAST_SCORE)
        boxes = [(_box(rectangle, 1 / scale), float(score)) for rectangle, score in zip(found, scores, strict=True)]
        return sorted(boxes, key=lambda seen: -seen[0].width * seen[0].height)

    def describe(self, rgb: Array, box: Box) -> "Described":
        """What the embedding and the landmarks of the face in that box are."""
        # dlib copies what it is given: a cut about the face will do.
        side, up = round(box.width * AROUND), round(box.height * AROUND)
        left, top = max(box.left - side, 0), max(box.top - up, 0)
        cut = np.ascontiguousarray(rgb[top : box.top + box.height + up, left : box.left + box.width + side])
        x, y = box.left - left, box.top - top
        marks = self._landmarks(cut, models.rectangle(x, y, x + box.width - 1, y + box.height - 1))
        return Described(
            numbers=np.array(self._embedder.compute_face_descriptor(cut, marks)),
            left_eye=marks.part(2).x + left,
            right_eye=marks.part(0).x + left,
        )

    def embedding(self, rgb: Array, box: Box) -> Array:
        """The 128 numbers of the face in that box; near ones are of one person."""
        return self.describe(rgb, box).numbers

    def distance(self, one: Array, other: Array, box: Box) -> float:
        """How far apart two pictures of the face in that box are."""
        return float(np.linalg.norm(self.embedding(one, box) - self.embedding(other, box)))

    @property
    def _detector(self) -> Any:
        return self.device.held("dlib:detector", 1 << 20, models.get_frontal_face_detector)

    @property
    def _landmarks(self) -> Any:
        return self._held("dlib-landmarks5", models.shape_predictor)

    @property
    def _embedder(self) -> Any:
        return self._held("dlib-face", models.face_recognition_model_v1)

    def _held(self, name: str, make: Any) -> Any:
        weight = self.bases.catalogue.weight(name)
        return self.device.held(f"dlib:{name}", weight.bytes, lambda: make(str(find(weight, self.bases.folders))))


def _box(rectangle: Any, scale: float) -> Box:
    return Box(
        left=round(rectangle.left() * scale),
        top=round(rectangle.top() * scale),
        width=round(rectangle.width() * scale),
        height=round(rectangle.height() * scale),
    )
