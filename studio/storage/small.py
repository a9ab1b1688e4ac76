"""Small copies of pictures for lists: made when first looked at, and erased with the picture."""

from pathlib import Path

from PIL import Image

from studio.domain import NotFound, Picture
from studio.rules import new_id
from studio.storage.pictures import small_file

SIDE = 448  # pixels of the longer side: sharp in a cell of 224 on a screen of double density


def small(folder: Path, picture: Picture) -> Path:
    """The small copy of a picture in the pictures folder `folder`, as WebP. Raises NotFound where the file is gone
    or no picture, and OSError."""
    path = small_file(folder, picture)
    if path.is_file():
        return path
    try:
        with Image.open(folder / picture.file, formats=("PNG",)) as image:
            image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
            kept = image.convert("RGBA" if "A" in image.getbands() or "transparency" in image.info else "RGB")
    except (OSError, SyntaxError, ValueError) as error:
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
