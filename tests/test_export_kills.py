"""`kill -9` amid exports of a real tune: what stands under the final name is whole, and the same command ends it."""

import hashlib
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from studio.export_request import FORMATS
from studio.rules import new_id
from tests.test_generate import Machine, base, machine  # noqa: F401
from tests.test_kills import answered, training

KILLS = 2  # of each form


def sum_of(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def killed(machine: Machine, words: tuple[str, ...], seconds: float) -> None:  # noqa: F811
    """Starts the command and kills it after that time, or lets it end where it is done sooner."""
    command = [sys.executable, "-P", "-m", "studio", *words]
    with subprocess.Popen(
        command, cwd=machine.root, env=machine.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.skipif(os.name == "nt", reason="Windows sends no such signals")
def test_an_export_killed_at_any_moment_leaves_no_broken_file_and_is_ended_by_the_same_command(
    machine: Machine,  # noqa: F811
    tmp_path: Path,
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")  # pytest shows it when something fails
    draw = random.Random(seed)
    asked = training(tmp_path / "photos", photos=5)
    tune = answered(machine, *asked, "--steps", "10", "--seed", "3", "--styles", "")["tune"]

    for form in FORMATS:
        # 1. One that nobody disturbs says what the file is, and how long it takes.
        began = time.monotonic()
        whole = answered(machine, "tune", "export", tune, "--format", form, "--out", f"whole.{form}")
        seconds = time.monotonic() - began

        # 2. One that is killed: what stands in the folder and in the studio is that very file, or nothing.
        for number in range(KILLS):
            job, file, moment = new_id(), machine.root / f"killed-{number}.{form}", draw.uniform(0.2, 1) * seconds
            words = ("tune", "export", tune, "--format", form, "--out", file.name, "--id", job)
            killed(machine, words, moment)
            print(f"{form}: killed after {moment:.1f} of {seconds:.1f} s, there: {file.exists()}", flush=True)
            exports = [path for path in (machine.root / "data" / "exports").rglob("*") if path.is_file()]
            for path in [*exports, *([file] if file.exists() else [])]:
                assert sum_of(path) == whole["sha256"], (form, moment, path)

            # 3. The same command ends it, and nothing is left of the attempt.
            told = answered(machine, *words, "--overwrite")
            assert sum_of(file) == told["sha256"] == whole["sha256"]
            assert list((machine.root / "data" / "jobs").iterdir()) == []
        names = [path.name for path in machine.root.iterdir() if path.name.startswith(("killed", "whole", "."))]
        assert sorted(names) == [*(f"killed-{number}.{form}" for number in range(KILLS)), f"whole.{form}"]
        for name in names:
            (machine.root / name).unlink()
        for path in (machine.root / "data" / "exports").rglob("*"):  # the next form has another sum
            if path.is_file():
                path.unlink()
