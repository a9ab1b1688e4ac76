"""`kill -9` amid a training with the real model, and amid the sixty-four avatars that follow it."""

import json
import os
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from studio.rules import new_id
from tests.test_generate import Machine, base, machine  # noqa: F401
from tests.test_kills import answered, training

TRAINING, DRAWING = 14, 6  # kills
STEPS, PICTURES = 300, 64
PATIENCE = 1500.0  # seconds that anything may take on a busy machine
LOST = 60.0  # seconds of training
RESUMED = 5 * 5.0  # seconds from the start of the command; on idle cores a fifth of it, which the test prints


@dataclass(frozen=True)
class Stand:
    """How far everything is: who trains, its step (0 before the first), pictures stored, whether something draws."""

    worker: str
    step: int
    stored: int


def stand(database: Path, job: str) -> Stand:
    if not database.exists():
        return Stand("", 0, 0)
    reader = sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=30)
    try:
        row = reader.execute("SELECT worker, step FROM job WHERE id = ? AND message LIKE 'Step %'", (job,)).fetchone()
        stored = reader.execute("SELECT count(*) FROM picture").fetchone()[0]
    except sqlite3.OperationalError:  # the tables are not made yet
        return Stand("", 0, 0)
    finally:
        reader.close()
    worker, step = row or ("", 0)
    return Stand(worker, step, stored)


@dataclass
class Life:
    """One start of the command, from its beginning until it is killed or ends."""

    machine: Machine
    words: tuple[str, ...]
    job: str

    def __enter__(self) -> "Life":
        command = [sys.executable, "-P", "-m", "studio", *self.words, "--id", self.job, "--json"]
        self.log = (self.machine.root / "log").open("ab")
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            command, cwd=self.machine.root, env=self.machine.env, stdout=subprocess.PIPE, stderr=self.log
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self.log.close()

    def looks(self) -> Iterator[Stand]:
        """How it stands, again and again while it runs."""
        while self.process.poll() is None:
            yield stand(self.machine.root / "data" / "studio.db", self.job)
            assert time.monotonic() - self.began < PATIENCE
            time.sleep(0.02)


@pytest.mark.nightly
@pytest.mark.timeout(7200)
@pytest.mark.skipif(os.name == "nt", reason="Windows sends no such signals")
def test_a_training_killed_at_any_moment_goes_on_and_ends_with_the_weights_of_one_that_was_not(
    machine: Machine,  # noqa: F811
    tmp_path: Path,
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")  # pytest shows it when something fails
    draw = random.Random(seed)
    asked = training(tmp_path / "photos", photos=10)
    words = (*asked, "--steps", str(STEPS), "--seed", "3")

    # 1. One that nobody disturbs, without avatars; it tells how long a step takes.
    began = time.monotonic()
    whole = answered(machine, *words, "--styles", "")
    seconds_a_step = (time.monotonic() - began) / STEPS
    weights = machine.root / "data" / "tunes"
    undisturbed = (weights / f"{whole['tune']}.safetensors").read_bytes()

    # 2. One that is killed again and again, each time a while after it came further: at a step, then with a picture.
    job, resumed, lost = new_id(), [], []
    moments = sorted(draw.sample(range(1, STEPS), TRAINING)) + [STEPS] * DRAWING
    killed = Stand("", 0, 0)
    for step in moments:
        with Life(machine, words, job) as life:
            is_resumed = False
            for now in life.looks():
                assert now.stored >= killed.stored, "a picture that was stored is gone"
                trains = now.worker != killed.worker and now.step > 0
                if trains and killed.step and not is_resumed:
                    is_resumed = True
                    resumed.append(time.monotonic() - life.began)
                    lost.append(max(killed.step + 1 - now.step, 0) * seconds_a_step)
                if (trains and now.step >= step and step < STEPS) or now.stored > killed.stored:
                    time.sleep(draw.uniform(0, 1.5))
                    break
            assert life.process.poll() is None, "it ended before the moment came"
        killed = stand(machine.root / "data" / "studio.db", job)
        print(f"killed at {killed}", flush=True)
    with Life(machine, words, job) as life:
        told: dict[str, Any] = json.loads(life.process.communicate(timeout=PATIENCE)[0])
    print(f"resumed after {[round(one, 1) for one in resumed]} s, lost {[round(one, 1) for one in lost]} s", flush=True)

    # 3. Nothing is lost, twice or half.
    assert max(lost) <= LOST and max(resumed) <= RESUMED
    assert (weights / f"{told['tune']}.safetensors").read_bytes() == undisturbed
    assert len({one["id"] for one in told["pictures"]}) == PICTURES
    data = machine.root / "data"
    files = [path for path in (data / "pictures").rglob("*") if path.is_file()]
    assert len(files) == PICTURES
    for file in files:
        with Image.open(file) as image:
            image.load()
    assert list((data / "jobs").iterdir()) == []

    # 4. Each was paid once, nothing is held, and the account book agrees with itself.
    paid: dict[str, int] = {}
    for entry in answered(machine, "credits", "history", "--limit", "1000")["entries"]:
        if entry["phase"] == "capture":
            paid[entry["kind"]] = paid.get(entry["kind"], 0) - entry["posted"]
    assert paid == {"tune": 2, "tune_image": PICTURES}  # the first was trained as well
    assert all(one["held"] == 0 for one in answered(machine, "credits", "show").values())
    assert answered(machine, "credits", "verify") == {"faults": []}
