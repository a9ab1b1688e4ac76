"""A picture handed in is checked before it is decoded, turned upright, and kept without what it carried."""

import io
import struct
import time
import zlib
from pathlib import Path

import pillow_heif
import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from studio.domain import NotFound, Refused
from studio.intake import prepared, read
from tests.fakes import request

MB = 1 << 20
GPS = 0x8825


def picture(width: int = 60, height: int = 40, mode: str = "RGB") -> Image.Image:
    """Dark, but for a light quarter at the top left."""
    made = Image.new("RGB", (width, height), (20, 30, 40))
    made.paste((250, 240, 230), (0, 0, width // 2, height // 2))
    return made.convert(mode, dither=Image.Dither.NONE)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    pillow_heif.register_heif_opener()
    body = io.BytesIO()
    image.save(body, kind, **options)
    return body.getvalue()


def is_light(image: Image.Image, x: float, y: float) -> bool:
    red = image.convert("RGB").getpixel((int(x * image.width), int(y * image.height)))
    return red[0] > 128  # type: ignore[index]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIF"])
def test_each_kind_of_picture_is_read(kind: str) -> None:
    image = read("init", encoded(picture(), kind), most_bytes=MB)
    assert image.size == (60, 40)
    assert [is_light(image, x, y) for x, y in ((0.2, 0.2), (0.8, 0.2), (0.2, 0.8))] == [True, False, False]


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "GIF"])
def test_other_kinds_are_refused(kind: str) -> None:
    with pytest.raises(Refused, match="init is no picture that can be read") as caught:
        read("init", encoded(picture(), kind), most_bytes=MB)
    assert "JPEG, PNG, WEBP or HEIF" in str(caught.value.allowed)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_that_lies_on_its_side_is_turned_upright(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn it by 90 degrees clockwise
    image = read("init", encoded(picture(), kind, exif=exif), most_bytes=MB)
    assert image.size == (40, 60)
    assert [is_light(image, x, y) for x, y in ((0.2, 0.2), (0.8, 0.2))] == [False, True]


def test_what_is_kept_carries_no_metadata() -> None:
    exif = Image.Exif()
    exif[0x010F] = "CameraMaker"
    exif.get_ifd(GPS)[2] = (52.0, 31.0, 12.0)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    handed = encoded(picture(), "JPEG", exif=exif, icc_profile=profile, comment=b"by a person")
    kept = prepared(handed, None, request(), most_bytes=MB)["init"]
    with Image.open(io.BytesIO(kept)) as image:
        assert not image.info
        assert not image.getexif()
    assert b"CameraMaker" not in kept
    info = PngInfo()
    info.add_text("parameters", "a secret prompt")
    assert b"secret" not in prepared(encoded(picture(), "PNG", pnginfo=info), None, request(), most_bytes=MB)["init"]


def test_a_picture_is_cut_about_its_middle_to_the_size_asked_for() -> None:
    kept = prepared(encoded(picture(300, 100), "PNG"), None, request(width=128, height=128), most_bytes=MB)["init"]
    with Image.open(io.BytesIO(kept)) as image:
        assert image.size == (128, 128)
        assert [is_light(image, x, y) for x, y in ((0.2, 0.2), (0.8, 0.2), (0.2, 0.8))] == [True, False, False]


def test_with_super_resolution_twice_the_size_is_kept() -> None:
    asked = request(width=128, height=192, super_resolution=True)
    kept = prepared(encoded(picture(), "PNG"), None, asked, most_bytes=MB)["init"]
    with Image.open(io.BytesIO(kept)) as image:
        assert image.size == (256, 384)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_odd_colours_come_out_right(mode: str) -> None:
    if mode == "I;16":
        light, dark = struct.pack("<H", 60_000), struct.pack("<H", 5_000)
        rows = [light * 30 + dark * 30] * 20 + [dark * 60] * 20
        body = encoded(Image.frombytes("I;16", (60, 40), b"".join(rows)), "PNG")
    else:
        body = encoded(picture(mode=mode), "JPEG" if mode == "CMYK" else "PNG")
    image = read("init", body, most_bytes=MB)
    assert image.mode in ("RGB", "RGBA")
    assert [is_light(image, x, y) for x, y in ((0.2, 0.2), (0.8, 0.8))] == [True, False]


def test_what_is_transparent_becomes_white_in_a_picture_and_black_in_a_mask() -> None:
    clear = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    clear.paste((255, 255, 255, 255), (0, 0, 32, 64))
    body = encoded(clear, "PNG")
    pngs = prepared(body, body, request(width=128, height=128), most_bytes=MB)
    with Image.open(io.BytesIO(pngs["init"])) as init, Image.open(io.BytesIO(pngs["mask"])) as mask:
        assert [is_light(init, x, 0.5) for x in (0.2, 0.8)] == [True, True]
        assert [is_light(mask, x, 0.5) for x in (0.2, 0.8)] == [True, False]
        assert mask.mode == "L"


def test_a_mask_must_have_the_shape_of_its_picture() -> None:
    square = encoded(picture(100, 100), "PNG")
    assert prepared(square, encoded(picture(50, 50), "PNG"), request(), most_bytes=MB).keys() == {"init", "mask"}
    with pytest.raises(Refused, match="mask is 60x40 and init 100x100") as caught:
        prepared(square, encoded(picture(60, 40), "PNG"), request(), most_bytes=MB)
    assert caught.value.field == "mask"


def test_a_mask_that_covers_nothing_is_refused() -> None:
    square = encoded(picture(64, 64), "PNG")
    with pytest.raises(Refused, match="nothing would be painted"):
        prepared(square, encoded(Image.new("L", (64, 64)), "PNG"), request(), most_bytes=MB)


def png_that_says(width: int, height: int) -> bytes:
    """A PNG with this size in its header and one line of pixels behind it."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * (1 + 3 * min(width, 100)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [7_100, 20_000])
def test_a_header_that_promises_too_much_is_refused_before_anything_is_decoded(side: int) -> None:
    started = time.monotonic()
    with pytest.raises(Refused, match="more than 50 megapixels"):
        read("init", png_that_says(side, side), most_bytes=MB)
    assert time.monotonic() - started < 0.5


def test_animations_are_refused() -> None:
    body = encoded(picture(), "WEBP", save_all=True, append_images=[Image.new("RGB", (60, 40))])
    with pytest.raises(Refused, match="an animation"):
        read("init", body, most_bytes=MB)


def test_a_phones_jpeg_with_a_second_picture_behind_it_is_a_photo() -> None:
    body = encoded(picture(), "MPO", save_all=True, append_images=[Image.new("RGB", (60, 40))])
    assert is_light(read("init", body, most_bytes=MB), 0.2, 0.2)


def test_broken_files_are_told_in_one_sentence(tmp_path: Path) -> None:
    whole = encoded(picture(400, 300), "JPEG", quality=95)
    text = tmp_path / "text.png"
    text.write_text("no picture at all")
    for handed in (whole[: len(whole) // 2], b"", text, png_that_says(300, 300)):
        with pytest.raises(Refused, match=r"^init is (damaged or cut short|no picture that can be read)\.$"):
            read("init", handed, most_bytes=MB)


def test_a_file_that_is_too_long_or_not_there_is_told_with_its_field(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="mask has 1.6 MB; at most 1 MB are allowed"):
        read("mask", b"x" * 1_600_000, most_bytes=MB)
    with pytest.raises(NotFound, match="mask: there is no file"):
        read("mask", tmp_path / "nowhere.png", most_bytes=MB)
    with pytest.raises(NotFound, match="init: there is no file"):
        read("init", tmp_path, most_bytes=MB)


def test_colours_are_brought_into_srgb() -> None:
    swapped = swapped_profile()
    plain = read("init", encoded(Image.new("RGB", (8, 8), (200, 40, 40)), "PNG"), most_bytes=MB)
    turned = read("init", encoded(Image.new("RGB", (8, 8), (200, 40, 40)), "PNG", icc_profile=swapped), most_bytes=MB)
    assert plain.getpixel((0, 0)) == (200, 40, 40)
    red, green, _ = turned.getpixel((0, 0))  # type: ignore[misc]
    assert green > 150 > 100 > red


def test_a_profile_that_does_not_fit_the_pixels_is_left_out() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for profile in (lab, b"no profile"):
        image = read("init", encoded(picture(), "PNG", icc_profile=profile), most_bytes=MB)
        assert image.getpixel((59, 39)) == (20, 30, 40)


def swapped_profile() -> bytes:
    """sRGB with the primaries of red and green the other way round."""
    body = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    tags = {bytes(body[at : at + 4]): at for at in range(132, 132 + 12 * struct.unpack(">I", body[128:132])[0], 12)}
    red, green = tags[b"rXYZ"] + 4, tags[b"gXYZ"] + 4
    body[red : red + 8], body[green : green + 8] = body[green : green + 8], body[red : red + 8]
    return bytes(body)
