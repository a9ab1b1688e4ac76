"""What is drawn for a size that is asked for: the family's own area, in that shape."""

from dataclasses import dataclass

from PIL import Image

from studio.pipelines.families import Family


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Width and height in pixels of what the network draws, before it is resized to what was asked for."""

    width: int
    height: int


def drawn_shape(family: Family, width: int, height: int) -> Shape:
    """The shape a family draws for that size. Within the row's areas, the size itself; else about the native area.

    Of the shapes whose sides are multiples of the row's and whose area is within a fifth of native, the nearest in
    proportion wins, then the nearest in area: a portrait is as tall as asked and has one head.
    """
    native = family.native**2
    step, ratio = family.multiple, width / height
    fits = family.least_area * native <= width * height <= family.most_area * native
    if fits and width % step == 0 and height % step == 0:
        return Shape(width=width, height=height)
    found: list[tuple[float, float, Shape]] = []
    for wide in range(step, 4 * family.native + 1, step):
        for high in {int(wide / ratio / step) * step, int(wide / ratio / step + 1) * step} - {0}:
            area = wide * high / native
            if 0.8 <= area <= 1.2:
                # A proportion within a hundredth is as good as exact: the resize hides it.
                off = max(abs(wide / high / ratio - 1) - 0.01, 0)
                found.append((round(off, 4), abs(area - 1), Shape(width=wide, height=high)))
    return min(found, key=lambda one: one[:2])[2]


def fitted(image: Image.Image, width: int, height: int) -> Image.Image:
    """The picture at exactly that size: filled, its middle kept, what sticks out cut off (Lanczos)."""
    if image.size == (width, height):
        return image
    scale = max(width / image.width, height / image.height)
    wide, high = width / scale, height / scale
    left, top = (image.width - wide) / 2, (image.height - high) / 2
    return image.resize((width, height), Image.Resampling.LANCZOS, box=(left, top, left + wide, top + high))
