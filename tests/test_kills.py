"""`kill -9` amid a job of the real model: another start ends it once, and nothing is lost, twice or half."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from studio.rules import new_id
from tests.test_generate import Machine, base, machine, pixels, same  # noqa: F401

STEPS, COUNT = 6, 8
PATIENCE = 1500.0  # seconds that a job may take on a busy machine

Moment = Callable[[Path, str], bool]
"""Whether it has come, told by the database and the job's id."""


def drawn_so_far(database: Path, job: str) -> tuple[int, int]:
    """How many steps the job has taken, and how many of its pictures are stored."""
    if not database.exists():
        return 0, 0
    reader = sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=30)
    try:
        row = reader.execute("SELECT step, delivered FROM job WHERE id = ?", (job,)).fetchone()
    except sqlite3.OperationalError:  # the tables are not made yet
        row = None
    finally:
        reader.close()
    return row or (0, 0)


def moments(draw: random.Random) -> dict[str, Moment]:
    """One while the model loads, one between two steps, one while pictures are written."""
    seconds, step, stored = draw.uniform(0.5, 4), draw.randrange(1, STEPS), draw.randrange(1, COUNT)
    began = time.monotonic()
    return {
        f"after {seconds:.1f} seconds": lambda database, job: time.monotonic() - began > seconds,
        f"after {step} steps": lambda database, job: drawn_so_far(database, job)[0] >= step,
        f"after {stored} pictures": lambda database, job: drawn_so_far(database, job)[1] >= stored,
    }


def killed(machine: Machine, words: tuple[str, ...], job: str, moment: Moment) -> None:  # noqa: F811
    command = [sys.executable, "-P", "-m", "studio", *words, "--id", job]
    process = subprocess.Popen(
        command, cwd=machine.root, env=machine.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + PATIENCE
    try:
        while not moment(machine.root / "data" / "studio.db", job):
            assert process.poll() is None, "it ended before the moment came"
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def answered(machine: Machine, *words: str) -> dict[str, Any]:  # noqa: F811
    done = machine(*words)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def training(folder: Path, *, photos: int) -> tuple[str, ...]:
    """The command that trains on so many pictures of noise, which it makes in the folder."""
    folder.mkdir()
    for number in range(photos):
        Image.effect_noise((300, 300), 40 + 5 * number).convert("RGB").save(folder / f"{number}.png")
    return ("tune", "train", str(folder), "--name", "Mug", "--class", "person", "--photos", "drawn", "--consent")


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.skipif(os.name == "nt", reason="Windows sends no such signals")
def test_a_job_that_was_killed_at_any_moment_ends_once_with_the_pictures_it_would_have_made(
    machine: Machine,  # noqa: F811
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")  # pytest shows it when something fails
    words = ("generate", "portrait of a smiling woman with long red hair, teal background", "--size", "128x128")
    words += ("--steps", str(STEPS), "--count", str(COUNT), "--seed", "7", "--out", "out")
    undisturbed = [pixels(picture) for picture in answered(machine, *words)["pictures"]]

    jobs = {}
    for name in moments(random.Random(seed)):
        print(name, flush=True)
        job = new_id()
        killed(machine, words, job, moments(random.Random(seed))[name])
        told = answered(machine, *words, "--id", job)
        shown = answered(machine, "jobs", "show", job)
        assert (shown["state"], shown["delivered"], told["job"]) == ("done", COUNT, job), name
        assert [picture["seed"] for picture in told["pictures"]] == list(range(7, 7 + COUNT)), name
        assert all(same(pixels(one), other) for one, other in zip(told["pictures"], undisturbed, strict=True)), name
        jobs[job] = {picture["id"] for picture in told["pictures"]}

    # No picture is there twice, every file is a whole picture with a row, and nothing else is left.
    assert len(set().union(*jobs.values())) == COUNT * len(jobs)
    data = machine.root / "data"
    files = sorted(path for path in (data / "pictures").rglob("*") if path.is_file())
    assert len(files) == COUNT * (len(jobs) + 1)
    for file in (*files, *(machine.root / "out").iterdir()):
        with Image.open(file) as image:
            image.load()
    assert list((data / "jobs").iterdir()) == []

    # Each was paid once, nothing is held, and the account book agrees with itself.
    entries = answered(machine, "credits", "history")["entries"]
    for job in jobs:
        assert -sum(one["posted"] for one in entries if one["phase"] == "capture" and one["job"] == job) == COUNT
    assert answered(machine, "credits", "show")["playground"] == {"posted": 0, "held": 0, "available": 0}
    assert answered(machine, "credits", "verify") == {"faults": []}
