"""Exports from the request to the file that is fetched: whose it is, how long it stays, what is refused."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from studio.cli.main import main
from studio.domain import (
    OWNER,
    BrokenWeights,
    Exported,
    IsCancelled,
    NotFound,
    Refused,
    Report,
    StudioError,
    Task,
    Trained,
    Tune,
)
from studio.export_request import FORMATS, file_name
from studio.rules import new_id
from studio.service import Studio
from studio.settings import Settings
from studio.tunes import CONSENT
from tests.fakes import StillClock
from tests.test_cli import Done

DAY = 86_400
CLIENT = "client"

Command = Callable[..., Done]


class Trainer:
    """Trains nothing, but says it did."""

    def __call__(self, task: Task, report: Report, is_cancelled: IsCancelled) -> Iterator[Trained]:
        file = task.folder / "lora.safetensors"
        file.write_bytes(b"a tune")
        yield Trained(index=0, file=file, losses=(1.0,), recipe={"subject": "sks person"})


class Packer:
    """Packs nothing, but says it did; or fails half way."""

    def __init__(self) -> None:
        self.error: StudioError | None = None
        self.tasks: list[Task] = []

    def __call__(self, task: Task, report: Report, is_cancelled: IsCancelled) -> Iterator[Exported]:
        self.tasks.append(task)
        file = task.folder / "export"
        file.write_bytes(b"half")
        if self.error:
            raise self.error
        assert task.tune is not None
        file.write_bytes(b"whole: " + task.tune.read_bytes())
        yield Exported(index=0, file=file, sha256="0" * 64)


class Packing:
    """A studio with a tune that is ready, and somebody whose it is not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock, self.packer = StillClock(), Packer()
        settings = Settings.read({"STUDIO_DATA": str(folder / "data")})
        self.studio = Studio.open(settings, {}, runners={"tune": Trainer(), "export": self.packer}, clock=self.clock)
        self.studio.open_account(CLIENT)
        self.tune = self.train()

    def train(self) -> Tune:
        photos = [self.folder / f"photo-{number}.png" for number in range(4)]
        for number, file in enumerate(photos):
            Image.effect_noise((32, 32), 10 + number).convert("RGB").save(file)
        asked = {"name": "Ada L.", "class_name": "woman", "consent": CONSENT, "styles": []}
        job = self.studio.tuning.train(OWNER, asked, photos)
        self.studio.wait(OWNER, job.id)
        return self.studio.tuning.of_job(OWNER, job.id)

    def left(self) -> list[str]:
        folder = self.folder / "data/exports"
        return sorted(file.name for file in folder.iterdir()) if folder.exists() else []


@pytest.fixture
def packing(tmp_path: Path) -> Iterator[Packing]:
    made = Packing(tmp_path)
    yield made
    made.studio.close()


def test_an_export_is_a_job_that_costs_nothing_and_leaves_a_file_to_fetch(packing: Packing) -> None:
    studio, tune = packing.studio, packing.tune
    job = studio.wait(OWNER, studio.exports.export(OWNER, tune.id, "kohya").id)
    assert (job.state, job.charges, job.delivered) == ("done", (), 1)
    assert packing.packer.tasks[0].about == tune
    file = studio.exports.file(OWNER, job.id)
    assert file.read_bytes() == b"whole: a tune"
    (export,) = studio.exports.of_tune(OWNER, tune.id)
    assert (export.job, export.format, export.bytes, export.name) == (job.id, "kohya", 13, "ada-l-lora.safetensors")
    assert export.expires_at - export.made_at == DAY
    assert studio.verify() == []


def test_a_double_click_is_one_export(packing: Packing) -> None:
    studio, job_id = packing.studio, new_id()
    for _ in range(2):
        job = studio.exports.export(OWNER, packing.tune.id, "tar", job_id=job_id)
        studio.wait(OWNER, job.id)
    assert len(packing.packer.tasks) == len(studio.exports.of_tune(OWNER, packing.tune.id)) == 1


def test_an_export_that_fails_leaves_no_file_and_says_why(packing: Packing) -> None:
    studio = packing.studio
    packing.packer.error = BrokenWeights("It was read back and is not the tune.")
    job = studio.wait(OWNER, studio.exports.export(OWNER, packing.tune.id, "ckpt").id)
    assert (job.state, job.error) == ("failed", "It was read back and is not the tune.")
    assert packing.left() == [] and studio.exports.of_tune(OWNER, packing.tune.id) == []
    with pytest.raises(NotFound):
        studio.exports.file(OWNER, job.id)
    assert list((packing.folder / "data/jobs").iterdir()) == []


def test_after_a_day_an_export_is_out_of_reach(packing: Packing) -> None:
    studio = packing.studio
    job = studio.wait(OWNER, studio.exports.export(OWNER, packing.tune.id, "kohya").id)
    packing.clock.now += DAY
    assert studio.exports.of_tune(OWNER, packing.tune.id) == []
    with pytest.raises(NotFound, match="24 hours"):
        studio.exports.file(OWNER, job.id)
    studio.retention.sweep()
    assert packing.left() == []


