"""Pictures from a prompt, and from a picture or a masked picture and a prompt.

Knows requests, families' rows and diffusers pipelines; nothing of credits, jobs or where pictures are kept.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy
import torch
from PIL import Image

from studio.domain import (
    BrokenPicture,
    Cancelled,
    Drawn,
    ImageRequest,
    IsCancelled,
    OutOfMemory,
    Progress,
    Report,
    Task,
)
from studio.pipelines import conditioning, schedulers
from studio.pipelines.bases import Base, Bases
from studio.pipelines.clearer import NOTHING_FOUND, Clearer
from studio.pipelines.device import Device, is_out_of_memory
from studio.pipelines.families import SCHEDULERS, Pipe
from studio.pipelines.larger import Enlarged, Larger
from studio.pipelines.loading import TuneFile, key, loaded, tuned, tuned_key
from studio.pipelines.preview import Previews
from studio.pipelines.recipe import save_png
from studio.pipelines.shapes import Shape, drawn_shape, fitted
from studio.pipelines.versions import versions

BLACK = 2  # the brightest byte of a picture that counts as black


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A request with everything settled that its base's row settles."""

    request: ImageRequest
    base: Base
    pipe: Pipe
    shape: Shape
    prompt: str
    negative: str
    scheduler: str
    guidance: float
    strength: float | None
    steps: int
    warnings: tuple[str, ...]


