"""Before a training every photo has a verdict: what is wrong with it, whose it is, and which part would be learned."""

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps
from skimage import data

from studio.domain import WeightsMissing
from studio.photo_report import CROP_MODES, Handed, PhotoReport, PhotoVerdict, Reason, of_count
from studio.pipelines import photo_check, photo_looks
from studio.pipelines.faces import Box
from studio.pipelines.near_copies import copies, print_of
from studio.pipelines.photo_check import PhotoCheck
from studio.pipelines.photo_sets import strangers
from studio.pipelines.tool_weights import DLIB
from tests.photographs import photographs
from tests.pipelines.tool_models import models, real_models

GOOD = ("obama.jpg", "obama2.jpg", "obama3.jpg")


@pytest.fixture(scope="module")
def check() -> PhotoCheck:
    return PhotoCheck(real_models(*DLIB))


def handed(*files: Path) -> list[Handed]:
    return [Handed(file=file, name=file.name) for file in files]


def codes(one: PhotoVerdict) -> list[str]:
    return [reason.code for reason in one.reasons]


def mirrored_and_lit(folder: Path) -> Path:
    """Head and chest of obama3, the other way round and in another light."""
    with Image.open(photographs() / "obama3.jpg") as photo:
        part = photo.crop((photo.width // 5, 0, photo.width * 17 // 20, photo.height // 2))
    path = folder / "mirrored.jpg"
    ImageEnhance.Brightness(ImageOps.mirror(part)).enhance(1.2).save(path, quality=90)
    return path


def made_of(folder: Path, name: str, change: Callable[[Image.Image], Image.Image], source: str = "obama.jpg") -> Path:
    with Image.open(photographs() / source) as photo:
        change(photo.convert("RGB")).save(folder / name)
    return folder / name


# --- photos of people ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def report(check: PhotoCheck, tmp_path_factory: pytest.TempPathFactory) -> PhotoReport:
    """All photographs there are, and bad ones made of them."""
    folder = tmp_path_factory.mktemp("made")
    taken = [photographs() / name for name in (*GOOD, "32bit.png", "biden.jpg")]
    taken += [photographs() / "obama_partial_face.jpg", photographs() / "obama_partial_face2.jpg"]
    made = [
        mirrored_and_lit(folder),
        made_of(folder, "blurred.jpg", lambda photo: photo.filter(ImageFilter.GaussianBlur(9))),
        made_of(folder, "dark.jpg", lambda photo: ImageEnhance.Brightness(photo).enhance(0.2), "obama2.jpg"),
        made_of(folder, "small.jpg", lambda photo: photo.resize((160, 200))),
    ]
    return check(sorted(handed(*taken, *made), key=lambda one: one.name))


@pytest.mark.parametrize("name", [*GOOD, "mirrored.jpg"])
def test_good_photos_are_good_also_a_mirrored_one_in_another_light(report: PhotoReport, name: str) -> None:
    (one,) = [one for one in report.photos if one.name == name]
    assert (one.verdict, codes(one)) == ("good", [])


@pytest.mark.parametrize(
    ("name", "verdict", "code"),
    [
        ("32bit.png", "warned", "duplicate"),
        ("biden.jpg", "blocking", "other_person"),
        ("obama_partial_face.jpg", "warned", "cut_off"),
        ("obama_partial_face2.jpg", "warned", "cut_off"),
        ("blurred.jpg", "warned", "blurred"),
        ("dark.jpg", "warned", "dark"),
        ("small.jpg", "blocking", "small"),
    ],
)
def test_every_bad_photo_is_told_with_its_reason(report: PhotoReport, name: str, verdict: str, code: str) -> None:
    (one,) = [one for one in report.photos if one.name == name]
    assert one.verdict == verdict
    assert code in codes(one)


def test_the_copy_names_the_picture_it_is_a_copy_of(report: PhotoReport) -> None:
    (one,) = [one for one in report.photos if one.name == "32bit.png"]
    assert [reason.sentence for reason in one.reasons] == ["This is the same picture as obama2.jpg."]


def test_without_the_bad_ones_the_good_ones_are_left(report: PhotoReport) -> None:
    assert not report.may_start
    assert not report.drawn
    left = [one.name for index, one in enumerate(report.photos) if index not in report.leave_out]
    assert sorted(left) == sorted([*GOOD, "mirrored.jpg"])


def test_the_crop_is_a_square_in_the_photo_with_room_for_hair_and_shoulders(report: PhotoReport) -> None:
    (one,) = [one for one in report.photos if one.name == "obama3.jpg"]
    assert one.face is not None
    assert one.crop is not None
    left, top, right, bottom = one.crop
    assert right - left == bottom - top
    assert 0 <= left < right <= one.width == 1434
    assert 0 <= top < bottom <= one.height == 2333
    face = one.face[2] - one.face[0]
    assert 2.5 * face < right - left < 3.5 * face
    assert one.face[1] - top > 0.4 * face, "the hair is in it"
    assert bottom - one.face[3] > face, "so are the shoulders"


def test_photos_on_their_side_and_from_telephones_are_read_right(check: PhotoCheck, tmp_path: Path) -> None:
    pillow_heif.register_heif_opener()
    turned = Image.Exif()
    turned[0x0112] = 6  # turn it by 90 degrees clockwise
    upside_down = Image.Exif()
    upside_down[0x0112] = 3
    with Image.open(photographs() / "obama3.jpg") as photo:
        photo.rotate(90, expand=True).save(tmp_path / "turned.jpg", exif=turned, quality=92)
    with Image.open(photographs() / "obama2.jpg") as photo:
        photo.save(tmp_path / "saved.heic", quality=85)
    with Image.open(photographs() / "obama.jpg") as photo:
        photo.transpose(Image.Transpose.ROTATE_180).save(tmp_path / "turned.png", exif=upside_down)
    files = [tmp_path / "turned.jpg", tmp_path / "saved.heic", tmp_path / "turned.png", mirrored_and_lit(tmp_path)]
    report = check(handed(*files))
    assert [(one.verdict, codes(one)) for one in report.photos] == [("good", [])] * 4
    assert [(one.width, one.height) for one in report.photos[:3]] == [(1434, 2333), (626, 1200), (910, 1137)]
    assert report.may_start
    assert [reason.code for reason in report.told] == ["few", "took_real"]


def beside(folder: Path) -> Path:
    """Two people side by side."""
    both = Image.new("RGB", (1400, 1137), "white")
    with Image.open(photographs() / "obama.jpg") as one, Image.open(photographs() / "biden.jpg") as other:
        both.paste(one.crop((105, 0, 805, 1137)), (0, 0))
        both.paste(other.crop((200, 0, 900, 1137)), (700, 0))
    both.save(folder / "both.jpg")
    return folder / "both.jpg"


def test_two_faces_are_too_many_for_one_and_right_for_a_couple(check: PhotoCheck, tmp_path: Path) -> None:
    both, single = beside(tmp_path), photographs() / "obama3.jpg"
    (one,) = check(handed(both), class_name="man").photos
    assert (one.verdict, codes(one)) == ("blocking", ["several_faces"])
    two, alone = check(handed(both, single), class_name="couple").photos
    assert codes(two) == []
    assert two.crop is not None
    assert two.crop[2] - two.crop[0] > 1000, "both are in the crop"
    assert (alone.verdict, codes(alone)) == ("blocking", ["not_two_faces"])


def test_where_a_person_should_be_a_cup_has_no_face(check: PhotoCheck, tmp_path: Path) -> None:
    Image.fromarray(data.coffee()).save(tmp_path / "cup.jpg")
    (one,) = check(handed(tmp_path / "cup.jpg"), nature="real").photos
    assert (one.verdict, codes(one), one.face) == ("blocking", ["no_face"], None)


# --- without faces ---------------------------------------------------------------------------------------------------


@pytest.fixture
def bare(tmp_path: Path) -> PhotoCheck:
    """A check on a machine that has no weights."""
    return PhotoCheck(models(tmp_path / "no-models", {}))


def photos_of_things(folder: Path) -> list[Handed]:
    for name in ("coffee", "chelsea", "rocket", "astronaut"):
        Image.fromarray(getattr(data, name)()).save(folder / f"{name}.jpg")
    return handed(*sorted(folder.glob("*.jpg")))


@pytest.mark.parametrize("class_name", ["dog", "cat", "object"])
def test_classes_without_faces_need_no_weights_and_say_so(bare: PhotoCheck, tmp_path: Path, class_name: str) -> None:
    report = bare(photos_of_things(tmp_path), class_name=class_name)
    assert [one.verdict for one in report.photos] == ["good"] * 4
    assert report.may_start
    assert f"For the class {class_name} no faces are looked for." in [reason.sentence for reason in report.told]
    crops = [one.crop for one in report.photos]
    assert crops[0] == (0, 0, 512, 512), "the astronaut is square"
    assert crops[1] == (75, 0, 375, 300), "the cat is cut about the middle"


def test_a_dogs_photos_may_be_blurred_and_dark_too(bare: PhotoCheck, tmp_path: Path) -> None:
    cat = Image.fromarray(data.chelsea())
    cat.filter(ImageFilter.GaussianBlur(8)).save(tmp_path / "blurred.jpg")
    ImageEnhance.Brightness(cat).enhance(0.2).save(tmp_path / "dark.jpg")
    blurred, dark = bare(handed(tmp_path / "blurred.jpg", tmp_path / "dark.jpg"), class_name="dog").photos
    assert "blurred" in codes(blurred)
    assert "dark" in codes(dark)


def test_missing_weights_are_one_sentence_with_the_command(bare: PhotoCheck, tmp_path: Path) -> None:
    photos = photos_of_things(tmp_path)
    for nature in ("auto", "real"):
        with pytest.raises(WeightsMissing) as caught:
            bare(photos, nature=nature)
        assert caught.value.message.endswith("models fetch dlib-face dlib-landmarks5")


def sitter(folder: Path, style: str) -> list[Handed]:
    """Ten drawn photos of one sitter, no two in the same shirt before the same background."""
    pytest.importorskip("dicebear")
    from starter.drawing import cut_seed, draw  # noqa: PLC0415 - needs what was just looked for
    from starter.portrait import BACKGROUNDS, SHIRTS, draw_lots  # noqa: PLC0415

    random = Random(7)
    him = replace(draw_lots(random), style=style)
    for index in range(10):
        background, shirt = tuple(BACKGROUNDS)[index % len(BACKGROUNDS)], tuple(SHIRTS)[index * 3 % len(SHIRTS)]
        portrait = replace(him, background=background, shirt=shirt)
        draw(portrait, random, cut=Random(cut_seed(him))).save(folder / f"{index}.png")
    return handed(*sorted(folder.glob("*.png")))


@pytest.mark.parametrize("style", ["flat cartoon", "comic", "pixel art"])
def test_drawn_photos_of_a_sitter_are_taken_as_drawn_and_good(bare: PhotoCheck, tmp_path: Path, style: str) -> None:
    report = bare(sitter(tmp_path, style))
    assert report.drawn
    assert [reason.code for reason in report.told] == ["took_drawn"]
    assert [(one.verdict, codes(one)) for one in report.photos] == [("good", [])] * 10
    assert report.may_start


def drawing(path: Path, colour: str) -> Path:
    image = Image.new("RGB", (300, 300), colour)
    ImageDraw.Draw(image).ellipse((80, 60, 220, 240), fill="#f4c9a0", outline="black", width=4)
    image.save(path)
    return path


@pytest.mark.parametrize(("photos", "drawn"), [(1, True), (2, False)])
def test_a_set_is_drawn_where_four_fifths_of_it_look_so(
    bare: PhotoCheck, tmp_path: Path, photos: int, drawn: bool
) -> None:
    colours = ("#8ecae6", "#d62828", "#2a9d8f", "#ffb703")
    files = [drawing(tmp_path / f"{colour[1:]}.png", colour) for colour in colours]
    report = bare([*handed(*files), *photos_of_things(tmp_path)[:photos]], class_name="cat")
    assert report.drawn == drawn


def test_what_is_said_to_be_drawn_or_real_is_taken_so(bare: PhotoCheck, tmp_path: Path) -> None:
    photos = photos_of_things(tmp_path)
    assert bare(photos, nature="drawn").drawn
    file = drawing(tmp_path / "a.png", "#8ecae6")
    assert not bare(handed(file), nature="real", class_name="object").drawn


def test_a_file_that_is_no_picture_stops_the_start_and_not_the_check(bare: PhotoCheck, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff" + b"x" * 100)
    report = bare([*photos_of_things(tmp_path)], class_name="object")
    bad = [one for one in report.photos if one.name == "bad.jpg"]
    assert [(one.verdict, codes(one)) for one in bad] == [("blocking", ["unreadable"])]
    assert bad[0].reasons[0].sentence.startswith("bad.jpg ")
    assert not report.may_start


def test_every_photo_is_decoded_once(bare: PhotoCheck, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    decode = photo_check.read

    def counted(path: Path, **options: Any) -> Any:
        read.append(path.name)
        return decode(path, **options)

    monkeypatch.setattr(photo_check, "read", counted)
    steps: list[tuple[int, int]] = []
    photos = photos_of_things(tmp_path)
    bare(photos, class_name="object", seen=lambda done, of: steps.append((done, of)))
    assert sorted(read) == sorted(one.name for one in photos)
    assert steps == [(number, 8) for number in range(1, 9)]


# --- copies ----------------------------------------------------------------------------------------------------------


def changed(how: str) -> np.ndarray[Any, Any]:
    photo = Image.fromarray(data.astronaut())
    match how:
        case "smaller":
            photo = photo.resize((200, 200))
        case "cropped":
            photo = photo.crop((20, 35, 490, 500))
        case "compressed":
            body = io.BytesIO()
            photo.save(body, "JPEG", quality=30)
            photo = Image.open(body)
        case "mirrored":
            photo = ImageOps.mirror(photo)
        case "another mouth":
            ImageDraw.Draw(photo).ellipse((200, 145, 245, 175), fill="#401010")
    return np.asarray(photo)


@pytest.mark.parametrize(
    ("how", "same"),
    [
        ("not", True),
        ("smaller", True),
        ("cropped", True),
        ("compressed", True),
        ("mirrored", False),
        ("another mouth", False),
    ],
)
def test_a_copy_is_known_and_what_is_no_copy_is_not(how: str, same: bool) -> None:
    prints = [print_of(changed("not")), print_of(data.coffee()), print_of(changed(how))]
    assert copies(prints) == ([[0, 2]] if same else [])


# --- people ----------------------------------------------------------------------------------------------------------


def face(*place: float) -> np.ndarray[Any, Any]:
    return np.array(place)


def test_who_is_not_on_most_photos_is_another_person() -> None:
    faces = {0: [face(0, 0)], 1: [face(3, 0)], 2: [face(0.1, 0)], 4: [face(0, 0.5)], 5: []}
    found, mixed = strangers(faces)
    assert (list(found), mixed) == ([1], False)


def test_with_two_photos_or_no_majority_nobody_is_named() -> None:
    assert strangers({0: [face(0)], 1: [face(3)]}) == ({}, False)
    assert strangers({0: [face(0)], 1: [face(3)], 2: [face(6)]}) == ({}, True)
    assert strangers({}) == ({}, False)


def test_a_couple_is_the_same_whoever_stands_on_the_left() -> None:
    left, right, other = face(0.0), face(5.0), face(9.0)
    faces = {0: [left, right], 1: [right, left], 2: [left, right], 3: [left, other], 4: [left]}
    assert list(strangers(faces)[0]) == [3]


# --- crops -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [(0, 0), (500, 300), (880, 700), (-30, 200)])
@pytest.mark.parametrize("size", [(1000, 800), (200, 900), (150, 150)])
def test_a_crop_lies_in_the_photo_wherever_the_face_is(place: tuple[int, int], size: tuple[int, int]) -> None:
    box = Box(left=place[0], top=place[1], width=120, height=120)
    left, top, right, bottom = photo_looks.around([box], *size)
    assert 0 <= left < right <= size[0]
    assert 0 <= top < bottom <= size[1]
    assert right - left == bottom - top == min(360, *size)


def test_the_crop_may_be_about_the_face_about_the_middle_or_none() -> None:
    box = Box(left=100, top=100, width=100, height=100)
    found = {mode: photo_looks.crop_of(mode, [box], 1000, 600) for mode in CROP_MODES}  # type: ignore[arg-type]
    assert found == {"face": (0, 15, 300, 315), "centre": (200, 0, 800, 600), "none": None}
    assert photo_looks.crop_of("face", [], 1000, 600) == (200, 0, 800, 600)


# --- the set ---------------------------------------------------------------------------------------------------------


def of_verdicts(words: Sequence[str]) -> PhotoReport:
    said = {"good": (), "warned": (Reason.of("dark"),), "blocking": (Reason.of("no_face"),)}
    photos = tuple(PhotoVerdict(name=f"{index}", reasons=said[word]) for index, word in enumerate(words))
    return PhotoReport(photos=photos, drawn=False, told=of_count(len(photos)))


def test_warnings_are_left_out_while_enough_good_photos_stay() -> None:
    enough = of_verdicts(["good"] * 4 + ["warned", "blocking"])
    assert (enough.leave_out, enough.may_start) == ((4, 5), False)
    few = of_verdicts(["good"] * 3 + ["warned", "blocking"])
    assert few.leave_out == (4,)
    assert of_verdicts(["good"] * 4 + ["warned"] * 2).may_start


@pytest.mark.parametrize(
    ("count", "code", "starts"),
    [
        (3, "too_few", False),
        (4, "few", True),
        (10, None, True),
        (20, None, True),
        (21, "many", True),
        (31, "too_many", False),
    ],
)
def test_the_number_of_photos_is_judged(count: int, code: str | None, starts: bool) -> None:
    report = of_verdicts(["good"] * count)
    assert [reason.code for reason in report.told] == ([code] if code else [])
    assert report.may_start == starts
