"""Photos as they are trained on: cut out, brought to one of a few shapes of the same area, and mirrored."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy
import torch
from PIL import Image

from studio.domain import Task
from studio.pipelines.picture_files import on_white, read
from studio.pipelines.tuning.plan import Plan
from studio.pipelines.tuning.recipe import Photo
from studio.tunes import photo_field

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels."""

WIDEST = 2.0  # width by height (or height by width) of the widest shape


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """A shape that photos are brought to, in pixels."""

    width: int
    height: int


def buckets(side: int, multiple: int) -> list[Bucket]:
    """Shapes of about the area of a square of that side, in steps of an eighth of it and of `multiple`."""
    step = max(side // 8 // multiple, 1) * multiple
    shapes: list[Bucket] = []
    for width in range(step, 2 * side + 1, step):
        exact = side * side / width / step
        for height in sorted({int(exact) * step, int(exact + 0.999) * step} - {0}):
            is_near = 0.85 <= width * height / side**2 <= 1.15
            if is_near and max(width / height, height / width) <= WIDEST:
                shapes.append(Bucket(width=width, height=height))
    return shapes


def bucket_of(width: int, height: int, shapes: Sequence[Bucket]) -> Bucket:
    """The shape nearest in proportion to a picture of that size."""
    return min(shapes, key=lambda one: abs(numpy.log((one.width / one.height) / (width / height))))


def cut(image: Image.Image, box: Box | None, shape: Bucket) -> numpy.ndarray:
    """The part of the picture inside the box (all of it without one), filling the shape; uint8, H x W x 3.

    What sticks out of the shape is cut off evenly on both sides.
    """
    part = image.convert("RGB") if box is None else image.convert("RGB").crop(box)
    scale = max(shape.width / part.width, shape.height / part.height)
    wide, high = shape.width / scale, shape.height / scale
    left, top = (part.width - wide) / 2, (part.height - high) / 2
    resized = part.resize(
        (shape.width, shape.height), Image.Resampling.LANCZOS, box=(left, top, left + wide, top + high)
    )
    return numpy.asarray(resized)


def to_tensor(pixels: numpy.ndarray) -> torch.Tensor:
    """uint8 H x W x 3 as 3 x H x W in -1..1."""
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).float().div_(127.5).sub_(1)


def photos_of(task: Task, plan: Plan) -> list[list[Photo]]:
    """The photos, as the photo check saw them, cut and mirrored; a list for each shape."""
    request, shapes = plan.request, buckets(plan.base.family.native, plan.base.family.multiple)
    found: dict[tuple[int, ...], list[Photo]] = {}
    for index in range(len(request.photos)):
        box = request.crops[index] if request.crops else None
        image = Image.fromarray(on_white(read(task.inputs[photo_field(index)])))
        width, height = image.size if box is None else (box[2] - box[0], box[3] - box[1])
        pixels = cut(image, box, bucket_of(width, height, shapes))
        views = [pixels, pixels[:, ::-1]] if request.mirrored else [pixels]
        found.setdefault(pixels.shape, []).extend(Photo(pixels=view, prompt=plan.prompt) for view in views)
    return list(found.values())
