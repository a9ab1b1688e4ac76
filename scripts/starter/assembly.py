"""Puts the trained parts together as an ordinary diffusers folder, in the dtypes that load without trouble."""

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from starter.denoiser import build_scheduler


def scaling_factor(parameters: np.ndarray) -> float:
    """The factor that brings latents (N x 8 x h x w, means first) to unit variance, as Stable Diffusion 1.x wants."""
    means = parameters[:, : parameters.shape[1] // 2].astype(np.float32)
    return float(1 / means.std())


def save(
    folder: Path,
    *,
    autoencoder: AutoencoderKL,
    unet: UNet2DConditionModel,
    text_encoder: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    scaling: float,
) -> None:
    """Writes the folder that `StableDiffusionPipeline.from_pretrained` loads with no code of ours.

    Denoiser and autoencoder are stored in fp16, the text encoder in fp32: asked for no dtype, diffusers loads its
    parts in fp32 whatever they were stored in, transformers keeps the stored one, and all must be alike.
    """
    autoencoder.register_to_config(scaling_factor=round(scaling, 5))
    StableDiffusionPipeline(
        vae=autoencoder.to(torch.float16),
        text_encoder=text_encoder.to(torch.float32),
        tokenizer=tokenizer,
        unet=unet.to(torch.float16),
        scheduler=build_scheduler(),
        safety_checker=None,  # type: ignore[arg-type]
        feature_extractor=None,  # type: ignore[arg-type]
        requires_safety_checker=False,
    ).save_pretrained(folder)
