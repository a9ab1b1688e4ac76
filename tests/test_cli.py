"""What commands print, how they end, and what they leave: for scripts that rely on it, and for people."""

import errno
import io
import json
import os
import re
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from studio.cli.main import main
from studio.cli.out_folder import OutFolder
from studio.cli.output import Meter
from studio.domain import OWNER, OutOfMemory, StorageFailed
from studio.rules import new_id
from studio.service import Studio
from studio.settings import Settings
from tests.fakes import CLIENT, FakeRunner, content, request
from tests.test_service import a_base

ROOT = Path(__file__).resolve().parent.parent
needs_signals = pytest.mark.skipif(os.name == "nt", reason="Windows sends no such signals")


@dataclass
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on standard output."""
        assert self.out.count("\n") == 1, self.out
        body = json.loads(self.out)
        assert isinstance(body, dict)
        return body


@dataclass
class Shell:
    """Runs commands in this process, with a fake runner."""

    settings: Settings
    capture: pytest.CaptureFixture[str]
    runner: FakeRunner = field(default_factory=FakeRunner)

    def __call__(self, *words: str) -> Done:
        self.capture.readouterr()
        code = main(words, runners={"image": self.runner})
        printed = self.capture.readouterr()
        return Done(code, printed.out, printed.err)

    def studio(self) -> Studio:
        return Studio.open(self.settings, runners={"image": self.runner})

    def captured(self) -> int:
        entries = self("credits", "history", "--json").json["entries"]
        return -sum(entry["posted"] for entry in entries if entry["phase"] == "capture")


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    settings = Settings(data=tmp_path / "data", models=tmp_path / "models")
    a_base(settings.models)
    for name in [name for name in os.environ if name.startswith(("STUDIO_", "HF_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("STUDIO_DATA", str(settings.data))
    monkeypatch.setenv("STUDIO_MODELS", str(settings.models))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody answers there
    yield Shell(settings, capsys)
    if settings.data.exists():
        studio = Studio.open(settings)
        assert studio.verify() == []
        studio.close()


def child(settings: Settings, pause: float, *words: str) -> subprocess.Popen[str]:
    """The command in a process of its own, with a runner that takes its time."""
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.command", str(pause), *words],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# --- prices ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "price", "kind"),
    [
        ("", 1, "playground"),
        ("--size 512x512 --steps 50 --count 1", 1, "playground"),
        ("--size 1024x768 --steps 120 --count 3", 24, "playground"),
        ("--size 512x512 --count 2 --super-resolution", 4, "playground"),
        ("--tool upscale --scale 4 --count 5", 10, "playground"),
        ("--tool face", 1, "playground"),
        ("--avatars 64", 64, "tune_image"),
    ],
)
def test_a_price_is_told_and_nothing_is_made(shell: Shell, words: str, price: int, kind: str) -> None:
    done = shell("quote", *words.split(), "--json")
    assert (done.code, done.json["price"], done.json["kind"]) == (0, price, kind)
    assert not shell.settings.data.exists()


def test_a_price_of_two_kinds_of_credit_names_both(shell: Shell) -> None:
    done = shell("quote", "--avatars", "8", "--super-resolution")
    assert done.out == "8 tune-image credits and 8 playground credits\n"


# --- bad usage -------------------------------------------------------------------------------------------------------

BAD = [
    ("--steps 50.7", "steps", "1 to 150"),
    ("--steps 151", "steps", "1 to 150"),
    ("--steps true", "steps", "1 to 150"),
    ("--steps nan", "steps", "1 to 150"),
    ("--steps -1", "steps", "1 to 150"),
    ("--steps 5_0", "steps", "1 to 150"),
    ("--steps 5" + "0" * 40, "steps", "1 to 150"),
    ("--size 513x512", "width", "each a multiple of 64 from 128 to 1024"),
    ("--size 512x64", "height", "each a multiple of 64 from 128 to 1024"),
    ("--size 1088x512", "width", "each a multiple of 64 from 128 to 1024"),
    ("--size 512", "size", "WIDTHxHEIGHT"),
    ("--size nanx512", "size", "WIDTHxHEIGHT"),
    ("--count 9", "count", "1 to 8"),
    ("--count two", "count", "1 to 8"),
    ("--seed 9223372036854775808", "seed", "0 to 4294967295"),
    ("--seed 0.5", "seed", "0 to 4294967295"),
    ("--guidance nan", "guidance", "0 to 30"),
    ("--guidance inf", "guidance", "0 to 30"),
    ("--guidance much", "guidance", "0 to 30"),
    ("--scheduler lcm", "scheduler", "ddim"),
    ("--style none-such", "style", "storybook"),
    ("--base none-such", "base", "starter"),
    ("--strength 0.5", "strength", "only together with init"),
    ("--id 7", "id", "a UUID"),
    ("--nonsense 1", "nonsense", "--help"),
    ("--steps", "steps", "generate"),
]


@pytest.mark.parametrize(("words", "named", "allowed"), BAD, ids=[row[0][:40] for row in BAD])
def test_bad_usage_ends_with_2_and_one_sentence(shell: Shell, words: str, named: str, allowed: str) -> None:
    out = shell.settings.data.parent / "out"
    done = shell("generate", "a woman", *words.split(), "--out", str(out), "--json")
    assert done.code == 2
    assert done.json.keys() == {"error", "field", "allowed"}
    assert done.json["field"] == named
    assert allowed in done.json["allowed"]
    assert done.json["error"] in done.err
    assert "Traceback" not in done.err
    assert not out.exists()
    assert shell.runner.asked == []
    assert shell("jobs", "list", "--json").json == {"jobs": []}
    assert shell("credits", "history", "--json").json == {"entries": []}


@pytest.mark.parametrize("prompt", ["", "   ", "a\x07b", "x" * 10_000, "\udcff"])
def test_a_bad_prompt_ends_with_2(shell: Shell, prompt: str) -> None:
    done = shell("generate", prompt, "--json")
    assert (done.code, done.json["field"]) == (2, "prompt")


@pytest.mark.parametrize("words", ["", "frobnicate", "credits", "jobs show", "quote --tool saw", "quote --scale 2"])
def test_a_command_line_that_means_nothing_ends_with_2(shell: Shell, words: str) -> None:
    done = shell(*words.split())
    assert (done.code, done.out) == (2, "")
    assert done.err.endswith((".\n", ")\n"))


def test_numbers_are_converted_by_the_command_line(shell: Shell) -> None:
    done = shell("generate", "x", "--steps", "50", "--guidance", "7", "--count", "2", "--seed", "007", "--json")
    assert done.code == 0
    asked = shell.runner.asked[0].request.to_json()
    assert (asked["steps"], asked["guidance"], asked["count"], asked["seed"]) == (50, 7.0, 2, 7)


def test_a_setting_that_is_wrong_is_told_by_its_variable(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_PORT", "many")
    done = shell("jobs", "list", "--json")
    assert (done.code, done.json["field"]) == (2, "STUDIO_PORT")


def test_a_data_folder_that_cannot_be_made_is_one_sentence(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_DATA", "/dev/null/data")
    done = shell("jobs", "list", "--json")
    assert (done.code, done.json["field"], done.json["allowed"]) == (1, "data", "a folder")
    assert "/dev/null/data" in done.json["error"]


LONG = "x" * 300
PLACES = [
    (f"generate x --out {LONG}", {}, "out"),
    ("generate x --out loop", {}, "out"),
    ("generate x --out ~nobody-here/out", {}, "out"),
    ("generate x --out EMPTY", {}, "out"),
    (f"generate x --init {LONG}", {}, "init"),
    ("generate x --init EMPTY", {}, "init"),
    ("generate x --init . --mask loop", {}, "mask"),
    (f"models add {LONG}", {}, "file"),
    ("models add loop", {}, "file"),
    (f"restore {LONG} --yes", {}, "file"),
    ("restore EMPTY --yes", {}, "file"),
    (f"backup {LONG}", {}, "file"),
    ("jobs list", {"STUDIO_DATA": f"/tmp/{LONG}"}, "data"),
    ("quote", {"STUDIO_DATA": "loop"}, "data"),
    ("jobs list", {"STUDIO_DATA": "~nobody-here/data"}, "data"),
    ("doctor", {"STUDIO_DATA": "loop"}, "data"),
    ("models list", {"STUDIO_MODELS": f"/tmp/{LONG}"}, "models"),
    ("generate x", {"STUDIO_MODELS": "loop"}, "models"),
]


@pytest.mark.parametrize(("words", "env", "named"), PLACES, ids=[row[0][:30] + str(row[1])[:30] for row in PLACES])
def test_a_place_that_cannot_be_used_is_one_sentence(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, env: dict[str, str], named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    done = shell(*("" if word == "EMPTY" else word for word in words.split()), "--json")
    assert done.code in (1, 2)
    assert done.json["field"] == named
    assert named in done.json["error"]
    assert len(done.err.splitlines()) == 1
    assert shell.runner.asked == []


def test_what_nobody_foresaw_is_one_sentence_and_the_log_has_the_rest(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("studio.cli.jobs.list_jobs", broken)
    done = shell("jobs", "list", "--json")
    assert (done.code, done.json["field"]) == (1, None)
    assert "Something broke in the studio (ZeroDivisionError)" in done.json["error"]
    assert caplog.records[-1].exc_info is not None


# --- making pictures -------------------------------------------------------------------------------------------------


def test_pictures_land_in_the_folder_and_are_told(shell: Shell, tmp_path: Path) -> None:
    out = tmp_path / "not" / "there yet"
    done = shell("generate", "A smiling Woman!", "--count", "3", "--seed", "7", "--out", str(out), "--json")
    assert done.code == 0
    body = done.json
    assert body.keys() == {"job", "price", "seconds", "pictures", "warnings"}
    assert body["price"] == 3
    assert [picture["seed"] for picture in body["pictures"]] == [7, 8, 9]
    assert [picture.keys() for picture in body["pictures"]] == [{"id", "path", "seed", "width", "height"}] * 3
    for index, picture in enumerate(body["pictures"]):
        path = Path(picture["path"])
        assert path.parent == out
        assert path.name == f"a-smiling-woman-{body['job'][:8]}-{index + 1}.png"
        assert path.read_bytes() == content(body["job"], index)
    assert sorted(out.iterdir()) == sorted(Path(picture["path"]) for picture in body["pictures"])
    assert "3 playground credits" in done.err


def test_without_json_the_paths_are_printed_and_nothing_else(shell: Shell, tmp_path: Path) -> None:
    done = shell("generate", "x", "--count", "2", "--out", str(tmp_path / "out"))
    assert [Path(line).is_file() for line in done.out.splitlines()] == [True, True]


def test_without_a_folder_the_pictures_stay_in_the_studio(shell: Shell) -> None:
    (picture,) = shell("generate", "x", "--json").json["pictures"]
    assert Path(picture["path"]).is_relative_to(shell.settings.data)


def test_the_same_id_again_is_the_same_job_and_the_same_files(shell: Shell, tmp_path: Path) -> None:
    words = ("generate", "x", "--count", "2", "--id", new_id(), "--out", str(tmp_path / "out"), "--json")
    first, again = shell(*words), shell(*words)
    assert (again.code, again.json) == (0, first.json)
    assert shell.captured() == 2
    other = shell(*words, "--steps", "7")
    assert (other.code, other.json["field"]) == (1, "id")


def test_a_file_that_is_there_is_left_alone_unless_told(shell: Shell, tmp_path: Path) -> None:
    job_id = new_id()
    taken = tmp_path / f"x-{job_id[:8]}-2.png"
    taken.write_text("mine")
    words = ("generate", "x", "--count", "2", "--id", job_id, "--out", str(tmp_path), "--json")
    done = shell(*words)
    assert (done.code, done.json["field"]) == (1, "out")
    assert "--overwrite" in done.json["allowed"]
    assert taken.read_text() == "mine"
    assert shell("jobs", "list", "--json").json == {"jobs": []}, "nothing was charged"
    assert shell(*words, "--overwrite").code == 0
    assert taken.read_bytes() == content(job_id, 1)


@pytest.mark.parametrize("place", ["file", "file/below", "/dev/null/below"])
def test_a_folder_that_cannot_be_written_is_told_before_anything_is_charged(
    shell: Shell, tmp_path: Path, place: str
) -> None:
    (tmp_path / "file").write_text("a file")
    done = shell("generate", "x", "--out", str(tmp_path / place), "--json")
    assert (done.code, done.json["field"], done.json["allowed"]) == (1, "out", "a folder that can be written")
    assert "cannot be written" in done.json["error"]
    assert shell.runner.asked == []
    assert shell("credits", "history", "--json").json == {"entries": []}


def test_a_job_that_fails_says_why_what_it_cost_and_what_came_out(shell: Shell, tmp_path: Path) -> None:
    def fail(index: int) -> None:
        if index == 2:
            raise OutOfMemory("One picture of 512x512 does not fit.", field="size", allowed="a smaller size")

    shell.runner = FakeRunner(before=fail)
    done = shell("generate", "x", "--count", "4", "--out", str(tmp_path / "out"), "--json")
    assert done.code == 1
    assert (done.json["error"], done.json["field"]) == ("One picture of 512x512 does not fit.", "size")
    assert done.json["charged"] == {"playground": 2}
    assert [Path(picture["path"]).is_file() for picture in done.json["pictures"]] == [True, True]
    assert "2 of 4 pictures came out and cost 2 playground credits" in done.err


def test_a_full_disk_is_one_sentence_and_leaves_nothing(shell: Shell, tmp_path: Path) -> None:
    def full(index: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    shell.runner = FakeRunner(before=full)
    done = shell("generate", "x", "--out", str(tmp_path / "out"), "--json")
    assert done.code == 1
    assert re.fullmatch(r"The disk that holds .* is full: free some space and try again\.", done.json["error"])
    assert done.json["charged"] == {"playground": 0}
    assert not (tmp_path / "out").exists()
    assert shell.captured() == 0


@needs_signals
def test_a_picture_that_does_not_fit_into_the_folder_leaves_no_half_file(tmp_path: Path) -> None:
    import resource  # noqa: PLC0415 - not on Windows

    out = OutFolder.of(tmp_path / "out", new_id(), request(), overwrite=False)
    file = tmp_path / "picture.png"
    file.write_bytes(b"x" * 100_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with pytest.raises(StorageFailed, match="cannot be written: File too large"), out.ready(made_before=False):
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
        try:
            out.take([(0, file)])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not (tmp_path / "out").exists()


def test_pictures_that_could_not_be_put_there_are_got_by_the_same_id_at_no_cost(shell: Shell, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def vanish(index: int) -> None:
        out.rmdir()
        out.write_text("a file in the folder's place")

    shell.runner = FakeRunner(before=vanish)
    done = shell("generate", "x", "--out", str(out), "--json")
    assert (done.code, done.json["charged"]) == (1, {"playground": 1})
    assert f"--id {done.json['job']}" in done.json["error"]
    again = shell("generate", "x", "--out", str(tmp_path / "other"), "--id", done.json["job"], "--json")
    assert again.code == 0
    assert Path(again.json["pictures"][0]["path"]).is_file()
    assert shell.captured() == 1


def test_an_account_pays_with_what_it_has(shell: Shell) -> None:
    studio = shell.studio()
    studio.open_account(CLIENT)
    studio.close()
    words = ("generate", "x", "--count", "4", "--account", CLIENT, "--json")
    done = shell(*words)
    assert (done.code, done.json["field"]) == (1, "credits")
    assert done.json["error"].startswith("This needs 4 playground credits; 0 available, 4 missing.")
    key = new_id()
    for _ in range(2):
        granted = shell("credits", "grant", "playground", "5", "--account", CLIENT, "--id", key, "--json")
        assert granted.json["playground"] == {"posted": 5, "held": 0, "available": 5}
    assert shell(*words).code == 0
    assert shell("credits", "show", "--account", CLIENT, "--json").json["playground"]["available"] == 1
    assert shell("jobs", "list", "--json").json == {"jobs": []}, "the owner's are others"
    nobody = shell("generate", "x", "--account", "nobody", "--json")
    assert (nobody.code, nobody.json["field"]) == (1, "account")


def test_it_starts_from_a_picture_and_paints_into_a_mask(shell: Shell, tmp_path: Path) -> None:
    for name in ("init", "mask"):
        Image.new("RGB", (300, 200), "white").save(tmp_path / f"{name}.png")
    words = ("--init", str(tmp_path / "init.png"), "--mask", str(tmp_path / "mask.png"), "--strength", "0.5")
    assert shell("generate", "x", *words, "--json").code == 0
    assert shell.runner.asked[0].inputs.keys() == {"init", "mask"}
    assert shell.runner.asked[0].request.to_json()["strength"] == 0.5


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [("nowhere.png", None, 1), ("text.png", b"just a text", 2), ("empty.jpg", b"", 2), ("bomb.png", "bomb", 2)],
)
def test_a_bad_picture_to_start_from_is_one_sentence(
    shell: Shell, tmp_path: Path, name: str, body: bytes | str | None, code: int
) -> None:
    if body == "bomb":
        made = io.BytesIO()
        Image.new("RGB", (10, 10)).save(made, "PNG")
        body = made.getvalue()[:16] + struct.pack(">II", 20_000, 20_000) + made.getvalue()[24:]
    if isinstance(body, bytes):
        (tmp_path / name).write_bytes(body)
    done = shell("generate", "x", "--init", str(tmp_path / name), "--out", str(tmp_path / "out"), "--json")
    assert (done.code, done.json["field"]) == (code, "init")
    assert len(done.err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


# --- being stopped, and the page -------------------------------------------------------------------------------------


@needs_signals
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_it_cancels_the_job_and_says_what_was_charged(
    shell: Shell, tmp_path: Path, number: signal.Signals
) -> None:
    process = child(shell.settings, 1.0, "generate", "x", "--count", "8", "--out", str(tmp_path / "out"), "--json")
    deadline = time.monotonic() + 60
    while not list(shell.settings.data.glob("pictures/*/*.png")):
        assert time.monotonic() < deadline, "no picture came"
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    done = Done(process.returncode, out, err)
    assert done.code == 1
    count = len(done.json["pictures"])
    assert 1 <= count < 8
    assert done.json["error"].startswith(
        f"Cancelled. {count} of 8 pictures came out and cost {count} playground credit"
    )
    assert done.json["charged"] == {"playground": count}
    assert len(list((tmp_path / "out").iterdir())) == count
    assert shell("jobs", "show", done.json["job"], "--json").json["state"] == "cancelled"
    assert shell("credits", "show", "--json").json["playground"]["held"] == 0


def test_while_the_page_is_open_its_process_does_the_work(shell: Shell) -> None:
    page = FakeRunner()
    studio = Studio.open(shell.settings, runners={"image": page})
    studio.start()
    deadline = time.monotonic() + 20
    while not studio.working:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    done = shell("generate", "x", "--count", "2", "--json")
    assert (done.code, len(done.json["pictures"])) == (0, 2)
    assert len(page.drawn) == 2
    assert shell.runner.drawn == []
    assert studio.stop()
    studio.close()


def test_stopping_it_while_the_page_works_on_it_cancels_it_there(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    page = FakeRunner(pause=0.1)
    studio = Studio.open(shell.settings, runners={"image": page})
    studio.start()

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    waited = threading.Event()
    monkeypatch.setattr("studio.cli.waiting.Meter.show", lambda *_: stop() if page.drawn else waited.set())
    done = shell("generate", "x", "--count", "8", "--json")
    assert done.code == 1
    assert done.json["charged"] == {"playground": len(done.json["pictures"])}
    assert waited.is_set()
    assert 1 <= len(page.drawn) < 8
    assert studio.stop()
    studio.close()


# --- progress --------------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_progress_is_one_line_that_changes() -> None:
    terminal = Terminal()
    meter = Meter(stream=terminal)
    for step in (1, 1, 2):
        meter.show(f"Step {step} of 4.", step, 4, seconds_left=70 - step)
    meter.close()
    assert "\n" not in terminal.getvalue()
    drawn = terminal.getvalue().split("\r")
    assert len(drawn) == 5, "drawn twice, then wiped away"
    assert drawn[2].strip() == "[############------------]  50 %  Step 2 of 4.  1:08 left"
    assert drawn[3].strip() == drawn[4] == ""


def test_into_a_file_progress_is_a_line_now_and_then() -> None:
    file = io.StringIO()
    meter = Meter(stream=file)
    meter.show("Loading starter.")
    for step in range(1000):
        meter.show(f"Step {step} of 1000.", step, 1000)
        meter.show(f"Step {step} of 1000.", step, 1000)
    meter.close()
    assert file.getvalue() == "Loading starter.\n  0 %  Step 0 of 1000.\n"


# --- looking ---------------------------------------------------------------------------------------------------------


def test_jobs_are_listed_shown_and_cancelled(shell: Shell) -> None:
    assert shell("jobs", "list").out == "There are no jobs yet.\n"
    made = shell("generate", "a woman\nwith a hat", "--count", "2", "--json").json
    studio = shell.studio()
    waiting = studio.generate(OWNER, {"prompt": "y" * 100}).id
    studio.close()
    listed = shell("jobs", "list", "--json").json["jobs"]
    assert [(job["id"], job["state"]) for job in listed] == [(waiting, "queued"), (made["job"], "done")]
    assert [job["id"] for job in shell("jobs", "list", "--limit", "1", "--json").json["jobs"]] == [waiting]
    assert max(map(len, shell("jobs", "list").out.splitlines())) < 160

    shown = shell("jobs", "show", made["job"], "--json").json
    assert (shown["delivered"], shown["charged"], len(shown["made"])) == (2, {"playground": 2}, 2)
    assert "a woman with a hat" in shell("jobs", "show", made["job"]).out
    assert shell("jobs", "cancel", waiting, "--json").json["state"] == "cancelled"
    assert shell("jobs", "cancel", waiting).out == "It had ended already: cancelled.\n"
    assert shell("jobs", "show", new_id(), "--json").code == 1
    assert shell("jobs", "show", "7", "--json").code == 2
    assert shell("jobs", "list", "--limit", "0", "--json").code == 2


def test_the_account_book_is_shown_and_checked(shell: Shell) -> None:
    shell("generate", "x", "--count", "2")
    assert shell("credits", "show", "--json").json == {
        kind: {"posted": 0, "held": 0, "available": 0} for kind in ("playground", "tune", "tune_image")
    }
    phases = [entry["phase"] for entry in shell("credits", "history", "--json").json["entries"]]
    assert phases == ["capture", "hold", "grant"]
    assert shell("credits", "history", "--limit", "1", "--json").json["entries"][0]["phase"] == "capture"
    assert "for what was delivered" in shell("credits", "history").out
    assert shell("credits", "verify", "--json").json == {"faults": []}


def test_a_broken_account_book_ends_with_1(shell: Shell) -> None:
    studio = shell.studio()
    studio.counter.grant(OWNER, OWNER, "tune", 3, reason="a gift")
    studio.close()
    set_posted(shell.settings, 4)
    done = shell("credits", "verify", "--json")
    assert done.code == 1
    assert any("posted is not the sum" in fault for fault in done.json["faults"])
    set_posted(shell.settings, 3)


def set_posted(settings: Settings, posted: int) -> None:
    from studio.storage.database import Database  # noqa: PLC0415

    database = Database(settings.data / "studio.db")
    with database.write() as tx:
        tx.execute("UPDATE balance SET posted = ? WHERE kind = 'tune'", (posted,))
    database.close()


@pytest.mark.parametrize(
    ("words", "named"),
    [("money 5", "kind"), ("playground many", "amount"), ("playground 0", "amount"), ("playground 1.5", "amount")],
)
def test_a_bad_grant_ends_with_2(shell: Shell, words: str, named: str) -> None:
    done = shell("credits", "grant", *words.split(), "--json")
    assert (done.code, done.json["field"]) == (2, named)


def test_styles_and_models_are_listed_without_a_database(shell: Shell) -> None:
    styles = shell("styles", "list", "--json").json["styles"]
    assert {"id", "title", "category", "fits"} <= styles[0].keys()
    assert "Storybook" in shell("styles", "list").out
    models = {model["id"]: model for model in shell("models", "list", "--json").json["models"]}
    assert models["starter"]["path"] == str(shell.settings.models / "starter")
    assert models["sdxl"]["path"] is None
    assert models["u2netp"]["default"]
    assert "Apache-2.0" in shell("models", "list").out
    assert not shell.settings.data.exists()


def test_fetching_what_cannot_be_had_ends_with_1_at_once(shell: Shell) -> None:
    started = time.monotonic()
    done = shell("models", "fetch", "sd15", "starter", "--json")
    assert time.monotonic() - started < 5
    assert done.code == 1
    assert [error["id"] for error in done.json["errors"]] == ["sd15"]
    assert "cannot be reached" in done.json["errors"][0]["error"]
    assert [model["id"] for model in done.json["models"]] == ["starter"]
    unknown = shell("models", "fetch", "none-such", "--json")
    assert (unknown.code, unknown.json["field"]) == (2, "id")


def test_adding_what_is_no_model_is_one_sentence(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "mine.safetensors").write_text("a pickle, who knows")
    done = shell("models", "add", str(tmp_path / "mine.safetensors"), "--json")
    assert (done.code, done.json["field"]) == (2, "file")
    assert shell("models", "add", str(tmp_path / "nowhere"), "--json").code == 1


# --- speed -----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="Windows does not tell the processor time of children")
@pytest.mark.parametrize(
    ("words", "limit"),
    [("--help", 0.4), ("quote --size 512x512 --steps 50 --count 1", 0.4), ("credits show", 0.8), ("jobs list", 0.8)],
)
def test_commands_that_only_answer_come_at_once(shell: Shell, words: str, limit: float) -> None:
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-P", "-m", "studio", *words.split()]
    subprocess.run(command, env=env, capture_output=True, check=True)  # the first one makes the database
    taken: list[float] = []
    for _ in range(3):
        before = os.times()
        subprocess.run(command, env=env, capture_output=True, check=True)
        after = os.times()
        taken.append(after.children_user - before.children_user + after.children_system - before.children_system)
    assert min(taken) < 2 * limit, "processor seconds, and twice the figure: a busy machine must not fail it"
