"""How much longer the studio takes for a batch than the bare diffusers call: warm, in one run, by turns.

    python scripts/bench_generate.py [--base starter] [--count 8] [--steps 25] [--rounds 7] [--judge processor]

The bare call has the same networks in the same precision, scheduler, steps, guidance and seeds, and ends with pictures
in memory. The studio's run does all the rest too: it checks, resizes, writes PNG files with recipes, reports progress,
shows previews, and keeps each picture's pixels alike in every batch.

Which of the two begins changes from round to round. What counts is the median of the rounds' ratios, since a busy
machine slows neighbours in time alike; the fastest of each stand beside it, as a check. Both the clock and the
processor time of this process are taken: on a CPU that others use, `--judge processor` is the fairer limit.
"""

import argparse
import gc
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from studio.domain import ImageRequest, Progress, Task  # noqa: E402
from studio.pipelines import Runners, schedulers  # noqa: E402
from studio.pipelines.loading import loaded  # noqa: E402
from studio.pipelines.shapes import drawn_shape  # noqa: E402
from studio.pipelines.steady import unsteady  # noqa: E402
from studio.settings import REPOSITORY, Settings  # noqa: E402

LIMIT = 1.05
CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "processor": time.process_time}
PROMPT = "portrait of a smiling woman with long red hair, teal background, storybook style"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="starter")
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--size", type=int, help="the side in pixels (the base's own)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--models", type=Path, default=REPOSITORY / "models")
    parser.add_argument("--judge", choices=list(CLOCKS), default="wall", help="whose ratio has to keep the limit")
    asked = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data=Path(folder), models=asked.models, precision=asked.precision)
        runners = Runners(settings)
        # At its own size, a base's pictures are nowhere enlarged: both sides do the same work.
        size = asked.size or runners.bases.find(asked.base).family.native
        request = ImageRequest(
            prompt=PROMPT,
            base=asked.base,
            count=asked.count,
            steps=asked.steps,
            width=size,
            height=size,
            seed=7,
        )
        bare, studio = Bare(runners, request), Studio(runners, request, Path(folder))
        for run in (studio, bare):  # warm
            run()
        rounds: list[Round] = []
        for number in range(asked.rounds):
            order = (bare, studio) if number % 2 else (studio, bare)
            taken = {run: run() for run in order}
            rounds.append(Round(bare=taken[bare], studio=taken[studio]))
            print(f"round {number + 1}: {rounds[-1]}", flush=True)

    device = runners.device
    print(
        f"{asked.count} pictures, {asked.steps} steps, {asked.base} on {device.torch.type} in {device.precision}, "
        f"{torch.get_num_threads()} threads, {asked.rounds} rounds, limit {LIMIT} by {asked.judge} time"
    )
    ratios = {name: statistics.median(one.ratio(name) for one in rounds) for name in CLOCKS}
    for name, ratio in ratios.items():
        bares, studios = [one.bare[name] for one in rounds], [one.studio[name] for one in rounds]
        print(
            f"{name:>9}: bare {statistics.median(bares):.3f} s, studio {statistics.median(studios):.3f} s, "
            f"ratio {ratio:.3f} (fastest of each: {min(studios) / min(bares):.3f})"
        )
    return 0 if ratios[asked.judge] <= LIMIT else 1


@dataclass(frozen=True, kw_only=True)
class Round:
    """What both took, in seconds by each clock."""

    bare: dict[str, float]
    studio: dict[str, float]

    def ratio(self, clock: str) -> float:
        return self.studio[clock] / self.bare[clock]

    def __str__(self) -> str:
        return ", ".join(
            f"{name} {self.bare[name]:.3f} s bare, {self.studio[name]:.3f} s studio ({self.ratio(name):.3f})"
            for name in CLOCKS
        )


class Stopwatch:
    """Seconds since it was made, by each clock."""

    def __init__(self) -> None:
        gc.collect()  # the other's rubbish is not on this one's bill
        self.start = {name: clock() for name, clock in CLOCKS.items()}

    def taken(self) -> dict[str, float]:
        return {name: clock() - self.start[name] for name, clock in CLOCKS.items()}


class Studio:
    """The studio's own runner, as a job calls it."""

    def __init__(self, runners: Runners, request: ImageRequest, folder: Path) -> None:
        self.run, self.request, self.folder = runners["image"], request, folder

    def __call__(self) -> dict[str, float]:
        def report(progress: Progress) -> None:
            pass

        task = Task(job_id="bench", request=self.request, folder=self.folder)
        watch = Stopwatch()
        drawn = list(self.run(task, report, lambda: False))
        assert len(drawn) == self.request.count
        return watch.taken()


class Bare:
    """The diffusers call a script of a dozen lines would make."""

    def __init__(self, runners: Runners, request: ImageRequest) -> None:
        base = runners.bases.find(request.base)
        family, here = base.family, loaded(runners.device, base)
        self.device, self.request, self.family = runners.device, request, family
        self.shape = drawn_shape(family, request.width, request.height)
        self.pipeline: Any = here.pipeline(family.text)
        self.denoiser = getattr(self.pipeline, family.denoiser)
        self.scheduler = schedulers.make(family.scheduler(None), family, here.scheduler)

    def __call__(self) -> dict[str, float]:
        seeds, family = self.request.seeds, self.family
        unsteady(self.denoiser)
        watch = Stopwatch()
        self.pipeline.scheduler = self.scheduler
        images = self.pipeline(
            self.request.prompt,
            num_images_per_prompt=len(seeds),
            num_inference_steps=self.request.steps,
            guidance_scale=family.guidance + family.guidance_shift,
            width=self.shape.width,
            height=self.shape.height,
            generator=[torch.Generator().manual_seed(seed) for seed in seeds],
            **family.text.extra,
        ).images
        taken = watch.taken()
        assert len(images) == len(seeds)
        self.device.steady(self.denoiser)
        return taken


if __name__ == "__main__":
    sys.exit(main())
