"""The starter's autoencoder: pictures to latents an eighth of their side, and back.

`AutoencoderKL` with the four levels and two resnets a level of Stable Diffusion 1.x, only narrower.
"""

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from starter.dataset import Drawings
from starter.group_norm import use_channels_last
from starter.optimizer import MasterWeights
from starter.training import Run, run

CHANNELS = (16, 32, 64, 96)
LATENT_CHANNELS = 4
BATCH = 4
LEARNING_RATE = 2e-3
KL_WEIGHT = 1e-4  # keeps latents near a unit normal without blurring: at 1e-3 hair colours began to fade
HALF_SIZE_SHARE = 0.25  # of the steps, at the start, on squares of half the side: four times as many a second
EDGE_WEIGHT = 2.0  # a mouth is two dozen pixels of sixteen thousand: what lies by an edge counts for more


def build() -> AutoencoderKL:
    """An untrained autoencoder."""
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=CHANNELS,
        layers_per_block=2,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        sample_size=128,
    )


def to_tensor(pictures: np.ndarray, dtype: torch.dtype) -> Tensor:
    """uint8 N x H x W x 3 to N x 3 x H x W in -1..1, channels last."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).to(dtype).div_(127.5).sub_(1).permute(0, 3, 1, 2)


def reconstruction_loss(made: Tensor, wanted: Tensor) -> Tensor:
    """Mean absolute error, more of it by edges, plus half that of the differences between neighbours."""
    highest = torch.nn.functional.max_pool2d(wanted, 3, 1, 1)
    lowest = -torch.nn.functional.max_pool2d(-wanted, 3, 1, 1)
    error = (made - wanted) * (1 + EDGE_WEIGHT * (highest - lowest).amax(1, keepdim=True))
    across = (error[..., 1:] - error[..., :-1]).abs().mean()
    down = (error[..., 1:, :] - error[..., :-1, :]).abs().mean()
    return error.abs().mean() + 0.5 * (across + down)


@torch.no_grad()
def mean_absolute_error(autoencoder: AutoencoderKL, pictures: np.ndarray, batch: int = 25) -> float:
    """Mean absolute error (0..1 scale) of pictures (uint8, N x H x W x 3) that were encoded and decoded again."""
    dtype, errors = next(autoencoder.parameters()).dtype, []
    for start in range(0, len(pictures), batch):
        wanted = to_tensor(pictures[start : start + batch], dtype)
        made = autoencoder.decode(autoencoder.encode(wanted).latent_dist.mean).sample
        errors.append((made.float().clamp(-1, 1) - wanted.float()).abs().mean().item() / 2)
    return float(np.mean(errors))


def train(state: Path, drawings: dict[tuple[int, int], Drawings], held_out: np.ndarray, plan: Run) -> AutoencoderKL:
    """Trains, or goes on training, for `plan.steps` in all; returns the averaged weights in fp32."""
    torch.manual_seed(plan.seed)
    autoencoder = build().bfloat16()
    use_channels_last(autoencoder)
    weights = MasterWeights(autoencoder, LEARNING_RATE, average=0.995)

    def loss(shape: tuple[int, int], rows: np.ndarray, step: int) -> Tensor:
        wanted = to_tensor(drawings[shape].pictures[rows], torch.bfloat16)
        if shape[0] == shape[1] and step < HALF_SIZE_SHARE * plan.steps:
            wanted = torch.nn.functional.avg_pool2d(wanted, 2)
        posterior = autoencoder.encode(wanted).latent_dist
        made = autoencoder.decode(posterior.sample()).sample
        return (
            reconstruction_loss(made.float(), wanted.float())
            + KL_WEIGHT * posterior.kl().mean() / posterior.mean[0].numel()
        )

    def judge() -> str:
        averaged = build()
        weights.load_average_into(averaged)
        return f"held-out error {mean_absolute_error(averaged.bfloat16(), held_out[:100]):.4f}"

    run(state, plan, weights, {s: len(d.portraits) for s, d in drawings.items()}, BATCH, loss, judge)
    averaged = build()
    weights.load_average_into(averaged)
    return averaged.eval()


def load(folder: Path) -> AutoencoderKL:
    """The autoencoder that `train(...).save_pretrained(folder)` wrote, in fp32."""
    return AutoencoderKL.from_pretrained(folder, local_files_only=True).eval()


@torch.no_grad()
def latents(autoencoder: AutoencoderKL, pictures: np.ndarray, batch: int = 50) -> np.ndarray:
    """Means and log variances (fp16, N x 2C x H/8 x W/8) of pictures, for the denoiser to sample from."""
    encoder = autoencoder.to(torch.bfloat16)
    parts = [
        encoder.encode(to_tensor(pictures[start : start + batch], torch.bfloat16)).latent_dist.parameters
        for start in range(0, len(pictures), batch)
    ]
    return torch.cat(parts).half().numpy()
