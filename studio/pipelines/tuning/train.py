"""The training of a tune: DreamBooth (Ruiz et al., 2022, https://arxiv.org/abs/2208.12242) with LoRA.

One loop for every family. It is cut into steps that each depend on nothing but their number and the weights before
them, so that a training that was interrupted ends with the same weights as one that was not.
"""

import hashlib
import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy
import torch
from PIL import Image

from studio.domain import BrokenWeights, Cancelled, IsCancelled, Progress, Report, Task, Trained, TuneRequest
from studio.pipelines import loading
from studio.pipelines.bases import Base, Bases
from studio.pipelines.device import Device
from studio.pipelines.families import Training
from studio.pipelines.tuning import checkpoint, class_pictures, lora, memory
from studio.pipelines.tuning.images import bucket_of, buckets, cut
from studio.pipelines.tuning.masters import Masters, Trainee, adamw, adamw_in_eight_bits
from studio.pipelines.tuning.recipe import Example, Photo, TuneRecipe
from studio.pipelines.versions import versions
from studio.rules import canonical
from studio.tunes import LOSSES, SAMPLE, photo_field, subject_of, thinned

SAVED_EVERY = 60.0  # seconds at most; sooner where that takes no more than this share of the time
SAVED_SHARE = 0.01
SAVED_FIRST = 5.0  # seconds after the first step
TOLD_EVERY = 0.5
SAMPLED_SHARE = 0.03  # of the time at most goes into pictures of how far it is
WARM_UP = 0.05  # of the steps


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A request with everything settled that its base's row settles."""

    request: TuneRequest
    base: Base
    training: Training
    steps: int
    rank: int
    text: bool
    prompt: str
    seed: int
    revision: str
    belongs: str
    """What of it a checkpoint must agree with."""


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

        # 1. What is trained, on what, and the base for it, alone on the device.
        plan = self._plan(request)
        report(Progress(step=0, steps=plan.steps, message=f"Loading {plan.base.id}."))
        self.device.unload()
        pipeline: Any = loading.load(self.device, plan.base, to_train=True)

        # 2. Photos in their shapes; the base's own pictures of the class, made once and kept.
        photos = _photos(task, plan)
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
        cutting = self._cut(pipeline, plan, recipe, own)

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
        run = Run(plan, recipe, masters, losses, own, prior, cutting.at_once, task.folder)
        try:
            self._steps(run, pipeline, report, is_cancelled)
        finally:
            run.save()

        # 6. The averaged weights, written and proven.
        report(Progress(step=plan.steps, steps=plan.steps, message="Checking the tune."))
        with masters.averaged():
            file = recipe.save(task.folder)
        lora.verify(file)
        yield Trained(index=0, file=file, losses=tuple(losses), recipe=_recipe(plan, self.device))

    def _plan(self, request: TuneRequest) -> Plan:
        base = self.bases.check_tune(request)
        training = base.family.training
        assert training is not None and request.seed is not None  # check_tune and resolve saw to it
        prompt = training.prompt.format(subject=subject_of(request.class_name))
        steps = training.steps if request.steps is None else request.steps
        revision = loading.revision_of(base)
        return Plan(
            request=request,
            base=base,
            training=training,
            steps=steps,
            rank=training.rank if request.rank is None else request.rank,
            text=training.text if request.text_encoder is None else request.text_encoder,
            prompt=f"{prompt}, {request.caption}" if request.caption else prompt,
            seed=request.seed,
            revision=revision,
            belongs=hashlib.sha256(canonical([request.to_json(), base.id, revision, steps]).encode()).hexdigest(),
        )

    def _recipe(self, pipeline: Any, plan: Plan) -> TuneRecipe:
        module, _, made_by = plan.training.recipe.partition(":")
        recipe = getattr(import_module(f"studio.pipelines.tuning.{module}"), made_by)
        return recipe(pipeline, plan.base.family, plan.training, rank=plan.rank, seed=plan.seed, text=plan.text)

    def _cut(self, pipeline: Any, plan: Plan, recipe: TuneRecipe, own: Sequence[Example]) -> memory.MemoryPlan:
        """Cuts the training to the memory that is free, and readies the networks for it. Raises OutOfMemory."""
        networks = {name: part for name, part in pipeline.components.items() if isinstance(part, torch.nn.Module)}
        sizes = {
            name: sum(one.numel() * one.element_size() for one in part.parameters()) for name, part in networks.items()
        }
        staying = {plan.base.family.denoiser, *recipe.parts}
        free, _ = self.device.memory()
        found = memory.plan(
            plan.training,
            memory.Load(
                base=sum(sizes.values()),
                staying=sum(sizes[name] for name in staying),
                weights=sum(one.numel() for part in recipe.parts.values() for one in lora.trained(part)),
                pixels=plan.base.family.native**2,
                wide=self.device.precision.networks == torch.float32,
            ),
            free=free + sum(sizes.values()),
            free_ram=self.device.machine_memory(),
            own_memory=self.device.torch.type == "cuda",
            eight_bit=self.device.torch.type == "cuda" and _has_bitsandbytes(),
            figures=self.device.figures(),
        )
        for name, network in networks.items():
            if name not in staying:
                network.to("cpu")
        if found.checkpointing:
            networks[plan.base.family.denoiser].enable_gradient_checkpointing()  # type: ignore[operator]
        self.device.empty_cache()
        return found

    def _steps(self, run: "Run", pipeline: Any, report: Report, is_cancelled: IsCancelled) -> None:
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
                preview = run.sample(pipeline, self.device)
                spent += time.monotonic() - now
            if now - told >= TOLD_EVERY or is_due or kept or run.masters.steps == run.plan.steps:
                told = now
                run.write_losses()
                message = f"Step {run.masters.steps} of {run.plan.steps}, loss {run.loss:.3f}."
                report(
                    Progress(step=run.masters.steps, steps=run.plan.steps, message=message, preview=preview, kept=kept)
                )


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
        at_once: int,
        folder: Path,
    ) -> None:
        self.plan, self.recipe, self.masters, self.losses = plan, recipe, masters, losses
        self.own, self.prior, self.at_once, self.folder = own, prior, at_once, folder

    @property
    def loss(self) -> float:
        """The mean of the last steps."""
        return float(numpy.mean(self.losses[-20:]))

    def step(self) -> None:
        """The next step: which photos, what noise, and how fast hang on its number alone. Raises BrokenWeights."""
        number, training = self.masters.steps, self.plan.training
        # 1. Some photos and some pictures of the class, each shape by itself.
        drawn = numpy.random.default_rng((self.plan.seed, number))
        random = torch.Generator().manual_seed(int(drawn.integers(2**62)))
        chosen = [self.own[row] for row in _rows(drawn, len(self.own), training.batch)]
        if self.prior:
            chosen += [self.prior[row] for row in _rows(drawn, len(self.prior), training.class_batch)]
        # 2. As many at once as there is room for; their gradients add up.
        total = 0.0
        for group in _groups(chosen, self.at_once):
            loss = self.recipe.loss(group, random).sum() / len(chosen)
            loss.backward()
            total += loss.item()
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


