"""A runner that trains: it learns nothing, but reports, keeps samples and losses, fails and stops as the true one."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from studio.domain import Cancelled, IsCancelled, Progress, Report, StudioError, Task, Trained, TuneRequest
from studio.tunes import subject_of
from tests.ui.artist import portrait

LOSSES, SAMPLE = "losses.json", "sample.png"
FAULT = "The loss of step 3 is no number: the training failed. Nothing is charged."


@dataclass
class Apprentice:
    """`pause` is how long a step takes, in seconds. Tunes with "fail" in their name fail at the third step."""

    pause: float = 0.0
    steps: int = 20
    asked: list[Task] = field(default_factory=list[Task])

    def __call__(self, task: Task, report: Report, is_cancelled: IsCancelled) -> Iterator[Trained]:
        self.asked.append(task)
        request = task.request
        assert isinstance(request, TuneRequest)
        if 0 in task.done:
            return
        losses: list[float] = []
        for step in range(self.steps):
            if is_cancelled():
                raise Cancelled
            if "fail" in request.name and step == 2:
                raise StudioError(FAULT)
            losses.append(round(0.4 / (1 + step / 5) + 0.02 * (step % 3), 5))
            (task.folder / LOSSES).write_text(json.dumps(losses), encoding="utf-8")
            portrait(192, 192, 7).resize((8 * (step + 1), 8 * (step + 1))).resize((192, 192)).save(task.folder / SAMPLE)
            report(Progress(step=step + 1, steps=self.steps, message="Learning."))
            time.sleep(self.pause)
        file = task.folder / "lora.safetensors"
        file.write_bytes(task.job_id.encode())
        recipe = {
            "subject": subject_of(request.class_name),
            "native": 128,
            "draws_in": 2,
            "steps": self.steps,
            "rank": 4,
            "base": {"id": request.base, "family": "starter"},
        }
        yield Trained(index=0, file=file, losses=tuple(losses), recipe=recipe)


def photos(folder: Path, count: int = 6, *, seed: int = 3) -> list[Path]:
    """Drawn portraits as files, others with each seed."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"photo {number + 1}.png" for number in range(count)]
    for number, file in enumerate(files):
        portrait(200 + 10 * number, 220, seed + number).save(file)
    return files
