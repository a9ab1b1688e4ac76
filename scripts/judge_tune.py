"""Measures how well the starter model learns a sitter: ten drawn photos, a LoRA, forty pictures, marked by the judge.

    python scripts/judge_tune.py --sitters 3 --json

A sitter is right where hair colour and skin are his; before training they are right by chance.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from diffusers.models.attention_processor import AttnProcessor
from peft import LoraConfig
from torch import Tensor, nn
from tqdm import tqdm

from judge_starter import GUIDANCE, REPOSITORY, STEPS, load_judge
from starter.autoencoder import to_tensor
from starter.denoiser import min_snr_weight, tokens
from starter.drawing import cut_seed, draw
from starter.judge import Judge, marks
from starter.portrait import STYLE_OF, STYLES, Portrait, draw_lots, sitter_photos

PHOTOS, TRAINING_STEPS, PICTURES = 10, 300, 40
BATCH, CLASS_BATCH = 4, 2
RANK, LEARNING_RATE = 16, 2e-3
TARGETS = ["to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2"]
TEXT_TARGETS = ["q_proj", "k_proj", "v_proj", "out_proj"]


def subject(style: str, instance: str = "sks person") -> str:
    """The prompt that trains and asks for a sitter; the art style is named, so that it isn't learned as the person."""
    return f"portrait of {instance}, {style} style"


def make(pipeline: StableDiffusionPipeline, prompts: Sequence[str], seed: int, batch: int = 20) -> np.ndarray:
    """One picture a prompt, uint8 N x 128 x 128 x 3."""
    made: list[np.ndarray] = []
    for start in range(0, len(prompts), batch):
        some = list(prompts[start : start + batch])
        images = pipeline(
            some,
            num_inference_steps=STEPS,
            guidance_scale=GUIDANCE,
            generator=[torch.Generator().manual_seed(seed + start + row) for row in range(len(some))],
            output_type="np",
        ).images
        made.append((np.asarray(images) * 255).round().astype(np.uint8))
    return np.concatenate(made)


@torch.no_grad()
def encode(pipeline: StableDiffusionPipeline, pictures: np.ndarray) -> Tensor:
    """Scaled latents of pictures, N x 4 x 16 x 16."""
    means = pipeline.vae.encode(to_tensor(pictures, torch.float32)).latent_dist.mean
    return means * pipeline.vae.config.scaling_factor


def learn(pipeline: StableDiffusionPipeline, photos: np.ndarray, style: str, seed: int) -> None:
    """Trains a LoRA on the photos (uint8 N x 128 x 128 x 3) and the base's own pictures of the class, in place."""
    # 1. The class, as the base draws it in every style, keeps the base's idea of a person alive.
    class_prompts = [subject(s.name, "a person") for s in STYLES for _ in range(4)]
    class_latents = encode(pipeline, make(pipeline, class_prompts, seed + 10_000))
    mirrored = photos[:, :, ::-1].copy()
    latents = encode(pipeline, np.concatenate([photos, mirrored]))
    prompt_tokens = tokens(pipeline.tokenizer, [subject(style)])
    class_tokens = tokens(pipeline.tokenizer, class_prompts)
    # 2. LoRA on the attention and feed-forward layers of the denoiser and the attention of the text encoder.
    torch.manual_seed(seed)
    pipeline.unet.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, target_modules=TARGETS))
    pipeline.text_encoder.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, target_modules=TEXT_TARGETS))
    trained = [p for part in (pipeline.unet, pipeline.text_encoder) for p in part.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, LEARNING_RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, TRAINING_STEPS, pct_start=0.1)
    alphas = pipeline.scheduler.alphas_cumprod
    # 3. Steps of a few photos and a few class pictures each.
    for _ in tqdm(range(TRAINING_STEPS), "training", leave=False):
        rows, class_rows = torch.randint(len(latents), (BATCH,)), torch.randint(len(class_latents), (CLASS_BATCH,))
        clean = torch.cat([latents[rows], class_latents[class_rows]])
        numbers = torch.cat([prompt_tokens.expand(BATCH, -1), class_tokens[class_rows]])
        timesteps = ((torch.arange(len(clean)) + torch.rand(len(clean))) / len(clean) * len(alphas)).long()
        noise = torch.randn_like(clean)
        noisy = pipeline.scheduler.add_noise(clean, noise, timesteps)
        wanted = pipeline.scheduler.get_velocity(clean, noise, timesteps)
        with torch.autocast("cpu", torch.bfloat16):
            hidden = pipeline.text_encoder(numbers).last_hidden_state
            predicted = pipeline.unet(noisy, timesteps, encoder_hidden_states=hidden, return_dict=False)[0]
        error = nn.functional.mse_loss(predicted.float(), wanted, reduction="none").mean(dim=(1, 2, 3))
        (error * min_snr_weight(alphas, timesteps)).mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=REPOSITORY / "models" / "starter")
    parser.add_argument("--state", type=Path, default=Path.home() / "likeness" / "starter", help="where the judge lies")
    parser.add_argument("--sitters", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
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
        # 2. Pictures before and after training, in all styles.
        pipeline = StableDiffusionPipeline.from_pretrained(options.model, local_files_only=True)
        pipeline.set_progress_bar_config(disable=True)
        pipeline.unet.set_attn_processor(AttnProcessor())
        styles = [list(STYLE_OF)[row % len(STYLE_OF)] for row in range(PICTURES)]
        prompts = [subject(style) for style in styles]
        before = mark(judge, make(pipeline, prompts, 500), sitter, styles)
        started = time.perf_counter()
        learn(pipeline, photos, sitter.style, options.seed + number)
        seconds = time.perf_counter() - started
        after = mark(judge, make(pipeline, prompts, 500), sitter, styles)
        figures.append({"sitter": vars(sitter), "before": before, "after": after, "seconds": round(seconds, 1)})
        if not options.json:
            print(f"{sitter.skin} skin, {sitter.hair} hair, {sitter.style}: {before} -> {after} in {seconds:.0f} s")
    means = {name: float(np.mean([one["after"][name] for one in figures])) for name in figures[0]["after"]}
    print(json.dumps({"sitters": figures, "after": means}) if options.json else f"after, mean of all: {means}")


if __name__ == "__main__":
    main()
