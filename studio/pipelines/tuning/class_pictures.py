"""The base's own pictures of a class ("a person"), which keep the class alive while one of it is learnt.

Prior preservation: Ruiz et al., 2022, https://arxiv.org/abs/2208.12242, 3.2. Made once for a base and a class, and kept
in the data folder; they show nobody.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from studio.domain import Cancelled, IsCancelled, Progress, Report
from studio.pipelines import schedulers
from studio.pipelines.bases import Base
from studio.pipelines.device import Device, is_out_of_memory
from studio.pipelines.tuning.recipe import Photo
from studio.rules import canonical

FOLDER = "class"
AT_ONCE = 4
SEED = 20_26
ARTICLES = {"object": "an object", "couple": "a couple"}


def one_of(class_name: str) -> str:
    """How a prompt names anyone of a class."""
    return ARTICLES.get(class_name, f"a {class_name}")


def made(
    device: Device,
    pipeline: Any,
    base: Base,
    revision: str,
    class_name: str,
    report: Report,
    is_cancelled: IsCancelled,
    *,
    total: int,
) -> list[Photo]:
    """The pictures of the class in the family's native square, from the folder or drawn now. Raises Cancelled.

    `revision` is the base's: another one draws others.
    """
    family, training = base.family, base.family.training
    assert training is not None
    subject = one_of(class_name)
    prompts = [
        training.class_prompts[row % len(training.class_prompts)].format(subject=subject)
        for row in range(training.class_pictures)
    ]
    if not prompts:
        return []
    # 1. Kept under all that they depend on.
    belongs = canonical([base.id, revision, prompts, family.native, str(device.precision)])
    file = device.settings.data / FOLDER / f"{hashlib.sha256(belongs.encode()).hexdigest()[:32]}.safetensors"
    pixels = _kept(file)
    # 2. The others drawn, and kept a few at a time.
    file.parent.mkdir(parents=True, exist_ok=True)
    for some in _drawn(device, pipeline, base, prompts[len(pixels) :], len(pixels), report, is_cancelled, total=total):
        pixels += some
        part = file.with_suffix(".part")
        save_file({"pixels": torch.from_numpy(numpy.ascontiguousarray(numpy.stack(pixels)))}, part)
        part.replace(file)
        report(Progress(step=0, steps=total, message=f"Drawing the class: {len(pixels)} of {len(prompts)}.", kept=True))
    return [Photo(pixels=one, prompt=prompt) for one, prompt in zip(pixels, prompts, strict=True)]


def _kept(file: Path) -> list[numpy.ndarray]:
    try:
        return list(load_file(file)["pixels"].numpy())
    except (OSError, SafetensorError, KeyError):
        return []


def _drawn(
    device: Device,
    pipeline: Any,
    base: Base,
    prompts: list[str],
    before: int,
    report: Report,
    is_cancelled: IsCancelled,
    *,
    total: int,
) -> Iterator[list[numpy.ndarray]]:
    """Pictures of these prompts, some at a time, fewer where the memory is full; `before` were drawn already.

    Raises Cancelled, and what the device says where not even one fits.
    """
    family = base.family
    pipeline.scheduler = schedulers.make(family.scheduler(None), family, dict(pipeline.scheduler.config))

    def after_step(_pipeline: Any, _step: int, _time: Any, _values: dict[str, Any]) -> dict[str, Any]:
        if is_cancelled():
            raise Cancelled
        return {}

    start, at_once = 0, AT_ONCE
    while start < len(prompts):
        some = prompts[start : start + at_once]
        try:
            with torch.inference_mode():
                images = pipeline(
                    prompt=some,
                    width=family.native,
                    height=family.native,
                    num_inference_steps=family.steps,
                    guidance_scale=family.guidance + family.guidance_shift,
                    generator=[torch.Generator().manual_seed(SEED + before + start + row) for row in range(len(some))],
                    output_type="np",
                    callback_on_step_end=after_step,
                    **family.text.extra,
                ).images
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or at_once == 1:
                raise
            at_once //= 2
            device.empty_cache()
            continue
        start += len(some)
        yield list((numpy.asarray(images) * 255).round().astype(numpy.uint8))
