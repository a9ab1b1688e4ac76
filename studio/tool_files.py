"""Pictures handed to the tools: looked at before they are decoded, turned upright, and kept without loss.

What a picture carries of how the studio made it stays with it, and its colour profile; all else that a file says
(place, camera, owner) is left behind.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from studio.domain import NotFound, Picture, Refused, StudioError
from studio.pipelines.picture_files import Photo, read
from studio.pipelines.png import PngWriter
from studio.pipelines.recipe import OWN_KEY, XMP, XMP_KEY
from studio.pipelines.results import MOST_RECIPE
from studio.rules import SIDE_MOST, new_id
from studio.storage import faults, uploads
from studio.storage.database import Database
from studio.storage.folder import DataFolder, fsync_file

FAST = 1  # zlib's level: these files are read again soon, and then go
BLOCK = 1 << 20
MOST_NAME = 200  # characters


@dataclass(frozen=True, kw_only=True)
class Taken:
    """A picture that was taken in: the id of its upload, what it is called, and its size in pixels."""

    upload: str
    name: str
    width: int
    height: int


def take_in(
    database: Database,
    folder: DataFolder,
    account: str,
    file: Path,
    *,
    name: str,
    field: str,
    now: int,
    picture: str | None = None,
) -> Taken:
    """Keeps the picture in a file under an id; the same picture has the same id. `name` is how errors call it,
    `picture` the one of the gallery that it is.

    Raises Refused and NotFound (no such account), naming the field, and StorageFailed.
    """
    photo = read(file, name=name, field=field)
    part = folder.uploads / f"{new_id()}.part"
    try:
        try:
            _write(photo, part)
            fsync_file(part)
            with part.open("rb") as written:
                sha256 = hashlib.file_digest(written, "sha256").hexdigest()
            with database.write() as tx:
                upload = uploads.take(tx, folder.uploads, account, part, sha256=sha256, name=name[:MOST_NAME], now=now)
                uploads.came_from(tx, upload, cached=folder.cached(file), picture=picture)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise _told(error, folder) from error
    return Taken(upload=upload, name=name, width=photo.width, height=photo.height)


def to_start_from(database: Database, folder: DataFolder, account: str, picture: Picture, *, now: int) -> Path:
    """A copy of a picture of the gallery in the page's cache, no larger than a base draws, as if it had been handed in
    there; it goes when the picture's tune does. Raises Refused (it is too large) and StorageFailed."""
    path = folder.cache / new_id() / "picture.png"
    try:
        with Image.open(folder.pictures / picture.file) as image:
            image.thumbnail((SIDE_MOST, SIDE_MOST))
            path.parent.mkdir(parents=True)
            image.save(path)
    except Image.DecompressionBombError as error:
        allowed = f"at most {2 * (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000} megapixels"
        raise Refused("This picture is too large to start from.", field="init", allowed=allowed) from error
    except OSError as error:
        raise _told(error, folder) from error
    take_in(database, folder, account, path, name=path.name, field="init", now=now, picture=picture.id)
    return path


def _write(photo: Photo, path: Path) -> None:
    carried = photo.carried
    texts: dict[str, str] = {}
    if carried.parameters and len(carried.parameters) <= MOST_RECIPE:
        texts["parameters"] = carried.parameters
    if carried.recipe is not None:
        words = json.dumps(carried.recipe, ensure_ascii=False, sort_keys=True)
        texts |= {OWN_KEY: words} if len(words) <= MOST_RECIPE else {}
    if carried.marked:
        texts[XMP_KEY] = XMP
    pixels = photo.pixels
    with PngWriter(
        path,
        width=photo.width,
        height=photo.height,
        channels=pixels.shape[2],
        depth=photo.depth,
        profile=photo.profile,
        texts=texts,
        level=FAST,
    ) as png:
        png.write(pixels)


def path_of(database: Database, folder: DataFolder, account: str, upload: str) -> Path:
    """The upload's file. Raises NotFound, also where it is another account's."""
    with database.read() as tx:
        path = uploads.path(tx, folder.uploads, account, upload, field="id")
    if not path.is_file():
        raise NotFound("There is no such picture.", field="id")
    return path


def _told(error: OSError, folder: DataFolder) -> Exception:
    told: StudioError | None = faults.of_os(error, folder.root)
    return told or error