def _photos(task: Task, plan: Plan) -> list[list[Photo]]:
    """The photos, cut and mirrored, a list for each shape."""
    request, shapes = plan.request, buckets(plan.base.family.native, plan.base.family.multiple)
    found: dict[tuple[int, ...], list[Photo]] = {}
    for index in range(len(request.photos)):
        box = request.crops[index] if request.crops else None
        with Image.open(task.inputs[photo_field(index)]) as image:
            width, height = image.size if box is None else (box[2] - box[0], box[3] - box[1])
            pixels = cut(image, box, bucket_of(width, height, shapes))
        views = [pixels, pixels[:, ::-1]] if request.mirrored else [pixels]
        found.setdefault(pixels.shape, []).extend(Photo(pixels=view, prompt=plan.prompt) for view in views)
    return list(found.values())


def _rows(drawn: numpy.random.Generator, length: int, count: int) -> list[int]:
    """Which of `length` examples come next: none twice as long as there are others."""
    return [int(row) for row in drawn.choice(length, count, replace=count > length)]


def _groups(examples: Sequence[Example], at_once: int) -> Iterator[Sequence[Example]]:
    """The examples in groups of one shape, of so many at most."""
    by_shape: dict[tuple[int, ...], list[Example]] = {}
    for example in examples:
        latents = next(iter(example.values()))
        by_shape.setdefault(tuple(latents.shape), []).append(example)
    for group in by_shape.values():
        for start in range(0, len(group), at_once):
            yield group[start : start + at_once]


def _share(step: int, steps: int) -> float:
    """The learning rate as a share of its height: a short rise, then half a cosine down to nothing."""
    rise = max(1.0, WARM_UP * steps)
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1.0, steps - rise)))


def _has_bitsandbytes() -> bool:
    try:
        import_module("bitsandbytes")
    except ImportError:
        return False
    return True


def _recipe(plan: Plan, device: Device) -> Mapping[str, object]:
    """How the tune was made; what is written beside its weights."""
    return {
        "format": 1,
        "kind": plan.request.kind,
        "class": plan.request.class_name,
        "subject": subject_of(plan.request.class_name),
        "prompt": plan.prompt,
        "native": plan.base.family.native,
        "draws_in": plan.base.family.steps,
        "base": {
            "id": plan.base.id,
            "family": plan.base.family.id,
            "revision": plan.revision,
            "licence": plan.base.licence,
        },
        "steps": plan.steps,
        "rank": plan.rank,
        "text_encoder": plan.text,
        "photos": len(plan.request.photos),
        "seed": plan.seed,
        "device": device.torch.type,
        "precision": str(device.precision),
        "versions": versions(),
    }
