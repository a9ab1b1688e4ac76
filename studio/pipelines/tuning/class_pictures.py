"""The base's own pictures of a class ("a person"), which keep the class alive while one of it is learnt.

Prior preservation: Ruiz et al., 2022, https://arxiv.org/abs/2208.12242, 3.2. Made once for a base and a class, and kept
in the data folder; they show nobody.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from studio.domain import Cancelled, IsCancelled, Progress, Report
from studio.pipelines import schedulers
from studio.pipelines.bases import Base
from studio.pipelines.device import Device
from studio.pipelines.tuning.recipe import Photo
from studio.rules import canonical

FOLDER = "class"
AT_ONCE = 4
SEED = 20_26
ARTICLES = {"object": "an object", "couple": "a couple"}


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
    subject = ARTICLES.get(class_name, f"a {class_name}")
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
    # 2. Drawn where they are not there.
    if pixels is None or len(pixels) != len(prompts):
        pixels = _drawn(device, pipeline, base, prompts, report, is_cancelled, total=total)
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        save_file({"pixels": torch.from_numpy(pixels)}, part)
        part.replace(file)
    return [Photo(pixels=one, prompt=prompt) for one, prompt in zip(pixels, prompts, strict=True)]


def _kept(file: Path) -> numpy.ndarray | None:
    try:
        return load_file(file)["pixels"].numpy()
    except (OSError, SafetensorError, KeyError):
        return None


def _drawn(
    device: Device,
    pipeline: Any,
    base: Base,
    prompts: list[str],
    report: Report,
    is_cancelled: IsCancelled,
    *,
    total: int,
) -> numpy.ndarray:
    family = base.family
    pipeline.scheduler = schedulers.make(family.scheduler(None), family, dict(pipeline.scheduler.config))
    pictures: list[numpy.ndarray] = []

    def after_step(_pipeline: Any, _step: int, _time: Any, _values: dict[str, Any]) -> dict[str, Any]:
        if is_cancelled():
            raise Cancelled
        return {}

    for start in range(0, len(prompts), AT_ONCE):
        report(Progress(step=0, steps=total, message=f"Drawing the class: {start} of {len(prompts)}."))
        some = prompts[start : start + AT_ONCE]
        with torch.inference_mode():
            images = pipeline(
                prompt=some,
                width=family.native,
                height=family.native,
                num_inference_steps=family.steps,
                guidance_scale=family.guidance + family.guidance_shift,
                generator=[torch.Generator().manual_seed(SEED + start + row) for row in range(len(some))],
                output_type="np",
                callback_on_step_end=after_step,
                **family.text.extra,
            ).images
        pictures.extend((numpy.asarray(images) * 255).round().astype(numpy.uint8))
    return numpy.ascontiguousarray(numpy.stack(pictures))
