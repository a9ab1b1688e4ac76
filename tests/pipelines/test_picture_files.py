"""Odd picture files come in as they were meant; broken ones are refused in one sentence, at once."""

import io
import struct
import time
import zlib
from pathlib import Path

import cv2
import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms

from studio.domain import Refused
from studio.pipelines.picture_files import Array, Photo, eight_bits, in_profile, on_white, read
from tests.test_intake import swapped_profile

RED = (200, 30, 40)


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)  # type: ignore[arg-type]
    return path


def photo(width: int = 6, height: int = 4) -> Image.Image:
    rng = np.random.default_rng(7)
    return Image.fromarray(rng.integers(0, 255, (height, width, 3)).astype(np.uint8))


def alpha_of(found: Photo) -> Array:
    assert found.alpha is not None
    return found.alpha


# --- odd ones --------------------------------------------------------------------------------------------------------


def test_a_plain_png_comes_in_to_the_bit(tmp_path: Path) -> None:
    image = photo()
    found = read(saved(tmp_path / "a.png", image))
    assert np.array_equal(found.colour, np.asarray(image))
    assert (found.alpha, found.profile, found.depth, found.width, found.height) == (None, None, 8, 6, 4)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_stay_sixteen(tmp_path: Path, channels: int) -> None:
    pixels = np.random.default_rng(7).integers(0, 65536, (4, 6, channels)).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), pixels)
    found = read(tmp_path / "a.png")
    expected = pixels[..., 0] if channels == 1 else pixels[..., 2::-1]
    assert found.depth == 16
    assert np.array_equal(found.colour, expected)
    assert found.alpha is None if channels < 4 else np.array_equal(alpha_of(found), pixels[..., 3])


def test_sixteen_bits_of_grey_with_transparency_stay_both(tmp_path: Path) -> None:
    pixels = np.random.default_rng(7).integers(0, 65536, (4, 6, 2)).astype(np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    (tmp_path / "a.png").write_bytes(png_of(6, 4, depth=16, colour=4, body=zlib.compress(rows)))
    found = read(tmp_path / "a.png")
    assert np.array_equal(found.colour, pixels[..., 0])
    assert np.array_equal(alpha_of(found), pixels[..., 1])


def test_transparency_is_kept_and_an_opaque_channel_dropped(tmp_path: Path) -> None:
    image = photo().convert("RGBA")
    assert read(saved(tmp_path / "opaque.png", image)).alpha is None
    image.putpixel((2, 1), (*RED, 77))
    found = read(saved(tmp_path / "a.png", image))
    assert found.alpha is not None
    assert found.alpha[1, 2] == 77
    assert tuple(found.colour[1, 2]) == RED


def test_a_palette_is_its_colours_with_its_transparent_one(tmp_path: Path) -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, *RED])
    image.putpixel((0, 0), 0)
    found = read(saved(tmp_path / "a.png", image, transparency=0))
    assert tuple(found.colour[2, 2]) == RED
    assert found.alpha is not None
    assert (found.alpha[0, 0], found.alpha[2, 2]) == (0, 255)


@pytest.mark.parametrize("mode", ["L", "1", "LA"])
def test_grey_stays_grey(tmp_path: Path, mode: str) -> None:
    found = read(saved(tmp_path / "a.png", photo().convert(mode)))
    assert found.grey
    assert found.rgb.shape == (4, 6, 3)


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    found = read(saved(tmp_path / "a.jpg", Image.new("RGB", (32, 32), RED).convert("CMYK")))
    assert np.abs(found.colour[16, 16].astype(int) - RED).max() < 6


def test_one_pixel_is_a_picture(tmp_path: Path) -> None:
    assert read(saved(tmp_path / "a.png", Image.new("RGB", (1, 1), RED))).colour.tolist() == [[list(RED)]]


def test_a_heif_photo_comes_in(tmp_path: Path) -> None:
    heif = pillow_heif.from_pillow(Image.new("RGB", (64, 48), RED))
    heif.save(tmp_path / "a.heic", quality=90)
    found = read(tmp_path / "a.heic")
    assert (found.width, found.height) == (64, 48)
    assert np.abs(found.colour[20, 20].astype(int) - RED).max() < 10


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_upright(tmp_path: Path, orientation: int, depth: int) -> None:
    # What is meant, and how a camera that was held so stores it: by Pillow's own table of turns.
    meant = photo()
    stored = meant
    turns = Image.Transpose
    for turn in {
        1: [],
        2: [turns.FLIP_LEFT_RIGHT],
        3: [turns.ROTATE_180],
        4: [turns.FLIP_TOP_BOTTOM],
        5: [turns.TRANSPOSE],
        6: [turns.ROTATE_90],
        7: [turns.TRANSVERSE],
        8: [turns.ROTATE_270],
    }[orientation]:
        stored = stored.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a.png"
    if depth == 8:
        stored.save(path, exif=exif)
    else:
        wide = np.asarray(stored).astype(np.uint16) * 257
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in wide)
        extra = chunk(b"eXIf", exif.tobytes()[6:])
        body = png_of(stored.width, stored.height, depth=16, colour=2, body=zlib.compress(rows), extra=extra)
        path.write_bytes(body)
    assert np.array_equal(read(path).rgb8, np.asarray(meant))


