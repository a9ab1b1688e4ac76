"""A training under way: its steps, its checkpoint, and what can be looked at meanwhile.

Each step depends on nothing but its number and the weights before it, so that a training that was interrupted ends with
the same weights as one that was not.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy
import torch
from PIL import Image

from studio.domain import BrokenWeights
from studio.pipelines.device import Device, is_out_of_memory
from studio.pipelines.tuning import checkpoint
from studio.pipelines.tuning.lessons import Lesson
from studio.pipelines.tuning.masters import Masters
from studio.pipelines.tuning.plan import Plan
from studio.pipelines.tuning.recipe import Example, Lot, TuneRecipe, groups, loss
from studio.tunes import LOSSES, SAMPLE, thinned

WARM_UP = 0.05  # of the steps


class Run:
    """A training under way."""

    def __init__(
        self,
        plan: Plan,
        recipe: TuneRecipe,
        masters: Masters,
        losses: list[float],
        own: Sequence[Example],
        prior: Sequence[Example],
        lessons: Sequence[Lesson],
        at_once: int,
        folder: Path,
    ) -> None:
        self.plan, self.recipe, self.masters, self.losses = plan, recipe, masters, losses
        self.own, self.prior, self.lessons = own, prior, lessons
        self.at_once, self.folder = at_once, folder

    @property
    def loss(self) -> float:
        """The mean of the last steps."""
        return float(numpy.mean(self.losses[-20:]))

    def step(self) -> None:
        """The next step, in smaller parts where it does not fit the memory. Raises BrokenWeights, and what the device
        says where not even one photo fits."""
        while True:
            try:
                self._step()
                return
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or self.at_once == 1:
                    raise
            self.masters.forget()
            self.at_once //= 2

    def _step(self) -> None:
        """Which photos, what noise, and how fast hang on the step's number alone."""
        number, training = self.masters.steps, self.plan.training
        # 1. Some photos, some pictures of the class and some lessons, each shape by itself.
        drawn = numpy.random.default_rng((self.plan.seed, number))
        chosen = [self.own[row] for row in _rows(drawn, len(self.own), training.batch)]
        if self.prior:
            chosen += [self.prior[row] for row in _rows(drawn, len(self.prior), training.class_batch)]
        lots = _lots(drawn, len(chosen))
        if self.lessons:
            some = [self.lessons[row] for row in _rows(drawn, len(self.lessons), training.lesson_batch)]
            chosen += [one.example for one in some]
            lots += [one.lot for one in some]
        # 2. As many at once as there is room for; their gradients add up.
        total = 0.0
        for group in groups(chosen, lots, self.at_once):
            part = loss(self.recipe, *group).sum() / len(chosen)
            part.backward()
            total += part.item()
        if not math.isfinite(total):
            raise BrokenWeights(
                f"The loss of step {number + 1} is no number: the training failed. Nothing is charged. "
                "Set precision to fp32, or choose another base."
            )
        # 3. One step of all weights.
        self.masters.step(_share(number, self.plan.steps))
        self.losses.append(total)

    def save(self) -> None:
        """Writes the checkpoint. Raises OSError."""
        state = self.masters.state() | {"losses": torch.tensor(self.losses, dtype=torch.float64)}
        checkpoint.save(self.folder, state, self.plan.belongs)

    def write_losses(self) -> None:
        """Writes what the page plots."""
        part = self.folder / f"{LOSSES}.part"
        part.write_text(json.dumps(thinned(self.losses)), encoding="utf-8")
        part.replace(self.folder / LOSSES)

    def sample(self, pipeline: Any, device: Device) -> Path:
        """A picture of the sitter as far as he is learnt; always of the same seed."""
        away = [getattr(pipeline, name) for name in ("vae", *self.plan.training.text_encoders)]
        away = [network for network in away if network not in self.recipe.parts.values()]
        for network in away:
            network.to(device.torch)
        with self.masters.averaged(), torch.inference_mode():
            image: Image.Image = pipeline(
                prompt=self.plan.prompt,
                width=self.plan.base.family.native,
                height=self.plan.base.family.native,
                num_inference_steps=12,
                guidance_scale=self.plan.base.family.guidance + self.plan.base.family.guidance_shift,
                generator=torch.Generator().manual_seed(0),
            ).images[0]
        for network in away:
            network.to("cpu")
        image.thumbnail((256, 256))
        part = self.folder / f"{SAMPLE}.part"
        image.save(part, "png")
        part.replace(self.folder / SAMPLE)
        return self.folder / SAMPLE


def _rows(drawn: numpy.random.Generator, length: int, count: int) -> list[int]:
    """Which of `length` examples come next: none twice as long as there are others."""
    return [int(row) for row in drawn.choice(length, count, replace=count > length)]


def _lots(drawn: numpy.random.Generator, count: int) -> list[Lot]:
    """The lots of a step's examples; their times are spread evenly, which steadies the gradient."""
    times = (drawn.permutation(count) + drawn.random(count)) / count
    seeds = drawn.integers(2**62, size=count)
    return [Lot(time=float(time), seed=int(seed)) for time, seed in zip(times, seeds, strict=True)]


def _share(step: int, steps: int) -> float:
    """The learning rate as a share of its height: a short rise, then half a cosine down to nothing."""
    rise = max(1.0, WARM_UP * steps)
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1.0, steps - rise)))
