"""Reads picture files without losing what they hold: 16 bits, transparency, the colour profile, which way is up.

Pillow makes 16-bit colour 8-bit without a word, so such files are read with OpenCV. Never decodes what its header
says is too large.
"""

import io
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pillow_heif
from PIL import Image, ImageCms, UnidentifiedImageError

from studio.domain import Refused
from studio.pipelines import recipe
from studio.pipelines.recipe import Carried

MOST_PIXELS = 50_000_000
MOST_BYTES = 512 << 20  # of a file: 50 megapixels of 16 bits and four channels, unpacked, are 400 MB
ALLOWED = f"one JPEG, PNG, WebP or HEIF picture of at most {MOST_PIXELS // 1_000_000} megapixels"
FORMATS = ("JPEG", "PNG", "WEBP")
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1")
# What Pillow raises for files that are cut short or lie about themselves.
BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, OverflowError, struct.error, zlib.error)
GREY_TYPES = (0, 4)  # of IHDR's colour types
ORIENTATION = 0x0112  # EXIF's tag
NOTHING = Carried(recipe=None, parameters=None, fields={}, marked=False)

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, kw_only=True)
class Photo:
    """A picture as its file has it, upright.

    `colour` is (height, width, 3) RGB, or (height, width) grey, in uint8 or uint16; `alpha` is (height, width) in the
    same depth, None where nothing is transparent; `profile` the ICC profile its numbers are meant in, None for sRGB.
    """

    colour: Array
    alpha: Array | None = None
    profile: bytes | None = None
    carried: Carried = NOTHING

    @property
    def width(self) -> int:
        return int(self.colour.shape[1])

    @property
    def height(self) -> int:
        return int(self.colour.shape[0])

    @property
    def grey(self) -> bool:
        return self.colour.ndim == 2

    @property
    def depth(self) -> int:
        """Bits a channel."""
        return self.colour.itemsize * 8

    @property
    def pixels(self) -> Array:
        """(height, width, 1 to 4): grey or RGB, and what is transparent where something is."""
        colour = self.colour[..., None] if self.grey else self.colour
        return colour if self.alpha is None else np.concatenate([colour, self.alpha[..., None]], axis=2)

    @property
    def rgb(self) -> Array:
        """(height, width, 3), also of a grey picture."""
        return np.repeat(self.colour[..., None], 3, axis=2) if self.grey else self.colour

    @property
    def rgb8(self) -> Array:
        """(height, width, 3) in uint8, whatever the picture's depth."""
        return eight_bits(self.rgb)


def eight_bits(values: Array) -> Array:
    """Of 16 bits the nearest 8: 65535 becomes 255."""
    return values if values.dtype == np.uint8 else ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def read(path: Path, *, name: str | None = None, field: str = "file") -> Photo:
    """The picture in a file. Raises Refused, one sentence that begins with `name` (default: the file's)."""
    name = name or path.name

    # 1. The file, which may not be there or not be ours to read.
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise Refused(f"{name} has {size / 1e6:.0f} MB.", field=field, allowed=f"at most {MOST_BYTES >> 20} MB")
        body = path.read_bytes()
    except OSError as error:
        why = (
            "is not there"
            if isinstance(error, FileNotFoundError)
            else f"cannot be read: {os.strerror(error.errno or 0)}"
        )
        raise Refused(f"{name} {why}.", field=field, allowed=ALLOWED) from error
    if not body:
        raise Refused(f"{name} is empty: it has 0 bytes.", field=field, allowed=ALLOWED)

    # 2. Its header, before any of its pixels are decoded.
    try:
        image = _opened(body)
    except Image.DecompressionBombError as error:
        raise _too_large(name, field) from error
    except UnidentifiedImageError as error:
        raise Refused(f"{name} is no picture that can be read.", field=field, allowed=ALLOWED) from error
    except BROKEN as error:
        raise _damaged(name, field) from error
    with image:
        if image.width * image.height > MOST_PIXELS:
            raise _too_large(name, field)
        # Phones put a second picture (depth, brightness) behind a JPEG; only the first is the photo.
        if getattr(image, "n_frames", 1) > 1 and image.format in ("WEBP", "PNG"):
            raise Refused(f"{name} is an animation.", field=field, allowed=ALLOWED)

        # 3. Its pixels, in their depth; what is not RGB or grey is made sRGB.
        try:
            turned = _orientation(image)
            carried = recipe.read(path) if image.format in FORMATS else NOTHING
            photo = _sixteen_bits(image, body) if _is_sixteen_bits(image, body) else _eight_bits(image)
        except (*BROKEN, cv2.error) as error:
            raise _damaged(name, field) from error

    # 4. Upright.
    alpha = photo.alpha
    opaque = alpha is None or bool((alpha == np.iinfo(alpha.dtype).max).all())
    return Photo(
        colour=upright(photo.colour, turned),
        alpha=None if opaque or alpha is None else upright(alpha, turned),
        profile=photo.profile,
        carried=carried,
    )


