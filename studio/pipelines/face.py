"""Makes the faces on photos clearer, and keeps the person the person.

Two ways: GFPGAN where its weights are, and where they are not, Real-ESRGAN on each face that dlib finds.
"""

from collections.abc import Iterator

import cv2
import numpy as np

from studio.domain import BrokenPicture, Drawn, FaceRequest, IsCancelled, Refused, Report, Task
from studio.pipelines import face_gfpgan
from studio.pipelines.bases import Bases
from studio.pipelines.batches import Advance, each_picture
from studio.pipelines.device import Device
from studio.pipelines.esrgan import Tick
from studio.pipelines.faces import Array, Box, Faces
from studio.pipelines.patches import LIMIT, Patch, applied
from studio.pipelines.picture_files import Photo
from studio.pipelines.results import GENERATED, Result
from studio.pipelines.tool_weights import PHOTO, check, face_model
from studio.pipelines.upscale import Upscaler

REACH = 0.45  # of a face's size, that is taken with it on every side: hair and chin
OVAL, FEATHER = 0.4, 0.08  # of the cut's size: half axes of what is blended in, and how softly it ends
MOST_SIDE = 512  # pixels of a cut that the network is given
NOTHING_LOST = 1.0  # steps of 255 that a cut may lose on the way down and up again and be called no sharper
FOUND = "a face of at least 24 pixels, seen from the front"


class FaceEnhance:
    """The runner of `face` jobs."""

    def __init__(self, device: Device, bases: Bases) -> None:
        self.device = device
        self.bases = bases
        self.faces = Faces(device, bases)
        self.upscaler = Upscaler(device, bases)

    def __call__(self, task: Task, report: Report, is_cancelled: IsCancelled) -> Iterator[Drawn]:
        """Yields each picture with its faces made clearer. A picture without a face is refused.

        Raises WeightsMissing and BrokenWeights, and what `each_picture` raises.
        """
        request = task.request
        assert isinstance(request, FaceRequest)
        check(request, self.bases)
        model = face_model(request.model, self.bases)

        def make(photo: Photo, advance: Advance) -> Result:
            return self.enhanced(photo, model, request.strength, advance)

        yield from each_picture(task, report, is_cancelled, make)

    def enhanced(self, photo: Photo, model: str, strength: float, advance: Advance) -> Result:
        """The picture with its faces made clearer by `gfpgan` or `realesrgan`.

        Raises Refused where no face is found, BrokenPicture where none can be made clearer within the limit.
        """
        # 1. The faces, made anew.
        if model == "gfpgan":
            patches = face_gfpgan.loaded(self.device, self.bases).patches(photo.rgb8, advance)
        else:
            patches = self._enlarged(photo.rgb8, advance)

        # 2. Each put over the old one as far as the person stays the person.
        picture, kept = applied(photo.rgb, patches, strength, self.faces)
        if not kept:
            raise Refused("No face was found.", field="uploads", allowed=FOUND)
        if not any(one.strength for one in kept):
            raise BrokenPicture(
                f"No face could be made clearer without becoming another's (the limit is a distance of {LIMIT:g}).",
                field="strength",
            )

        # 3. As the file was: grey stays grey, what was transparent transparent.
        colour = np.rint(picture.mean(axis=2, keepdims=True)).astype(picture.dtype) if photo.grey else picture
        pixels = colour if photo.alpha is None else np.concatenate([colour, photo.alpha[..., None]], axis=2)
        return Result(
            width=photo.width,
            height=photo.height,
            channels=pixels.shape[2],
            depth=photo.depth,
            profile=photo.profile,
            bands=[pixels],
            did={"model": model, "strength": strength, "limit": LIMIT, "faces": [one.to_json() for one in kept]},
            source_type=GENERATED,
        )

    def _enlarged(self, rgb: Array, advance: Advance) -> Iterator[Patch]:
        found = self.faces.find(rgb)
        for index, box in enumerate(found):
            yield self.patch(rgb, box, lambda index=index: advance(index / len(found)))

    def patch(self, rgb: Array, box: Box, tick: Tick) -> Patch:
        """The face in that box, enlarged by Real-ESRGAN and brought back to its size."""
        # 1. The face with some of what is around it, no larger than it has detail.
        across, up = round(box.width * REACH), round(box.height * REACH)
        left, top = max(box.left - across, 0), max(box.top - up, 0)
        cut = rgb[top : box.top + box.height + up, left : box.left + box.width + across]
        size = (cut.shape[1], cut.shape[0])

        # 2. Enlarged, and back to its size.
        made = self.upscaler.enlarged(as_sharp_as_it_is(cut), scale=4, model=PHOTO, tick=tick)
        way = cv2.INTER_AREA if made.shape[1] > size[0] else cv2.INTER_CUBIC
        pixels = cv2.resize(made, size, interpolation=way).astype(np.float32)
        return Patch(box=box, left=left, top=top, pixels=pixels, mask=oval(*size))


def as_sharp_as_it_is(cut: Array) -> Array:
    """The cut, made smaller as long as that loses nothing: the network sharpens what it sees pixel by pixel."""
    height, width = cut.shape[:2]
    while min(height, width) >= 64:
        half = cv2.resize(cut, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        again = cv2.resize(half, (width, height), interpolation=cv2.INTER_CUBIC)
        if max(height, width) <= MOST_SIDE and np.abs(again.astype(int) - cut).mean() > NOTHING_LOST:
            break
        cut, (height, width) = half, half.shape[:2]
    return cut


def oval(width: int, height: int) -> Array:
    """1 in the middle, 0 at the edges: (height, width) float32."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    away = np.hypot((columns + 0.5) / width - 0.5, (rows + 0.5) / height - 0.5)
    return np.clip((OVAL + FEATHER - away) / (2 * FEATHER), 0, 1).astype(np.float32)
