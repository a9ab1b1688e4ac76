"""Pictures handed in: looked at before they are decoded, turned upright, and kept as plain pixels without metadata."""

import io
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import pillow_heif
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from studio.domain import ImageRequest, Refused
from studio.paths import to_read
from studio.pipelines.shapes import fitted
from studio.storage import faults, uploads
from studio.storage.database import Database
from studio.storage.folder import DataFolder

MOST_PIXELS = 50_000_000
FORMATS = ("JPEG", "PNG", "WEBP", "HEIF")
ALLOWED = f"one JPEG, PNG, WEBP or HEIF picture of at most {MOST_PIXELS // 1_000_000} megapixels"
# What Pillow raises for files that are cut short or lie about themselves.
BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error)


def prepared(
    init: Path | bytes, mask: Path | bytes | None, request: ImageRequest, *, most_bytes: int
) -> dict[str, bytes]:
    """The pictures of a request as PNGs, by its fields, cut about their middle to the size that it asks for.

    Of the mask white is painted anew and black kept; what is transparent in it counts as black, in `init` as white.
    Raises Refused, NotFound (no such file) and StorageFailed (it cannot be read), naming the field.
    """
    # 1. The picture it starts from.
    start = read("init", init, most_bytes=most_bytes)
    double = 2 if request.super_resolution else 1
    size = (request.width * double, request.height * double)
    pngs = {"init": _png(fitted(_flat(start, "white"), *size))}

    # 2. The mask, which must lie on it as it is.
    if mask is not None:
        cover = read("mask", mask, most_bytes=most_bytes)
        if abs(cover.width * start.height - cover.height * start.width) > max(start.size):
            raise Refused(
                f"mask is {cover.width}x{cover.height} and init {start.width}x{start.height}: not of one shape.",
                field="mask",
                allowed=f"a picture of {start.width}x{start.height}",
            )
        grey = fitted(_flat(cover, "black").convert("L"), *size)
        if not grey.getbbox():
            raise Refused(
                "mask is black everywhere: nothing would be painted.", field="mask", allowed="white where to paint"
            )
        pngs["mask"] = _png(grey)
    return pngs


def keep(
    database: Database,
    folder: DataFolder,
    account: str,
    pngs: Mapping[str, bytes],
    handed: Mapping[str, object],
    *,
    now: int,
) -> dict[str, str]:
    """Stores the pictures and returns their ids by field; `handed` is what they were made of. Raises StorageFailed."""
    try:
        with database.write() as tx:
            kept = {field: uploads.add(tx, folder.uploads, account, png, now=now) for field, png in pngs.items()}
            for field, upload in kept.items():
                uploads.came_from(tx, upload, cached=folder.cached(handed.get(field)))
            return kept
    except OSError as error:
        told = faults.of_os(error, folder.root)
        if told is None:
            raise
        raise told from error


def drop(database: Database, folder: DataFolder, account: str, kept: Mapping[str, str]) -> None:
    """Forgets pictures that no job came of."""
    with database.write() as tx:
        for upload in kept.values():
            uploads.remove_unused(tx, folder.uploads, account, upload)


def read(field: str, handed: Path | bytes, *, most_bytes: int) -> Image.Image:
    """The picture upright, in sRGB, as RGB or RGBA. Raises Refused, NotFound and StorageFailed, naming the field."""
    # 1. Its length.
    if isinstance(handed, Path):
        handed = to_read(field, handed, allowed=ALLOWED)
    length = len(handed) if isinstance(handed, bytes) else handed.stat().st_size
    if length > most_bytes:
        raise Refused(
            f"{field} has {length / 1e6:.1f} MB; at most {most_bytes >> 20} MB are allowed.",
            field=field,
            allowed=f"at most {most_bytes >> 20} MB",
        )
    # 2. Its header, before any of its pixels are decoded.
    pillow_heif.register_heif_opener()
    try:
        image = Image.open(io.BytesIO(handed) if isinstance(handed, bytes) else handed, formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise _too_large(field) from error
    except UnidentifiedImageError as error:
        raise Refused(f"{field} is no picture that can be read.", field=field, allowed=ALLOWED) from error
    except BROKEN as error:
        raise _broken(field) from error
    with image:
        if image.width * image.height > MOST_PIXELS:
            raise _too_large(field)
        # Phones put a second picture (depth, brightness) behind a JPEG; only the first is the photo.
        if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
            raise Refused(f"{field} is an animation, or several pictures in one.", field=field, allowed=ALLOWED)
        # 3. Its pixels.
        try:
            return _plain(image)
        except BROKEN as error:
            raise _broken(field) from error


def _plain(image: Image.Image) -> Image.Image:
    """Upright, in sRGB, eight bits a channel."""
    profile = image.info.get("icc_profile")
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):  # sixteen bits of grey, which Pillow would cut off at 255
        upright = upright.point(lambda value: value / 256).convert("L")
    has_alpha = upright.mode in ("LA", "PA", "RGBA", "RGBa") or "transparency" in upright.info
    colours = upright if upright.mode in ("RGB", "CMYK", "L") else upright.convert("RGBA" if has_alpha else "RGB")
    if profile and colours.mode in ("RGB", "CMYK"):
        colours = _in_srgb(colours, profile)
    plain = colours if colours.mode in ("RGB", "RGBA") else colours.convert("RGB")
    plain.load()
    return plain


def _in_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """In sRGB's colours; a profile that cannot be used is left out, as viewers do."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        changed = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        return image
    return image if changed is None else changed


def _flat(image: Image.Image, ground: str) -> Image.Image:
    """On a ground of that colour, without transparency."""
    if image.mode != "RGBA":
        return image
    flat = Image.new("RGB", image.size, ground)
    flat.paste(image, mask=image.getchannel("A"))
    return flat


def _png(image: Image.Image) -> bytes:
    """The pixels as a PNG and nothing else."""
    body = io.BytesIO()
    bare = Image.new(image.mode, image.size)
    bare.paste(image)
    bare.save(body, "PNG")
    return body.getvalue()


def _too_large(field: str) -> Refused:
    return Refused(f"{field} has more than {MOST_PIXELS // 1_000_000} megapixels.", field=field, allowed=ALLOWED)


def _broken(field: str) -> Refused:
    return Refused(f"{field} is damaged or cut short.", field=field, allowed=ALLOWED)