class Text2Image:
    """The runner of `image` jobs on one device."""

    def __init__(self, device: Device, bases: Bases) -> None:
        self.device = device
        self.bases = bases
        self.larger = Larger(device, bases)
        self.clearer = Clearer(device, bases)

    def __call__(self, task: Task, report: Report, is_cancelled: IsCancelled) -> Iterator[Drawn]:
        """Yields each picture of the task that is not done, as a PNG with recipe and mark in the task's folder.

        Raises Refused and WeightsMissing (the request does not fit what is here), OutOfMemory, BrokenPicture,
        BrokenWeights, and Cancelled at the next step after `is_cancelled()` says so.
        """
        request = task.request
        assert isinstance(request, ImageRequest)
        waiting = [index for index in range(request.pictures) if index not in task.done]
        if not waiting:
            return

        # 1. What is drawn, and with what.
        plan = self._plan(request)
        tune = None if task.tune is None else TuneFile(file=task.tune, strength=request.tune_strength)
        warm = self.device.is_warm(key(plan.base) if tune is None else tuned_key(plan.base, tune))
        total = len(waiting) * plan.steps
        report(Progress(step=0, steps=total, message="Drawing." if warm else f"Loading {plan.base.id}."))
        base = loaded(self.device, plan.base) if tune is None else tuned(self.device, plan.base, tune)
        pipeline: Any = base.pipeline(plan.pipe)
        pipeline.scheduler = schedulers.make(plan.scheduler, plan.base.family, base.scheduler)

        # 2. The prompt, read once for all pictures.
        family = plan.base.family
        with torch.inference_mode():
            words = conditioning.WAYS[family.conditioning](
                pipeline,
                plan.prompt,
                plan.negative,
                guided=family.negative and plan.guidance > 1,
                device=self.device.torch,
                dtype=self.device.precision.latents,
            )
        for warning in (*plan.warnings, *words.warnings):
            report(Progress(step=0, steps=total, message="Drawing.", warning=warning))

        # 3. The pictures it starts from, in the drawn shape.
        arguments = dict(words.arguments) | dict(plan.pipe.extra) | _starting(plan, task)

        # 4. All at once, or as many at once as the memory holds.
        previews = Previews(task.folder, family.latents, base.colour_maps)
        finished, batch = 0, len(waiting)
        while finished < len(waiting):
            indexes = waiting[finished : finished + batch]
            steps = Steps(plan, report, is_cancelled, previews, before=finished, batch=len(indexes), total=total)
            try:
                images = self._draw(pipeline, plan, [request.seeds[index] for index in indexes], arguments, steps)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                batch = self._smaller(len(indexes), plan)
                continue
            # 5. Checked, and brought to its size, one after the other on the device.
            enlarged = [self._enlarged(plan, image, steps) for image in images]
            if request.face_enhance:
                enlarged = [self.clearer(one, steps.stop_if_cancelled) for one in enlarged]
                if any(one.faces is None for one in enlarged):
                    report(Progress(step=steps.done, steps=total, warning=NOTHING_FOUND))

            # 6. Written with recipe and mark; side by side, since packing a PNG takes one core.
            with ThreadPoolExecutor(len(images)) as pool:
                yield from pool.map(
                    lambda index, made: self._finish(task, plan, index, made, base.revision), indexes, enlarged
                )
            finished += len(indexes)

    def _plan(self, request: ImageRequest) -> Plan:
        base = self.bases.check(request)
        family = base.family
        warnings: list[str] = []
        prompt, negative = request.prompt, request.negative
        if request.style:
            prompt, negative = self.bases.styles[request.style].apply(prompt, negative)
        if not family.negative:
            if request.negative.strip():  # what a style adds is no news to the asker
                warnings.append(f"{family.title} takes no negative prompt: it was left out.")
            negative = ""
        guidance = family.guidance if request.guidance is None else request.guidance
        if not family.guided and guidance != family.guidance:
            warnings.append(f"{family.title} takes no guidance: {guidance:g} was left out.")
            guidance = family.guidance
        pipe = family.mask if request.mask else family.init if request.init else family.text
        assert pipe is not None  # bases.check saw to it
        strength = None
        steps = request.steps
        if request.init:
            strength = family.strength if request.strength is None else request.strength
            # diffusers does this part of the steps, rounded down; at least one has to be left.
            steps = max(int(request.steps * strength), 1)
        return Plan(
            request=request,
            base=base,
            pipe=pipe,
            shape=drawn_shape(family, request.width, request.height),
            prompt=prompt,
            negative=negative,
            scheduler=family.scheduler(request.scheduler),
            guidance=guidance,
            strength=strength,
            steps=steps,
            warnings=tuple(warnings),
        )

    def _draw(
        self, pipeline: Any, plan: Plan, seeds: Sequence[int], arguments: dict[str, Any], steps: "Steps"
    ) -> list[Image.Image]:
        """One batch through the pipeline: pictures in the drawn shape. Raises BrokenPicture for NaN."""
        asked = plan.request.steps
        if plan.strength is not None:
            arguments = arguments | {"strength": plan.strength}
            asked = max(asked, int(numpy.ceil(1 / plan.strength)))
        with torch.inference_mode():
            pixels = pipeline(
                # Noise is drawn on the CPU, so that a seed means the same on every device.
                generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
                num_images_per_prompt=len(seeds),
                num_inference_steps=asked,
                guidance_scale=plan.guidance + plan.base.family.guidance_shift,
                width=plan.shape.width,
                height=plan.shape.height,
                output_type="np",
                callback_on_step_end=steps,
                **arguments,
            ).images
        if not numpy.isfinite(pixels).all():
            raise BrokenPicture(
                f"{plan.base.id} gave no numbers (NaN) in {self.device.precision}. "
                "Try another scheduler or less guidance, or set precision to fp32.",
                field="precision",
            )
        return [Image.fromarray(one) for one in (pixels * 255).round().astype("uint8")]

    def _smaller(self, batch: int, plan: Plan) -> int:
        """Half of a batch that did not fit. Raises OutOfMemory where that batch was one picture."""
        self.device.empty_cache()
        if batch > 1:
            return batch // 2
        raise OutOfMemory(
            f"One picture of {plan.shape.width}x{plan.shape.height} does not fit: {self.device.figures()}. "
            "Choose a smaller size or base, or close other programs that use it.",
            field="size",
        )

    def _enlarged(self, plan: Plan, image: Image.Image, steps: "Steps") -> Enlarged:
        """The picture at its size. Raises BrokenPicture where there is nothing on it, Cancelled."""
        if numpy.asarray(image).max() <= BLACK:
            raise BrokenPicture(
                f"{plan.base.id} drew nothing but black. Try another seed or less guidance, or set precision to fp32.",
                field="precision",
            )
        request = plan.request
        return self.larger(
            image, request.width, request.height, doubled=request.super_resolution, tick=steps.stop_if_cancelled
        )

    def _finish(self, task: Task, plan: Plan, index: int, made: Enlarged, revision: str) -> Drawn:
        request = plan.request
        image = made.image
        if "mask" in task.inputs:
            # What was not to be painted is the picture that was handed in, to the pixel.
            with Image.open(task.inputs["init"]) as init, Image.open(task.inputs["mask"]) as mask:
                kept = fitted(init.convert("RGB"), *image.size)
                image = Image.composite(image, kept, fitted(mask.convert("L"), *image.size))
        recipe = {**_recipe(plan, index, self.device, image.size, revision), "enlarged_by": list(made.by)}
        recipe |= {"face_enhance": made.faces} if request.face_enhance else {}
        path = task.folder / f"{index}.png"
        save_png(image, path, recipe)
        return Drawn(
            index=index,
            file=path,
            width=image.width,
            height=image.height,
            seed=request.seeds[index],
            recipe=recipe,
            found=not request.face_enhance or made.faces is not None,
        )


