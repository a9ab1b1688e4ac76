"""Small copies of pictures for lists, made when first looked at and erased with the picture; and of photos."""

import io
import zlib
from pathlib import Path

from PIL import Image

from studio.domain import NotFound, Picture
from studio.rules import new_id
from studio.storage.large_png import reduced, size_of
from studio.storage.pictures import small_file

WHOLE = 50_000_000  # pixels of the largest picture that is decoded whole
SIDE = 448  # pixels of the longer side: sharp in a cell of 224 on a screen of double density


def small(folder: Path, picture: Picture) -> Path:
    """The small copy of a picture in the pictures folder `folder`, as WebP. Raises NotFound where the file is gone
    or no picture, and OSError."""
    path = small_file(folder, picture)
    if path.is_file():
        return path
    try:
        with _opened(folder / picture.file) as image:
            image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
            kept = image.convert("RGBA" if "A" in image.getbands() or "transparency" in image.info else "RGB")
    except (OSError, SyntaxError, ValueError, zlib.error) as error:
        raise NotFound("There is no such picture.", field="id") from error
    # Under a name of its own first: two may look at once, and neither may see half a file.
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{new_id()}.part")
    try:
        kept.save(part, "WEBP", quality=82, method=2)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def photo(file: Path) -> bytes:
    """A small copy of a photo as WebP. Nothing is kept: photos go soon, and must leave nothing behind.

    Raises NotFound where the file is gone or no picture.
    """
    body = io.BytesIO()
    try:
        with _opened(file) as image:
            image.thumbnail((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0)
            image.convert("RGB").save(body, "WEBP", quality=80, method=0)
    except (OSError, SyntaxError, ValueError, zlib.error) as error:
        raise NotFound("There is no such photo.", field="id") from error
    return body.getvalue()


def _opened(file: Path) -> Image.Image:
    """The picture, or of one that would fill the memory a smaller copy."""
    width, height = size_of(file)
    return reduced(file, 2 * SIDE) if width * height > WHOLE else Image.open(file, formats=("PNG",))