def test_a_file_that_is_gone_is_not_offered(packing: Packing) -> None:
    studio = packing.studio
    job = studio.wait(OWNER, studio.exports.export(OWNER, packing.tune.id, "kohya").id)
    studio.exports.file(OWNER, job.id).unlink()
    assert studio.exports.of_tune(OWNER, packing.tune.id) == []
    with pytest.raises(NotFound):
        studio.exports.file(OWNER, job.id)


def test_another_account_s_tune_and_export_do_not_exist(packing: Packing) -> None:
    studio = packing.studio
    job = studio.wait(OWNER, studio.exports.export(OWNER, packing.tune.id, "kohya").id)
    for ask in (
        lambda: studio.exports.export(CLIENT, packing.tune.id, "kohya"),
        lambda: studio.exports.of_tune(CLIENT, packing.tune.id),
        lambda: studio.exports.formats(CLIENT, packing.tune.id),
        lambda: studio.exports.file(CLIENT, job.id),
        lambda: studio.exports.get(CLIENT, job.id),
    ):
        with pytest.raises(NotFound):
            ask()


def test_an_unknown_form_is_refused_naming_those_there_are(packing: Packing) -> None:
    with pytest.raises(Refused, match="diffusers, kohya, safetensors, ckpt, tar"):
        packing.studio.exports.export(OWNER, packing.tune.id, "onnx")
    assert packing.studio.exports.formats(OWNER, packing.tune.id) == FORMATS


@pytest.mark.parametrize(
    ("name", "file"),
    [("Ada L.", "ada-l.ckpt"), ("../../etc/passwd", "etc-passwd.ckpt"), ("Zoë", "zoë.ckpt"), ("***", "tune.ckpt")],
)
def test_a_file_is_called_by_its_tune_and_never_a_path(name: str, file: str) -> None:
    assert file_name(name, "ckpt") == file


# --- by a command ---


@pytest.fixture
def command(packing: Packing, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    packing.studio.close()
    monkeypatch.setenv("STUDIO_DATA", str(packing.folder / "data"))

    def run(*words: str) -> Done:
        capsys.readouterr()
        code = main(words, runners={"export": packing.packer})
        printed = capsys.readouterr()
        return Done(code, printed.out, printed.err)

    return run


def test_a_command_puts_the_file_where_it_is_told_and_says_where(packing: Packing, command: Command) -> None:
    out = packing.folder / "mine" / "ada.safetensors"
    done = command("tune", "export", packing.tune.id, "--format", "kohya", "--out", str(out), "--json")
    assert done.code == 0, done.err
    assert done.json["path"] == str(out) and done.json["format"] == "kohya" and done.json["bytes"] == 13
    assert out.read_bytes() == b"whole: a tune" and done.json["job"] == packing.packer.tasks[0].job_id


def test_in_a_folder_the_file_is_called_by_the_tune(packing: Packing, command: Command) -> None:
    done = command("tune", "export", packing.tune.id, "--format", "tar", "--out", str(packing.folder))
    assert (done.code, done.out.strip()) == (0, str(packing.folder / "ada-l.tar"))


def test_a_file_that_is_there_stays_unless_it_may_be_overwritten(packing: Packing, command: Command) -> None:
    out = packing.folder / "ada.ckpt"
    out.write_text("mine")
    asked = ("tune", "export", packing.tune.id, "--format", "ckpt", "--out", str(out))
    done = command(*asked)
    assert done.code == 1 and "there already" in done.err and out.read_text() == "mine"
    assert packing.packer.tasks == [], "nothing was made for nothing"
    assert command(*asked, "--overwrite").code == 0 and out.read_bytes() == b"whole: a tune"


def test_the_same_id_again_is_the_same_export(packing: Packing, command: Command) -> None:
    asked = ("tune", "export", packing.tune.id, "--format", "ckpt", "--id", new_id(), "--out")
    first, second = (command(*asked, str(packing.folder / name), "--json") for name in ("a.ckpt", "b.ckpt"))
    assert first.code == second.code == 0 and first.json["job"] == second.json["job"]
    assert len(packing.packer.tasks) == 1


def test_a_command_whose_export_fails_leaves_nothing_and_says_why(packing: Packing, command: Command) -> None:
    packing.packer.error = BrokenWeights("It was read back and is not the tune.")
    out = packing.folder / "new" / "ada.ckpt"
    done = command("tune", "export", packing.tune.id, "--format", "ckpt", "--out", str(out), "--json")
    assert done.code == 1 and done.json["error"] == "It was read back and is not the tune."
    assert not out.parent.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [(("--format", "onnx"), "diffusers, kohya, safetensors, ckpt, tar"), (("--format", "tar", "--id", "7"), "UUID")],
)
def test_bad_usage_of_the_command_exits_2(
    packing: Packing, command: Command, words: tuple[str, ...], said: str
) -> None:
    done = command("tune", "export", packing.tune.id, "--out", str(packing.folder / "x"), *words)
    assert done.code == 2 and said in done.err