class Steps:
    """Called by the pipeline after each step: stops it when cancelled, and tells how far it is."""

    def __init__(
        self,
        plan: Plan,
        report: Report,
        is_cancelled: IsCancelled,
        previews: Previews,
        *,
        before: int,
        batch: int,
        total: int,
    ) -> None:
        self.plan, self.report, self.is_cancelled, self.previews = plan, report, is_cancelled, previews
        self.before, self.batch, self.total = before, batch, total
        self.told = 0.0
        self.done = before * plan.steps

    def stop_if_cancelled(self) -> None:
        """Raises Cancelled."""
        if self.is_cancelled():
            raise Cancelled

    def __call__(self, pipeline: Any, step: int, timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
        self.stop_if_cancelled()
        now = time.monotonic()
        steps = self.plan.steps
        if now - self.told >= 0.2 or step + 1 >= steps:
            self.told = now
            shape = self.plan.shape
            preview = self.previews.take(pipeline, values["latents"], shape.height, shape.width)
            self.done = self.before * steps + self.batch * min(step + 1, steps)
            message = f"Step {min(step + 1, steps)} of {steps}."
            self.report(Progress(step=self.done, steps=self.total, message=message, preview=preview))
        return {}


def _starting(plan: Plan, task: Task) -> dict[str, Any]:
    """The pictures that image to image and inpainting start from, fitted to the drawn shape."""
    if not plan.request.init:
        return {}
    size = (plan.shape.width, plan.shape.height)
    with Image.open(task.inputs["init"]) as init:
        given: dict[str, Any] = {"image": fitted(init.convert("RGB"), *size)}
    if plan.request.mask:
        with Image.open(task.inputs["mask"]) as mask:
            given["mask_image"] = fitted(mask.convert("L"), *size)
    elif plan.pipe.whole_mask:
        given["mask_image"] = Image.new("L", size, 255)
    return given


def _recipe(plan: Plan, index: int, device: Device, size: tuple[int, int], revision: str) -> dict[str, Any]:
    """Everything needed to make picture `index` again, alone."""
    request = plan.request
    return {
        "format": 1,
        "kind": request.kind,
        "prompt": plan.prompt,
        "negative": plan.negative,
        "asked": {"prompt": request.prompt, "negative": request.negative},
        "style": request.style,
        "base": {
            "id": plan.base.id,
            "family": plan.base.family.id,
            "revision": revision,
            "licence": plan.base.licence,
        },
        "steps": request.steps,
        "scheduler": plan.scheduler,
        "sampler": SCHEDULERS[plan.scheduler],
        "schedule": "Karras" if schedulers.uses_karras(plan.scheduler, plan.base.family) else None,
        "guidance": plan.guidance,
        "seed": request.seeds[index],
        "width": size[0],
        "height": size[1],
        "asked_size": [request.width, request.height],
        "drawn": None if (plan.shape.width, plan.shape.height) == size else [plan.shape.width, plan.shape.height],
        "strength": plan.strength,
        "inpainting": request.mask is not None,
        "super_resolution": request.super_resolution,
        "tune": None if request.tune is None else {"id": request.tune, "strength": request.tune_strength},
        "device": device.torch.type,
        "precision": str(device.precision),
        "attention": device.settings.attention,
        "versions": versions(),
    }
