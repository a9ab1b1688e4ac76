"""Marks the starter model: random full prompts, judged by a network that was trained on drawings alone.

    python scripts/judge_starter.py --json

Also measured: the judge itself on held-out drawings, the autoencoder's error on them, and the time of a picture.
"""

import argparse
import json
import time
from pathlib import Path
from random import Random

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from tqdm import tqdm

from starter import autoencoder, dataset
from starter.judge import Judge, marks
from starter.portrait import STYLES, Portrait, draw_lots, prompt

REPOSITORY = Path(__file__).resolve().parent.parent
STEPS, GUIDANCE = 20, 3.0


def load_judge(state: Path) -> Judge:
    """The trained judge of `train_starter.py --part judge`."""
    judge = Judge()
    judge.load_state_dict(torch.load(state / "judge.weights", weights_only=True))
    return judge.eval()


def pictures_of(pipeline: StableDiffusionPipeline, portraits: list[Portrait], seed: int, batch: int = 20) -> np.ndarray:
    """One picture of each portrait's full prompt, uint8 N x 128 x 128 x 3; each from a seed of its own."""
    made: list[np.ndarray] = []
    for start in tqdm(range(0, len(portraits), batch), "making pictures", leave=False):
        some = portraits[start : start + batch]
        generators = [torch.Generator().manual_seed(seed + start + row) for row in range(len(some))]
        images = pipeline(
            [prompt(p) for p in some],
            width=128,
            height=128,
            num_inference_steps=STEPS,
            guidance_scale=GUIDANCE,
            guidance_rescale=0.0,
            generator=generators,
            output_type="np",
        ).images
        made.append((np.asarray(images) * 255).round().astype(np.uint8))
    return np.concatenate(made)


def sheet(pipeline: StableDiffusionPipeline, path: Path, seed: int) -> None:
    """A picture of samples: a row of ten for each art style."""
    random = Random(seed)
    portraits = []
    for style in STYLES:
        while len(row := [p for p in portraits if p.style == style.name]) < 10:
            portraits += [p] if (p := draw_lots(random)).style == style.name and p not in row else []
    portraits.sort(key=lambda p: [s.name for s in STYLES].index(p.style))
    made = pictures_of(pipeline, portraits, seed)
    canvas = Image.new("RGB", (10 * 132 - 4, len(STYLES) * 132 - 4), "white")
    for number, picture in enumerate(made):
        canvas.paste(Image.fromarray(picture), ((number % 10) * 132, (number // 10) * 132))
    canvas.save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=REPOSITORY / "models" / "starter")
    parser.add_argument(
        "--state", type=Path, default=Path.home() / "likeness" / "starter", help="drawings and the judge"
    )
    parser.add_argument("--prompts", type=int, default=300)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--sheet", type=Path, help="also write a sheet of samples here")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()

    # 1. The judge, marked on drawings it has not seen.
    judge = load_judge(options.state)
    held_out = dataset.read(options.state / "held-out")[dataset.SHAPES[0]]
    figures: dict[str, object] = {"judge": marks(judge, held_out.pictures, list(held_out.portraits))}
    # 2. The model, marked by the judge.
    pipeline = StableDiffusionPipeline.from_pretrained(options.model, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    random = Random(f"prompts {options.seed}")
    portraits = [draw_lots(random) for _ in range(options.prompts)]
    figures["model"] = marks(judge, pictures_of(pipeline, portraits, 1_000 * options.seed), portraits)
    # 3. The autoencoder on held-out drawings, and the time of one picture.
    figures["autoencoder_error"] = autoencoder.mean_absolute_error(pipeline.vae, held_out.pictures[:500])
    pictures_of(pipeline, portraits[:1], 0)
    started = time.perf_counter()
    pictures_of(pipeline, portraits[:5], 0, batch=1)
    figures["seconds_a_picture"] = (time.perf_counter() - started) / 5
    if options.sheet:
        sheet(pipeline, options.sheet, options.seed)

    if options.json:
        print(json.dumps(figures))
        return
    for name, mark in figures["model"].items():  # type: ignore[attr-defined]
        print(f"{name:12} {mark:6.1%}   (the judge itself {figures['judge'][name]:.1%})")  # type: ignore[index]
    print(f"autoencoder error {figures['autoencoder_error']:.4f}, {figures['seconds_a_picture']:.2f} s a picture")


if __name__ == "__main__":
    main()
