"""`tune train | list | show` and `avatars`: a likeness by commands alone."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from studio.cli.main import main
from studio.domain import OWNER, Cancelled, IsCancelled, Report, Task, Trained
from studio.rules import new_id
from studio.service import Studio
from studio.settings import Settings
from tests.test_cli import Done
from tests.test_tuning import Painter, Trainer


class Shell:
    """Runs commands in this process; trainings and pictures are fakes, the photos real files."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.settings = Settings(data=folder / "data")
        self.capture = capture
        self.trainer, self.painter = Trainer(), Painter()
        self.photos = folder / "photos"
        self.photos.mkdir()
        for number in range(5):
            Image.effect_noise((300, 300), 40 + 10 * number).convert("RGB").save(self.photos / f"{number}.png")

    def __call__(self, *words: str) -> Done:
        self.capture.readouterr()
        code = main(words, runners={"tune": self.trainer, "image": self.painter})
        printed = self.capture.readouterr()
        return Done(code, printed.out, printed.err)

    def train(self, *words: str) -> Done:
        asked = ("--name", "Mug", "--class", "object", "--photos", "drawn", "--consent", "--json")
        return self("tune", "train", str(self.photos), *asked, *words)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    for name in [name for name in os.environ if name.startswith(("STUDIO_", "HF_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("STUDIO_DATA", str(tmp_path / "data"))
    made = Shell(tmp_path, capsys)
    yield made
    if made.settings.data.exists():
        studio = Studio.open(made.settings)
        assert studio.verify() == []
        studio.close()


def test_a_folder_of_photos_becomes_a_tune_and_sixty_four_avatars(shell: Shell) -> None:
    done = shell.train()
    assert done.code == 0, done.err
    body = done.json
    assert body["price"] == 1 and len(body["pictures"]) == 64
    assert "costs 1 tune credit, and then the avatars 64 tune-image credits." in done.err
    assert done.err.index("costs 1 tune credit") < done.err.index(f"Job {body['job']}")
    assert {"tune", "job", "seconds", "pictures"} <= body.keys()
    assert all(Path(one["path"]).is_file() for one in body["pictures"])
    (listed,) = shell("tune", "list", "--json").json["tunes"]
    assert (listed["id"], listed["name"], listed["state"]) == (body["tune"], "Mug", "ready") and listed["expires_at"]
    shown = shell("tune", "show", body["tune"], "--json").json
    assert len(shown["made"]) == 64 and len(shown["losses"]) == 200
    assert shell("credits", "show", "--json").json["tune_image"]["posted"] == 0


def test_the_same_id_again_is_the_same_tune(shell: Shell) -> None:
    job_id = new_id()
    first, second = (shell.train("--id", job_id, "--styles", "toon", "--seed", "1").json for _ in range(2))
    assert first["tune"] == second["tune"] and len(shell.trainer.tasks) == 1
    assert [one["id"] for one in first["pictures"]] == [one["id"] for one in second["pictures"]]


def test_a_training_is_paused_and_resumed_by_commands(shell: Shell) -> None:
    def pausing(task: Task, report: Report, is_cancelled: IsCancelled) -> Iterator[Trained]:
        studio = Studio.open(shell.settings)  # as from another window
        studio.tuning.pause(OWNER, studio.tuning.of_job(OWNER, task.job_id).id)
        studio.close()
        assert is_cancelled()
        raise Cancelled
        yield

    trainer, shell.trainer = shell.trainer, pausing  # type: ignore[assignment]
    job_id = new_id()
    done = shell.train("--styles", "toon", "--id", job_id)
    assert done.code == 1 and f"tune resume {done.json['tune']}" in done.json["error"]
    Image.new("RGB", (40, 40), "red").save(shell.photos / "small.png")  # begun is begun: nobody looks at photos again
    again = shell.train("--styles", "toon", "--id", job_id)
    assert (again.code, again.json["tune"]) == (1, done.json["tune"])
    other = shell.train("--styles", "storybook", "--id", job_id)
    assert (other.code, other.json["field"]) == (1, "id")
    assert shell("tune", "pause", done.json["tune"], "--json").json["state"] == "paused"
    shell.trainer = trainer
    resumed = shell("tune", "resume", done.json["tune"], "--json")
    assert (resumed.code, len(resumed.json["pictures"]), resumed.json["job"]) == (0, 8, done.json["job"])
    again = shell("tune", "resume", done.json["tune"], "--json")
    assert (again.code, again.json["field"]) == (2, "tune")


def test_nothing_is_trained_without_consent(shell: Shell) -> None:
    done = shell("tune", "train", str(shell.photos), "--name", "Mug", "--class", "object", "--json")
    assert (done.code, done.json["field"]) == (2, "consent") and "agreed" in done.json["error"]
    assert shell.trainer.tasks == [] and shell("tune", "list", "--json").json["tunes"] == []


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (("--class", "horse"), "class"),
        (("--steps", "9"), "steps"),
        (("--rank", "0"), "rank"),
        (("--base", "nothing"), "base"),
        (("--styles", "toon,toon"), "styles"),
        (("--styles", "no-such-style"), "style"),
        (("--policy", "keep-all"), "policy"),
        (("--name", ""), "name"),
        (("--id", "7"), "id"),
    ],
)
def test_what_is_refused_is_one_sentence_and_leaves_nothing(shell: Shell, words: tuple[str, str], field: str) -> None:
    done = shell.train(*words)
    assert (done.code, done.json["field"]) == (2, field)
    assert shell.trainer.tasks == []
    uploads = shell.settings.data / "uploads"
    assert not uploads.exists() or list(uploads.iterdir()) == []


def test_bad_photos_stop_the_start_and_can_be_left_out(shell: Shell) -> None:
    Image.new("RGB", (40, 40), "red").save(shell.photos / "small.png")
    done = shell.train()
    assert (done.code, done.json["field"]) == (2, "photos") and "small.png" in done.json["error"]
    assert shell.train("--leave-out-bad", "--styles", "").code == 0
    assert len(shell.trainer.tasks[0].inputs) == 5


def test_avatars_of_a_tune_go_into_a_folder(shell: Shell, tmp_path: Path) -> None:
    tune = shell.train("--styles", "").json["tune"]
    words = ("--prompt", "{subject} on a shelf", "--style", "toon", "--count", "2", "--out", str(tmp_path / "out"))
    done = shell("avatars", tune, *words, "--json")
    assert done.code == 0, done.err
    assert done.json["price"] == 2 and len(list((tmp_path / "out").iterdir())) == 2
    assert shell.painter.tasks[-1].request.to_json()["prompt"] == "sks person on a shelf"
    assert shell("avatars", new_id(), "--json").json["field"] == "tune"
    assert shell("avatars", tune, "--count", "9", "--json").json["field"] == "count"
    assert shell("avatars", tune, "--base", "nothing", "--json").json["field"] == "base"


def test_what_the_page_folds_away_can_be_asked_for_by_command(shell: Shell) -> None:
    plain, otherwise = (), ("--text-encoder", "--no-prior", "--no-mirrored", "--caption", "in the snow")
    wanted = {plain: (None, True, True, ""), otherwise: (True, False, False, "in the snow")}
    for words, fields in wanted.items():
        assert shell.train("--styles", "", *words).code == 0
        asked = shell.trainer.tasks[-1].request.to_json()
        assert tuple(asked[name] for name in ("text_encoder", "prior", "mirrored", "caption")) == fields
    assert shell.train("--styles", "", "--no-text-encoder").code == 0
    assert shell.trainer.tasks[-1].request.to_json()["text_encoder"] is False
