"""The photo check as a command and as the page asks it: of a folder, or of photos that were handed in."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from skimage import data

from studio.cli.main import main
from studio.domain import OWNER, NotFound, Refused, WeightsMissing
from studio.photo_report import SENTENCES, Reason
from studio.service import Studio
from studio.settings import Settings
from studio.ui.words import Words
from tests.fakes import CLIENT, StillClock

THINGS = ("astronaut", "chelsea", "coffee", "rocket")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with four photos of things and one file that is none."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in THINGS:
        Image.fromarray(getattr(data, name)()).save(folder / f"{name}.jpg")
    (folder / "notes.txt").write_text("no photo")
    (folder / ".hidden.jpg").write_text("what another system leaves behind")
    return folder


@pytest.fixture
def studio(tmp_path: Path, clock: StillClock) -> Iterator[Studio]:
    """One whose models folder is empty."""
    settings = Settings(data=tmp_path / "data", models=tmp_path / "models")
    made = Studio.open(settings, {"HF_HUB_CACHE": str(tmp_path / "cache")}, runners={}, clock=clock)
    made.open_account(CLIENT)
    yield made
    made.close()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a machine without weights."""
    for name in [name for name in os.environ if name.startswith(("STUDIO_", "HF_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("STUDIO_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("STUDIO_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))


def answer(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = main(["tune", "check", *(str(word) for word in words), "--json"])
    return code, json.loads(capsys.readouterr().out)


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("home")
def test_a_folder_is_told_photo_by_photo_and_what_is_none_is_skipped(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (300, 300), "#101010").save(photos / "night.png")
    code, told = answer(capsys, photos, "--class", "object", "--photos", "real")
    assert code == 0
    assert [(one["file"], one["verdict"], one["reasons"]) for one in told["photos"]] == [
        *((f"{name}.jpg", "good", []) for name in ("astronaut", "chelsea", "coffee")),
        ("night.png", "warned", ["dark"]),
        ("rocket.jpg", "good", []),
    ]
    assert told["photos"][3]["said"] == ["The photo is too dark."]
    assert (told["may_start"], told["leave_out"]) == (True, ["night.png"])
    assert told["skipped"] == [".hidden.jpg", "notes.txt"]


@pytest.mark.usefixtures("home")
def test_people_read_a_table_and_whether_it_may_start(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (photos / "coffee.jpg").unlink()
    assert main(["tune", "check", str(photos), "--class", "dog"]) == 0
    printed = capsys.readouterr()
    assert "astronaut.jpg  good" in printed.out
    assert "Too few photos (3): a tune needs at least 4." in printed.out
    assert "For the class dog no faces are looked for." in printed.out
    assert printed.out.endswith("The training may not start on these photos.\n")
    assert "notes.txt is no photo and was skipped." in printed.err


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("words", "field", "allowed"),
    [
        (("--class", "horse"), "class", "dog"),
        (("--photos", "painted"), "photos", "auto, real, drawn"),
        (("--crop", "feet"), "crop", "face, centre, none"),
    ],
)
def test_a_wrong_choice_is_refused_with_what_is_allowed(
    photos: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, str], field: str, allowed: str
) -> None:
    code, told = answer(capsys, photos, *words)
    assert (code, told["field"]) == (2, field)
    assert allowed in told["allowed"]


@pytest.mark.usefixtures("home")
def test_a_folder_that_is_not_there_or_empty_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "nowhere", tmp_path / "empty"):
        code, told = answer(capsys, folder)
        assert (code, told["field"]) == (2, "photos_dir")
        assert str(folder) in told["error"]


@pytest.mark.usefixtures("home", "nothing_shipped")
def test_without_the_weights_the_command_says_how_to_get_them(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, told = answer(capsys, photos, "--photos", "real")
    assert code == 1
    assert told["error"].endswith("python -m studio models fetch dlib-face dlib-landmarks5")


# --- the service -----------------------------------------------------------------------------------------------------


def test_photos_handed_in_are_checked_under_their_names_and_their_crops_fit(studio: Studio, photos: Path) -> None:
    taken = [studio.workshop.take_in(CLIENT, photos / f"{name}.jpg") for name in THINGS]
    report = studio.check_photos(CLIENT, [one.upload for one in taken], class_name="cat", crop="centre")
    assert [one.name for one in report.photos] == [f"{name}.jpg" for name in THINGS]
    assert [(one.width, one.height) for one in report.photos] == [(one.width, one.height) for one in taken]
    assert report.photos[1].crop == (75, 0, 375, 300)
    assert studio.jobs(CLIENT) == []


def test_anothers_photos_do_not_exist(studio: Studio, photos: Path) -> None:
    taken = studio.workshop.take_in(CLIENT, photos / "coffee.jpg")
    with pytest.raises(NotFound):
        studio.check_photos(OWNER, [taken.upload], class_name="cat")


@pytest.mark.usefixtures("nothing_shipped")
def test_missing_weights_and_wrong_choices_are_refused(studio: Studio, photos: Path) -> None:
    with pytest.raises(WeightsMissing):
        studio.check_photos(OWNER, [photos / "coffee.jpg"])
    with pytest.raises(Refused, match="class must be one of"):
        studio.check_photos(OWNER, [photos / "coffee.jpg"], class_name="horse")


# --- the words -------------------------------------------------------------------------------------------------------

VALUES = {
    "why": "a.jpg is damaged or cut short.",
    "n": 3,
    "distance": "0.85",
    "width": 160,
    "height": 200,
    "least": 4,
    "most": 30,
    "name": "a photo.jpg",
    "class_name": "dog",
}


@pytest.mark.parametrize("code", SENTENCES)
def test_every_sentence_of_the_check_is_said_in_german(code: str) -> None:
    sentence = Reason.of(code, **VALUES).sentence
    german = Words("de").said(sentence)
    assert german != sentence
    assert "{" not in german