def upright(pixels: Array, orientation: int) -> Array:
    """The pixels turned as EXIF's orientation (1 to 8) says they are meant."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def in_profile(photo: Photo, profile: bytes | None) -> Array:
    """The photo's colours, (height, width, 3) uint8, in the numbers of another profile (None: sRGB)."""
    if photo.profile == profile:
        return photo.rgb8
    target = _profile(profile) if profile else ImageCms.createProfile("sRGB")
    source = _profile(photo.profile) if photo.profile else ImageCms.createProfile("sRGB")
    if target is None or source is None:
        return photo.rgb8
    image = Image.fromarray(photo.rgb8)
    try:
        return np.asarray(ImageCms.profileToProfile(image, source, target, outputMode="RGB"))
    except ImageCms.PyCMSError:
        return photo.rgb8


def on_white(photo: Photo) -> Array:
    """The photo as a screen shows it: (height, width, 3) uint8 in sRGB, white where it is transparent."""
    rgb = in_profile(photo, None)
    if photo.alpha is None:
        return rgb
    share = photo.alpha[..., None].astype(np.float32) / np.iinfo(photo.alpha.dtype).max
    return (rgb * share + 255 * (1 - share)).round().astype(np.uint8)


def _opened(body: bytes) -> Image.Image:
    if body[4:8] == b"ftyp" and body[8:12] in HEIF_BRANDS:
        return pillow_heif.HeifImageFile(io.BytesIO(body))
    return Image.open(io.BytesIO(body), formats=FORMATS)


def _orientation(image: Image.Image) -> int:
    value = image.getexif().get(ORIENTATION, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _is_sixteen_bits(image: Image.Image, body: bytes) -> bool:
    return image.format == "PNG" and body[24] == 16  # IHDR's bit depth


def _sixteen_bits(image: Image.Image, body: bytes) -> Photo:
    profile = image.info.get("icc_profile")
    image.load()  # to notice what is cut short: OpenCV would fill it with black
    pixels = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise ValueError("OpenCV cannot read it")
    if pixels.ndim == 2:
        return Photo(colour=pixels, profile=profile)
    alpha = pixels[..., 3] if pixels.shape[2] == 4 else None
    colour = pixels[..., 2::-1]
    if body[25] in GREY_TYPES:
        colour = colour[..., 0]
    else:
        profile = _rgb_only(profile)
    return Photo(colour=colour, alpha=alpha, profile=profile)


def _eight_bits(image: Image.Image) -> Photo:
    profile = image.info.get("icc_profile")
    transparent = image.has_transparency_data
    if image.mode == "1":
        image = image.convert("L")
    if image.mode in ("L", "LA") and not (transparent and image.mode == "L"):
        grey = np.asarray(image)
        colour, alpha = (grey[..., 0], grey[..., 1]) if image.mode == "LA" else (grey, None)
        return Photo(colour=_grey_in_srgb(colour, profile), alpha=alpha)
    if image.mode in ("CMYK", "YCbCr", "LAB"):
        return Photo(colour=_in_srgb(image, profile))
    rgb = np.asarray(image.convert("RGBA" if transparent else "RGB"))
    return Photo(colour=rgb[..., :3], alpha=rgb[..., 3] if transparent else None, profile=_rgb_only(profile))


def _profile(profile: bytes | None) -> ImageCms.ImageCmsProfile | None:
    """The profile, or None where it cannot be used: it is then left out, as viewers do."""
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(profile)) if profile else None
    except (OSError, ImageCms.PyCMSError):
        return None


def _colour_space(profile: bytes | None) -> str:
    """`RGB`, `GRAY`, `CMYK` ...; nothing for a profile that cannot be used."""
    known: Any = _profile(profile)
    return "" if known is None else str(known.profile.xcolor_space).strip()


def _rgb_only(profile: bytes | None) -> bytes | None:
    return profile if _colour_space(profile) == "RGB" else None


def _in_srgb(image: Image.Image, profile: bytes | None) -> Array:
    source = _profile(profile)
    if source is not None:
        try:
            done = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            return np.asarray(done)
        except ImageCms.PyCMSError:
            pass  # a profile of another kind than the picture
    return np.asarray(image.convert("RGB"))


def _grey_in_srgb(grey: Array, profile: bytes | None) -> Array:
    """Grey tones as sRGB means them: a grey profile would not fit what is made of the picture."""
    return _in_srgb(Image.fromarray(grey), profile)[..., 1] if _colour_space(profile) == "GRAY" else grey


def _too_large(name: str, field: str) -> Refused:
    return Refused(f"{name} has more than {MOST_PIXELS // 1_000_000} megapixels.", field=field, allowed=ALLOWED)


def _damaged(name: str, field: str) -> Refused:
    return Refused(f"{name} is damaged or cut short.", field=field, allowed=ALLOWED)