def test_a_colour_profile_is_kept(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert read(saved(tmp_path / "a.jpg", photo(), icc_profile=profile)).profile == profile
    assert read(saved(tmp_path / "b.png", photo(), icc_profile=b"nonsense")).profile is None


def test_colours_are_brought_from_one_profile_into_another() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    one = Photo(colour=np.full((2, 2, 3), 128, np.uint8), profile=lab)
    assert np.abs(in_profile(one, None).astype(int) - 128).max() <= 1
    assert np.array_equal(in_profile(one, lab), one.colour)


def test_a_photo_is_seen_as_a_screen_shows_it() -> None:
    """In sRGB, on white, in eight bits."""
    grey = Photo(colour=np.full((2, 2), 30_000, np.uint16), alpha=np.array([[65535, 0], [65535, 0]], np.uint16))
    seen = on_white(grey)
    assert (seen.dtype, seen.shape) == (np.uint8, (2, 2, 3))
    assert (seen[:, 0] == 117).all() and (seen[:, 1] == 255).all()
    swapped = Photo(colour=np.full((1, 1, 3), (200, 40, 40), np.uint8), profile=swapped_profile())
    red, green, _ = on_white(swapped)[0, 0]
    assert green > red


def test_the_first_picture_of_a_phones_jpeg_is_the_photo(tmp_path: Path) -> None:
    photo(32, 32).save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[photo(32, 32)])
    assert read(tmp_path / "a.jpg").width == 32


def test_sixteen_bits_are_rounded_to_eight() -> None:
    assert eight_bits(np.array([0, 128, 129, 257, 65535], np.uint16)).tolist() == [0, 0, 1, 1, 255]


# --- broken ones -----------------------------------------------------------------------------------------------------


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of(width: int, height: int, *, depth: int, colour: int, body: bytes, extra: bytes = b"") -> bytes:
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [chunk(b"IHDR", head), extra, chunk(b"IDAT", body), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    body = io.BytesIO()
    image.save(body, kind, **options)  # type: ignore[arg-type]
    return body.getvalue()


def wide(image: Image.Image) -> bytes:
    done, body = cv2.imencode(".png", np.asarray(image).astype(np.uint16) * 257)
    assert done
    return body.tobytes()


BAD = {
    "cut.jpg": (encoded(photo(64, 64), "JPEG")[:-300], "damaged or cut short"),
    "cut.png": (encoded(photo(64, 64), "PNG")[:-300], "damaged or cut short"),
    "cut16.png": (wide(photo(64, 64))[:-300], "damaged or cut short"),
    "cut.webp": (encoded(photo(64, 64), "WEBP")[:-300], "damaged or cut short"),
    "empty.png": (b"", "0 bytes"),
    "text.png": (b"hello", "no picture"),
    "moving.webp": (
        encoded(photo(), "WEBP", save_all=True, append_images=[photo().rotate(180)], duration=50),
        "an animation",
    ),
    "moving.gif": (encoded(photo(), "GIF"), "no picture"),
    "bomb.png": (png_of(20_000, 20_000, depth=8, colour=2, body=b""), "more than 50 megapixels"),
    "large.png": (png_of(8_000, 8_000, depth=8, colour=2, body=b""), "more than 50 megapixels"),
    "hole.heic": (b"\0\0\0\x18ftypheic" + b"\0" * 40, "no picture that can be read|damaged or cut short"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_broken_file_is_refused_in_one_sentence_within_a_second(tmp_path: Path, name: str) -> None:
    body, words = BAD[name]
    (tmp_path / name).write_bytes(body)
    begun = time.monotonic()
    with pytest.raises(Refused, match=words) as caught:
        read(tmp_path / name)
    assert caught.value.message.startswith(name)
    assert caught.value.message.count(".") == 2, "the name's dot and the sentence's"
    assert caught.value.field == "file"
    assert time.monotonic() - begun < 1


def test_a_file_that_is_not_there_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="gone.png is not there"):
        read(tmp_path / "gone.png")
    with pytest.raises(Refused, match="cannot be read"):
        read(tmp_path)
