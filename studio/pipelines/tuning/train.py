"""The training of a tune: DreamBooth (Ruiz et al., 2022, https://arxiv.org/abs/2208.12242) with LoRA.

One loop for every family: what differs by family is its `TuneRecipe`.
"""

import math
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from studio.domain import Cancelled, IsCancelled, OutOfMemory, Progress, Report, Task, Trained, TuneRequest
from studio.pipelines import loading
from studio.pipelines.bases import Bases
from studio.pipelines.device import Device, is_out_of_memory
from studio.pipelines.tuning import checkpoint, class_pictures, fitting, lessons, lora
from studio.pipelines.tuning.images import photos_of
from studio.pipelines.tuning.masters import Masters, Trainee, adamw, adamw_in_eight_bits
from studio.pipelines.tuning.plan import Plan, plan_of, written
from studio.pipelines.tuning.recipe import TuneRecipe
from studio.pipelines.tuning.run import Run

SAVED_EVERY = 60.0  # seconds at most; sooner where that takes no more than this share of the time
SAVED_SHARE = 0.01
SAVED_FIRST = 1.0  # seconds after the first step, and least between two
TOLD_EVERY = 0.5
SAMPLED_SHARE = 0.03  # of the time at most goes into pictures of how far it is


class Train:
    """The runner of `tune` jobs on one device."""

    def __init__(self, device: Device, bases: Bases) -> None:
        self.device = device
        self.bases = bases

    def __call__(self, task: Task, report: Report, is_cancelled: IsCancelled) -> Iterator[Trained]:
        """Trains, going on from the checkpoint in the task's folder where there is one, and yields the one result.

        Raises Refused and WeightsMissing (the request does not fit what is here), OutOfMemory with figures before
        anything is trained, BrokenWeights (the loss is no number, or what came out is no tune), and Cancelled at the
        next step after `is_cancelled()` says so.
        """
        request = task.request
        assert isinstance(request, TuneRequest)
        if 0 in task.done:
            return
        plan = plan_of(self.bases, request)
        try:
            yield self._trained(task, plan, report, is_cancelled)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise OutOfMemory(
                f"A training on {plan.base.id} does not fit: {self.device.figures()}. "
                "Close other programs that use it, or choose a smaller base.",
                field="base",
            ) from error

    def _trained(self, task: Task, plan: Plan, report: Report, is_cancelled: IsCancelled) -> Trained:
        request = plan.request
        # 1. The base, alone on the device, if there can be room for it.
        report(Progress(step=0, steps=plan.steps, message=f"Loading {plan.base.id}."))
        self.device.unload()
        fitting.check(self.device, plan)
        pipeline: Any = loading.load(self.device, plan.base, to_train=True)

        # 2. Photos in their shapes; the base's own pictures of the class, made once and kept.
        photos = photos_of(task, plan)
        others = (
            class_pictures.made(
                self.device,
                pipeline,
                plan.base,
                plan.revision,
                request.class_name,
                report,
                is_cancelled,
                total=plan.steps,
            )
            if request.prior
            else []
        )

        # 3. Everything that no step changes.
        report(Progress(step=0, steps=plan.steps, message="Reading the photos."))
        recipe = self._recipe(pipeline, plan)
        own = [example for group in photos for example in recipe.encode(group)]
        prior = recipe.encode(others) if others else []
        taught = lessons.drawn_up(recipe, plan, own, prior, task.folder, is_cancelled)
        cutting = fitting.fitted(self.device, pipeline, plan, recipe)

        # 4. The weights, and where an earlier attempt left them.
        trainees = [
            Trainee(parameters=lora.trained(part), rate=plan.training.rates.get(name, plan.training.rate))
            for name, part in recipe.parts.items()
        ]
        masters = Masters(trainees, adamw_in_eight_bits if cutting.eight_bit else adamw)
        losses: list[float] = []
        if (kept := checkpoint.read(task.folder, plan.belongs)) is not None:
            losses = kept.pop("losses").tolist()
            masters.resume(kept)

        # 5. Step by step.
        run = Run(plan, recipe, masters, losses, own, prior, taught, cutting.at_once, task.folder)
        try:
            self._steps(run, pipeline, report, is_cancelled)
        finally:
            run.save()

        # 6. The averaged weights, written and proven.
        report(Progress(step=plan.steps, steps=plan.steps, message="Checking the tune."))
        with masters.averaged():
            file = recipe.save(task.folder)
        lora.verify(file)
        return Trained(index=0, file=file, losses=tuple(losses), recipe=written(plan, self.device))

    def _recipe(self, pipeline: Any, plan: Plan) -> TuneRecipe:
        module, _, made_by = plan.training.recipe.partition(":")
        recipe = getattr(import_module(f"studio.pipelines.tuning.{module}"), made_by)
        return recipe(pipeline, plan.base.family, plan.training, rank=plan.rank, seed=plan.seed, text=plan.text)

    def _steps(self, run: Run, pipeline: Any, report: Report, is_cancelled: IsCancelled) -> None:
        told, spent, began = 0.0, 0.0, time.monotonic()
        save_at = began + SAVED_FIRST
        preview: Path | None = None
        while run.masters.steps < run.plan.steps:
            if is_cancelled():
                raise Cancelled
            run.step()
            now = time.monotonic()
            if kept := now >= save_at:
                run.save()
                taken = time.monotonic() - now
                save_at = now + min(SAVED_EVERY, max(SAVED_FIRST, taken / SAVED_SHARE))
            # A picture now and then, of the averaged weights, as long as that takes next to nothing.
            is_due = run.masters.steps >= run.plan.steps // 10 and spent <= SAMPLED_SHARE * (now - began)
            if is_due:
                try:
                    preview = run.sample(pipeline, self.device)
                    spent += time.monotonic() - now
                except (RuntimeError, MemoryError) as error:
                    if not is_out_of_memory(error):
                        raise
                    spent = math.inf  # there is no room for one: it is trained without
                    self.device.empty_cache()
            if now - told >= TOLD_EVERY or is_due or kept or run.masters.steps == run.plan.steps:
                told = now
                run.write_losses()
                message = f"Step {run.masters.steps} of {run.plan.steps}, loss {run.loss:.3f}."
                report(
                    Progress(step=run.masters.steps, steps=run.plan.steps, message=message, preview=preview, kept=kept)
                )
