"""Measures how well the starter model learns a sitter: ten drawn photos, a LoRA, forty pictures, marked by the judge.

    python scripts/judge_tune.py --sitters 3 --json

A sitter is right where hair colour and skin are his; before training they are right by chance. Pictures are drawn as
the studio draws them, with the guidance and its rescaling of the starter's row. The base's own must be the same before
and after. It ends with 1 where a figure falls short of `WANTED` or the base has changed.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from tqdm import tqdm

from judge_starter import REPOSITORY, STEPS, load_judge
from starter.drawing import cut_seed, draw
from starter.judge import Judge, marks
from starter.portrait import STYLE_OF, Portrait, draw_lots, sitter_photos

sys.path.insert(0, str(REPOSITORY))  # a script's own folder is what Python looks in

from studio.domain import Progress, Task, TuneRequest
from studio.pipelines.bases import Bases
from studio.pipelines.device import Device
from studio.pipelines.families import FAMILIES
from studio.pipelines.tuning.train import Train
from studio.settings import Settings
from studio.tunes import CONSENT, photo_field

PHOTOS, PICTURES = 10, 40
BATCH = 20  # pictures at once
WANTED = {"hair_and_skin": 0.80, "style": 0.85}  # mean of all sitters


def subject(style: str, instance: str = "sks person") -> str:
    """The prompt that trains and asks for a sitter; the art style is named, so that it isn't learned as the person."""
    return f"portrait of {instance}, {style} style"


def make(pipeline: StableDiffusionPipeline, prompts: Sequence[str], seed: int, batch: int = BATCH) -> np.ndarray:
    """One picture a prompt, drawn as the studio draws them, uint8 N x 128 x 128 x 3."""
    made: list[np.ndarray] = []
    for start in range(0, len(prompts), batch):
        some = list(prompts[start : start + batch])
        images = pipeline(
            some,
            num_inference_steps=STEPS,
            guidance_scale=FAMILIES["starter"].guidance,
            generator=[torch.Generator().manual_seed(seed + start + row) for row in range(len(some))],
            output_type="np",
            **FAMILIES["starter"].text.extra,
        ).images
        made.append((np.asarray(images) * 255).round().astype(np.uint8))
    return np.concatenate(made)


def learn(model: Path, folder: Path, photos: np.ndarray, style: str, seed: int) -> Path:
    """The file of weights that the studio's own training makes of photos (uint8, N x 128 x 128 x 3)."""
    # 1. The photos as files, as a job has them.
    inputs = {photo_field(row): folder / f"{row}.png" for row in range(len(photos))}
    for photo, file in zip(photos, inputs.values(), strict=True):
        Image.fromarray(photo).save(file)
    # 2. The request; what all photos share is their style, named so that it isn't learnt as the person.
    request = TuneRequest(
        name="Sitter",
        class_name="person",
        photos=tuple(f"photo-{row}" for row in range(len(photos))),
        consent=CONSENT,
        caption=f"{style} style",
        seed=seed,
    )
    # 3. The runner that `tune train` uses.
    settings = Settings.read({"STUDIO_DATA": str(folder / "data"), "STUDIO_MODELS": str(model.parent)})
    bar = tqdm(desc="training", leave=False)

    def report(progress: Progress) -> None:
        bar.total = progress.steps
        bar.update(progress.step - bar.n)

    train = Train(Device(settings), Bases.of(settings, {}))
    task = Task(job_id="sitter", request=request, folder=folder, inputs=inputs)
    (trained,) = train(task, report, lambda: False)
    bar.close()
    return trained.file


def loaded(model: Path) -> StableDiffusionPipeline:
    """The base as it lies in its folder."""
    pipeline = StableDiffusionPipeline.from_pretrained(model, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def sheet(path: Path, photos: np.ndarray, made: np.ndarray) -> None:
    """The photos in the first row, what was made of them below."""
    rows = 1 + -(-len(made) // PHOTOS)
    canvas = Image.new("RGB", (PHOTOS * 132 - 4, rows * 132 - 4), "white")
    for place, picture in enumerate([*photos, *made]):
        canvas.paste(Image.fromarray(picture), (place % PHOTOS * 132, place // PHOTOS * 132))
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.save(path)


def mark(judge: Judge, pictures: np.ndarray, sitter: Portrait, styles: Sequence[str]) -> dict[str, float]:
    """The shares right: hair and skin of the sitter, both at once, and the art style that was asked for."""
    wanted = [replace(sitter, style=style) for style in styles]
    single = [marks(judge, pictures[row : row + 1], [portrait]) for row, portrait in enumerate(wanted)]
    return {
        "hair": float(np.mean([one["hair"] for one in single])),
        "skin": float(np.mean([one["skin"] for one in single])),
        "hair_and_skin": float(np.mean([one["hair"] * one["skin"] for one in single])),
        "style": float(np.mean([one["style"] for one in single])),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=REPOSITORY / "models" / "starter")
    parser.add_argument("--state", type=Path, default=Path.home() / "likeness" / "starter", help="where the judge lies")
    parser.add_argument("--sitters", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sheets", type=Path, help="also write a picture for each sitter into this folder")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    judge = load_judge(options.state)
    figures = []
    for number in range(options.sitters):
        # 1. A sitter and his photos, all in one style.
        random = Random(f"sitter {options.seed} {number}")
        sitter = draw_lots(random)
        shown = sitter_photos(sitter, PHOTOS, random)
        photos = np.stack([np.asarray(draw(one, random, cut=Random(cut_seed(sitter)))) for one in shown])
        # 2. Pictures before and after training, in all styles; the base is loaded anew and is as it was.
        styles = [list(STYLE_OF)[row % len(STYLE_OF)] for row in range(PICTURES)]
        prompts = [subject(style) for style in styles]
        plain = make(loaded(options.model), prompts, 500)
        before = mark(judge, plain, sitter, styles)
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            file = learn(options.model, Path(folder), photos, sitter.style, options.seed + number)
            seconds = time.perf_counter() - started
            pipeline = loaded(options.model)
            pipeline.load_lora_weights(file.parent, weight_name=file.name, local_files_only=True)
        made = make(pipeline, prompts, 500)
        after = mark(judge, made, sitter, styles)
        same = bool((make(loaded(options.model), prompts[:BATCH], 500) == plain[:BATCH]).all())
        if options.sheets:
            sheet(options.sheets / f"sitter-{number}.png", photos, made)
        figures.append(
            {"sitter": vars(sitter), "before": before, "after": after, "base_same": same, "seconds": round(seconds, 1)}
        )
        if not options.json:
            print(f"{sitter.skin} skin, {sitter.hair} hair, {sitter.style}: {before} -> {after} in {seconds:.0f} s")
            print("the base's own pictures are", "as they were" if same else "NOT as they were")
    means = {name: float(np.mean([one["after"][name] for one in figures])) for name in figures[0]["after"]}
    short = [f"{name} {means[name]:.3f} of {least}" for name, least in WANTED.items() if means[name] < least]
    if not all(one["base_same"] for one in figures):
        short.append("the base has changed")
    if options.json:
        print(json.dumps({"sitters": figures, "after": means, "short": short}))
    else:
        print(f"after, mean of all: {means};", f"short: {', '.join(short)}" if short else "all that is wanted")
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
