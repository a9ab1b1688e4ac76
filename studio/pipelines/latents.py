"""Cheap pictures of unfinished latents: a linear map from channels to colours, fitted to a base's own decoder."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn import functional as F

CHART = 128  # latent cells whose colours are compared are CHART / 8 or / 16 a side
RIDGE = 1e-3


def plain(pipeline: Any, latents: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """(pictures, channels, rows, columns), as they are."""
    return latents


def packed(pipeline: Any, latents: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """FLUX.2's (pictures, cells, channels), as (pictures, channels, rows, columns); a cell is 16 pixels."""
    cell = pipeline.vae_scale_factor * 2
    rows, columns = height // cell, width // cell
    grid = latents.permute(0, 2, 1).reshape(latents.shape[0], latents.shape[2], rows, columns)
    norm = pipeline.vae.bn
    mean = norm.running_mean.view(1, -1, 1, 1).to(grid)
    return grid * (norm.running_var.view(1, -1, 1, 1) + pipeline.vae.config.batch_norm_eps).sqrt().to(grid) + mean


LAYOUTS: Mapping[str, Callable[[Any, torch.Tensor, int, int], torch.Tensor]] = {"plain": plain, "packed": packed}


def fit_colours(pipeline: Any, layout: str, channels: int) -> torch.Tensor:
    """(channels + 1, 3): what makes red, green and blue of a latent cell, by least squares over decoded noise.

    Soft random latents are decoded once and each cell compared with the mean colour of its pixels, which needs no
    table of constants and fits any autoencoder, also one trained here. Of cells the decoder itself unpacks, a quarter
    of the channels is one pixel's: the map is fitted on those and repeated.
    """
    vae = pipeline.vae
    fold = 4 if layout == "packed" else 1
    random = torch.Generator("cpu").manual_seed(0)
    side = CHART // 8
    coarse = torch.randn(4, channels // fold, side // 4, side // 4, generator=random)
    latents = F.interpolate(coarse, size=(side, side), mode="bicubic") * 1.5
    pixels = decode(vae, latents.to(vae.device, vae.dtype)).float().cpu()
    colours = F.adaptive_avg_pool2d(pixels, (side, side)).permute(0, 2, 3, 1).reshape(-1, 3)
    cells = latents.permute(0, 2, 3, 1).reshape(-1, channels // fold)
    cells = torch.cat([cells, torch.ones(len(cells), 1)], dim=1)
    gram = cells.T @ cells + RIDGE * len(cells) * torch.eye(cells.shape[1])
    colour_map = torch.linalg.solve(gram, cells.T @ colours)
    if fold > 1:
        colour_map = torch.cat([colour_map[:-1].repeat_interleave(fold, dim=0) / fold, colour_map[-1:]])
    return colour_map


def decode(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    """Pixels (-1 to 1) of latents as the network sees them: unscaled as the autoencoder's configuration says."""
    scale = getattr(vae.config, "scaling_factor", None) or 1.0
    shift = getattr(vae.config, "shift_factor", None) or 0.0
    return vae.decode(latents / scale + shift, return_dict=False)[0]


def colours_of(latents: torch.Tensor, colour_map: torch.Tensor) -> torch.Tensor:
    """(rows, columns, 3) bytes of one picture's (channels, rows, columns)."""
    cells = latents.float().cpu().permute(1, 2, 0)
    colours = cells @ colour_map[:-1] + colour_map[-1]
    return ((colours.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
