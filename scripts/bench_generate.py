"""How much longer the studio takes for a batch than the bare diffusers call: warm, in one run, by turns.

    python scripts/bench_generate.py [--base starter] [--count 8] [--steps 25] [--rounds 5] [--models FOLDER]

The bare call has the same networks in the same precision, scheduler, steps, guidance and seeds, and ends with pictures
in memory. The studio's run does all the rest too: it checks, resizes, writes PNG files with recipes, reports progress
and shows previews. The median of the rounds counts, and the ratio of neighbours in time, since a busy machine slows
both alike. On a CPU that others use, `--processor-time` counts what this process used of it instead of what the
clock says.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from studio.domain import ImageRequest, Progress, Task  # noqa: E402
from studio.pipelines import Runners, schedulers  # noqa: E402
from studio.pipelines.loading import loaded  # noqa: E402
from studio.pipelines.shapes import drawn_shape  # noqa: E402
from studio.settings import REPOSITORY, Settings  # noqa: E402

LIMIT = 1.05
Clock = Callable[[], float]
PROMPT = "portrait of a smiling woman with long red hair, teal background, storybook style"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="starter")
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--models", type=Path, default=REPOSITORY / "models")
    parser.add_argument("--processor-time", action="store_true")
    asked = parser.parse_args()
    clock = time.process_time if asked.processor_time else time.perf_counter

    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data=Path(folder), models=asked.models, precision=asked.precision)
        runners = Runners(settings)
        request = ImageRequest(
            prompt=PROMPT,
            base=asked.base,
            count=asked.count,
            steps=asked.steps,
            width=asked.size,
            height=asked.size,
            seed=7,
        )
        bare = Bare(runners, request, clock)
        studio = Studio(runners, request, clock, Path(folder))
        for run in (studio, bare):  # warm
            run()
        pairs: list[tuple[float, float]] = []
        for number in range(asked.rounds):
            order = (bare, studio) if number % 2 else (studio, bare)
            taken = {run: run() for run in order}
            pairs.append((taken[bare], taken[studio]))
            print(f"round {number + 1}: bare {pairs[-1][0]:.3f} s, studio {pairs[-1][1]:.3f} s", flush=True)
    ratio = statistics.median(ours / theirs for theirs, ours in pairs)
    medians = [statistics.median(column) for column in zip(*pairs, strict=True)]
    device = runners.device
    print(
        f"{asked.count} pictures, {asked.steps} steps, {asked.base} on {device.torch.type} in {device.precision}, "
        f"{torch.get_num_threads()} threads: bare {medians[0]:.3f} s, studio {medians[1]:.3f} s, "
        f"ratio {ratio:.3f} (limit {LIMIT})"
    )
    return 0 if ratio <= LIMIT else 1


class Studio:
    """The studio's own runner, as a job calls it."""

    def __init__(self, runners: Runners, request: ImageRequest, clock: Clock, folder: Path) -> None:
        self.run, self.request, self.clock, self.folder = runners["image"], request, clock, folder

    def __call__(self) -> float:
        def report(progress: Progress) -> None:
            pass

        task = Task(job_id="bench", request=self.request, folder=self.folder)
        start = self.clock()
        drawn = list(self.run(task, report, lambda: False))
        assert len(drawn) == self.request.count
        return self.clock() - start


class Bare:
    """The diffusers call a script of a dozen lines would make."""

    def __init__(self, runners: Runners, request: ImageRequest, clock: Clock) -> None:
        self.clock = clock
        base = runners.bases.find(request.base)
        family, here = base.family, loaded(runners.device, base)
        denoiser = getattr(here.pipeline(family.text), family.denoiser)
        self.denoiser, self.ours, self.plain = denoiser, denoiser.forward, type(denoiser).forward.__get__(denoiser)
        self.request, self.family, self.shape = request, family, drawn_shape(family, request.width, request.height)
        self.pipeline: Any = here.pipeline(family.text)
        self.scheduler = schedulers.make(family.scheduler(None), family, here.scheduler)

    def __call__(self) -> float:
        seeds, family = self.request.seeds, self.family
        start = self.clock()
        self.pipeline.scheduler = self.scheduler
        self.denoiser.forward = self.plain  # without what keeps a picture's pixels alike in every batch
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
        assert len(images) == len(seeds)
        taken = self.clock() - start
        self.denoiser.forward = self.ours
        return taken


if __name__ == "__main__":
    sys.exit(main())
