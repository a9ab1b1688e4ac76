"""The tools as commands: files in, files out under their names, a report for each, and none overwritten unasked."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from studio.cli.main import main
from studio.domain import OWNER, Runner
from studio.pipelines.weights import Catalogue
from studio.rules import new_id
from studio.service import Studio
from studio.settings import Settings
from studio.tools import MOST_UPLOADS
from studio.workshop import KINDS
from tests.test_cli import Done
from tests.test_workshop import WEIGHTS, a_file, cut_short, png
from tests.touch_up import NO_FACE, TouchUp

LATE = 5.0  # seconds: five times what it may take on idle cores, and less than anybody waits for a network


@dataclass
class Shell:
    """Runs commands in this process; the tools are the touch-up. `here` is where the person's files lie."""

    here: Path
    settings: Settings
    capture: pytest.CaptureFixture[str]
    tool: TouchUp = field(default_factory=TouchUp)

    def __call__(self, *words: str | Path) -> Done:
        self.capture.readouterr()
        runners: dict[str, Runner] = dict.fromkeys(KINDS, self.tool)
        code = main([str(word) for word in words], runners=runners)
        printed = self.capture.readouterr()
        return Done(code, printed.out, printed.err)

    def json(self, *words: str | Path) -> tuple[int, dict[str, Any]]:
        done = self(*words, "--json")
        return done.code, done.json

    def spent(self) -> int:
        _, history = self.json("credits", "history")
        return -sum(entry["posted"] for entry in history["entries"] if entry["phase"] == "capture")


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    settings = Settings(data=tmp_path / "data", models=tmp_path / "models")
    catalogue = Catalogue.read()
    for name in WEIGHTS:
        a_file(settings.models / catalogue.weight(name).file, catalogue.weight(name).bytes)
    for name in [name for name in os.environ if name.startswith(("STUDIO_", "HF_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("STUDIO_DATA", str(settings.data))
    monkeypatch.setenv("STUDIO_MODELS", str(settings.models))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    (tmp_path / "here").mkdir()
    yield Shell(tmp_path / "here", settings, capsys)
    if settings.data.exists():
        studio = Studio.open(settings)
        assert studio.verify() == []
        studio.close()


def test_pictures_come_out_under_their_files_names_with_what_they_cost(shell: Shell, tmp_path: Path) -> None:
    files = [png(shell.here / "a.png"), png(shell.here / "b.webp", 31)]
    code, answer = shell.json("upscale", *files, "--scale", "4", "--out", tmp_path / "out")
    assert (code, answer["price"], answer["errors"]) == (0, 4, [])
    assert [Path(one["path"]).name for one in answer["pictures"]] == ["a-x4.png", "b-x4.png"]
    assert [(one["width"], one["height"], one["file"]) for one in answer["pictures"]] == [
        (120, 80, str(files[0])),
        (124, 80, str(files[1])),
    ]
    with Image.open(tmp_path / "out" / "b-x4.png") as made:
        assert made.size == (124, 80)
    assert {"job", "seconds", "warnings"} <= set(answer)
    assert shell.spent() == 4


def test_a_bad_file_is_one_sentence_the_rest_is_done_and_the_command_fails(shell: Shell, tmp_path: Path) -> None:
    files = [
        cut_short(shell.here / "a.jpg"),
        png(shell.here / "b.png"),
        png(shell.here / "c.png", NO_FACE),
        shell.here / "d.png",
    ]
    code, answer = shell.json("face", *files, "--out", tmp_path / "out")
    assert (code, answer["error"]) == (1, "3 of 4 files failed.")
    assert [(Path(one["file"]).name, one["error"]) for one in answer["errors"]] == [
        ("a.jpg", "a.jpg is damaged or cut short."),
        ("c.png", "No face was found."),
        ("d.png", "d.png is not there."),
    ]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b-face.png"]
    assert shell.spent() == 1
    done = shell("face", files[2])
    assert (done.code, done.out) == (1, "")
    assert "c.png: No face was found." in done.err


def test_where_every_file_is_bad_there_is_no_job_and_no_folder(shell: Shell, tmp_path: Path) -> None:
    code, answer = shell.json("background", cut_short(shell.here / "a.jpg"), "--out", tmp_path / "out")
    assert (code, answer["job"], answer["price"], answer["pictures"]) == (1, None, 0, [])
    assert answer["error"] == "a.jpg is damaged or cut short."
    assert not (tmp_path / "out").exists()
    assert shell.json("jobs", "list")[1]["jobs"] == []
    assert list((shell.settings.data / "uploads").iterdir()) == []


def test_a_file_that_is_there_is_not_overwritten_unless_told_and_not_paid_again(shell: Shell, tmp_path: Path) -> None:
    one, two = png(shell.here / "a.png"), png(shell.here / "b.png", 31)
    out = tmp_path / "out"
    assert shell("upscale", one, "--out", out).code == 0
    (out / "a-x4.png").write_bytes(b"mine")
    code, answer = shell.json("upscale", one, two, "--out", out)
    assert code == 1
    assert [Path(each["path"]).name for each in answer["pictures"]] == ["b-x4.png"]
    assert "a-x4.png is there already" in answer["errors"][0]["error"]
    assert (out / "a-x4.png").read_bytes() == b"mine"
    assert shell.spent() == 2 + 2
    code, answer = shell.json("upscale", one, "--out", out, "--overwrite")
    assert (code, (out / "a-x4.png").read_bytes() == b"mine") == (0, False)


def test_the_same_id_again_is_the_same_job(shell: Shell, tmp_path: Path) -> None:
    file, job_id = png(shell.here / "a.png"), new_id()
    first = shell.json("upscale", file, "--out", tmp_path / "out", "--id", job_id)
    again = shell.json("upscale", file, "--out", tmp_path / "out", "--id", job_id)
    assert first == again
    assert (first[0], first[1]["job"], shell.spent()) == (0, job_id, 2)
    code, answer = shell.json("upscale", file, "--scale", "2", "--out", tmp_path / "out", "--id", job_id)
    assert (code, answer["field"]) == (1, "id")


def test_a_folder_is_its_pictures_and_two_of_one_name_have_numbers(shell: Shell, tmp_path: Path) -> None:
    shots = shell.here / "shots"
    shots.mkdir()
    for width, name in ((31, "b.png"), (32, "a.JPG"), (33, "a.png")):
        png(shots / name, width)
    (shots / "notes.txt").write_text("no picture")
    code, answer = shell.json("background", shots, "--out", tmp_path / "out")
    assert code == 0
    assert [Path(one["path"]).name for one in answer["pictures"]] == ["a-cut.png", "a-cut-2.png", "b-cut.png"]
    (shell.here / "empty").mkdir()
    code, answer = shell.json("background", shell.here / "empty")
    assert (code, answer["field"]) == (2, "files")


def test_too_many_files_are_refused_unread(shell: Shell) -> None:
    code, answer = shell.json("face", *(shell.here / f"{index}.png" for index in range(MOST_UPLOADS + 1)))
    assert (code, answer["field"], answer["allowed"]) == (2, "files", f"1 to {MOST_UPLOADS} pictures")


@pytest.mark.parametrize(
    ("words", "field", "allowed"),
    [
        ("upscale --scale 3", "scale", "2, 4"),
        ("upscale --scale four", "scale", "2, 4"),
        ("upscale --model waifu2x", "model", "realesrgan-x4plus"),
        ("face --strength nan", "strength", "0.05 to 1"),
        ("face --strength 1.5", "strength", "0.05 to 1"),
        ("background --on mauve", "on", "#rrggbb"),
        ("background --on picture", "behind", "picture"),
        ("background --model auto", "model", "u2netp"),
        ("upscale --id 7", "id", "UUID"),
        ("upscale", "files", "FILE"),
    ],
)
def test_bad_usage_is_one_sentence_and_costs_nothing(shell: Shell, words: str, field: str, allowed: str) -> None:
    file = [] if words == "upscale" else [png(shell.here / "a.png")]
    code, answer = shell.json(*words.split(), *file)
    assert code == 2
    assert field in (answer["field"] or answer["error"])
    assert allowed in f"{answer['error']} {answer['allowed']}"
    assert not shell.tool.asked


@pytest.mark.usefixtures("nothing_shipped")
@pytest.mark.parametrize("kind", KINDS)
def test_missing_weights_are_one_sentence_with_the_command_within_a_second(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    monkeypatch.setenv("STUDIO_MODELS", str(tmp_path / "nowhere"))
    shell("jobs", "list")  # what is imported once is not what is measured
    begun = time.monotonic()
    code, answer = shell.json(kind, png(shell.here / "a.png"))
    assert time.monotonic() - begun < LATE
    assert code == 1
    assert "python -m studio models fetch" in answer["error"]


def test_what_a_picture_is_put_on_may_be_a_file(shell: Shell, tmp_path: Path) -> None:
    ground = png(shell.here / "beach.png", 50)
    code, answer = shell.json("background", png(shell.here / "a.png"), "--on", ground)
    assert code == 0
    request = shell.json("jobs", "show", answer["job"])[1]["request"]
    assert request["on"] == "picture" and request["behind"]
    assert "behind" in shell.tool.asked[0].inputs


def test_the_mask_goes_beside_the_picture_where_it_is_asked_for(shell: Shell, tmp_path: Path) -> None:
    file = shell.here / "a.png"
    Image.new("RGBA", (20, 10), (255, 0, 0, 90)).save(file)
    code, _ = shell.json("background", file, "--mask", "--out", tmp_path / "out")
    assert code == 0
    with Image.open(tmp_path / "out" / "a-mask.png") as mask:
        assert (mask.mode, mask.size, mask.getpixel((3, 3))) == ("L", (20, 10), 90)


def test_how_far_a_face_is_from_what_it_was_is_told(shell: Shell) -> None:
    done = shell("face", png(shell.here / "a.png"))
    assert "A face of 30 pixels: strength 0.8, distance 0.12." in done.err
    _, answer = shell.json("face", shell.here / "a.png")
    assert answer["pictures"][0]["faces"][0]["distance"] == 0.12


def test_stopping_while_files_are_read_leaves_nothing(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def stop(self: Path) -> bytes:
        if self.parent == shell.here:
            read.append(self)
            if len(read) == 2:
                raise KeyboardInterrupt
        with self.open("rb") as file:
            return file.read()

    files = [png(shell.here / f"{name}.png", width) for width, name in ((20, "a"), (21, "b"))]
    monkeypatch.setattr(Path, "read_bytes", stop)
    code, answer = shell.json("face", *files)
    assert (code, answer["error"]) == (1, "Stopped.")
    studio = Studio.open(shell.settings)
    assert studio.jobs(OWNER) == []
    studio.close()
    assert list((shell.settings.data / "uploads").iterdir()) == []
    json.dumps(answer)
