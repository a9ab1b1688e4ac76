"""Training of what moves along straight lines from noise to picture: FLUX.2 klein and Z-Image.

Rectified flow (Liu et al., 2022, https://arxiv.org/abs/2209.03003) with logit-normal times (Esser et al., 2024,
https://arxiv.org/abs/2403.03206, 3.1), moved towards noise as far as the family's sampler moves them for that size.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers.pipelines.flux2.pipeline_flux2_klein import compute_empirical_mu
from diffusers.pipelines.z_image.pipeline_z_image import calculate_shift
from torch import nn

from studio.pipelines import conditioning
from studio.pipelines.families import Family, Training
from studio.pipelines.tuning import lora
from studio.pipelines.tuning.images import to_tensor
from studio.pipelines.tuning.recipe import Compared, Example, Lot, Photo


@dataclass(frozen=True, kw_only=True)
class Way:
    """How one of these transformers is spoken to.

    `encode` gives latents (1 x C x H x W) of pixels (1 x 3 x h x w); `velocity` what the network says of noisy latents
    (N x C x H x W) at `sigma` (N, 1 is noise) with these words; `mu` how far times are moved for so many tokens.
    """

    encode: Callable[[Any, torch.Tensor], torch.Tensor]
    velocity: Callable[[Any, torch.Tensor, torch.Tensor, Sequence[Mapping[str, Any]]], torch.Tensor]
    mu: Callable[[Any, torch.Tensor], float]


class Flow:
    """The recipe of the families whose transformer predicts velocity. What reads the prompts is never trained."""

    def __init__(self, pipeline: Any, family: Family, training: Training, *, rank: int, seed: int, text: bool) -> None:
        assert not text, "no row with this recipe trains what reads prompts"
        self.pipeline = pipeline
        self.family = family
        self.device = pipeline._execution_device
        self.dtype = pipeline.transformer.dtype
        self.way = WAYS[family.conditioning]
        self.parts: Mapping[str, nn.Module] = {"transformer": pipeline.transformer}
        lora.put_in(pipeline.transformer, training.targets, rank=rank, alpha=rank, seed=seed)
        self._prompts: dict[str, int] = {}
        self._words: list[Mapping[str, Any]] = []

    @torch.no_grad()
    def encode(self, photos: Sequence[Photo]) -> list[Example]:
        """Latents, and which prompt it is."""
        examples: list[Example] = []
        for photo in photos:
            pixels = to_tensor(photo.pixels).to(self.device, self.pipeline.vae.dtype)
            latents = self.way.encode(self.pipeline, pixels[None])[0].float()
            examples.append({"latents": latents, "prompt": torch.tensor(self._number_of(photo.prompt))})
        return examples

    @torch.no_grad()
    def retold(self, example: Example, prompt: str) -> Example:
        return {**example, "prompt": torch.tensor(self._number_of(prompt))}

    def compare(self, examples: Sequence[Example], lots: Sequence[Lot]) -> Compared:
        """Velocity; all count alike."""
        clean = torch.stack([one["latents"] for one in examples])
        noise = torch.stack([lot.noise(*clean.shape[1:]) for lot in lots]).to(self.device)
        sigma = _logit_normal([lot.time for lot in lots]).to(self.device)
        sigma = _moved(sigma, self.pipeline.scheduler, self.way.mu(self.pipeline, clean))
        share = sigma.view(-1, 1, 1, 1)
        noisy = (1 - share) * clean + share * noise
        words = [self._words[int(one["prompt"])] for one in examples]
        said = self.way.velocity(self.pipeline, noisy.to(self.dtype), sigma, words)
        return Compared(said=said, right=noise - clean, weight=torch.ones_like(sigma))

    def save(self, folder: Path) -> Path:
        return lora.save(self.pipeline, self.parts, folder)

    def _number_of(self, prompt: str) -> int:
        if prompt not in self._prompts:
            read = conditioning.WAYS[self.family.conditioning]
            words = read(self.pipeline, prompt, "", guided=False, device=self.device, dtype=self.dtype)
            self._prompts[prompt] = len(self._words)
            self._words.append(words.arguments)
        return self._prompts[prompt]


def _logit_normal(times: Sequence[float]) -> torch.Tensor:
    """Even times of 0..1 as those of a logit-normal distribution, which are most often in the middle (Esser et al.,
    2024, https://arxiv.org/abs/2403.03206, 3.1)."""
    return torch.sigmoid(torch.special.ndtri(torch.tensor(times).clamp(1e-4, 1 - 1e-4)))


def _moved(sigma: torch.Tensor, scheduler: Any, mu: float) -> torch.Tensor:
    """Times as the sampler would move them: by `mu` where it moves them by size, else by its fixed shift."""
    config = scheduler.config
    shift = torch.tensor(mu).exp() if config["use_dynamic_shifting"] else torch.tensor(float(config["shift"]))
    return shift * sigma / (1 + (shift - 1) * sigma)


# --- FLUX.2 klein -----------------------------------------------------------------------------------------------------


def _klein_encode(pipeline: Any, pixels: torch.Tensor) -> torch.Tensor:
    return pipeline._encode_vae_image(pixels, torch.Generator(pixels.device).manual_seed(0))


def _klein_velocity(
    pipeline: Any, noisy: torch.Tensor, sigma: torch.Tensor, words: Sequence[Mapping[str, Any]]
) -> torch.Tensor:
    network = pipeline.transformer
    prompts = torch.cat([one["prompt_embeds"] for one in words])
    packed = pipeline._pack_latents(noisy)
    made = network(
        hidden_states=packed,
        timestep=sigma.to(packed.dtype),
        guidance=None,
        encoder_hidden_states=prompts,
        txt_ids=pipeline._prepare_text_ids(prompts).to(noisy.device),
        img_ids=pipeline._prepare_latent_ids(noisy).to(noisy.device),
        return_dict=False,
    )[0]
    return made.transpose(1, 2).reshape(noisy.shape)


def _klein_mu(pipeline: Any, clean: torch.Tensor) -> float:
    return compute_empirical_mu(image_seq_len=clean.shape[2] * clean.shape[3], num_steps=50)


# --- Z-Image ----------------------------------------------------------------------------------------------------------


def _z_encode(pipeline: Any, pixels: torch.Tensor) -> torch.Tensor:
    vae = pipeline.vae
    return (vae.encode(pixels).latent_dist.mode() - vae.config.shift_factor) * vae.config.scaling_factor


def _z_velocity(
    pipeline: Any, noisy: torch.Tensor, sigma: torch.Tensor, words: Sequence[Mapping[str, Any]]
) -> torch.Tensor:
    network = pipeline.transformer
    prompts = [one for each in words for one in each["prompt_embeds"]]
    # It counts time from noise to picture, and its answer points that way too.
    made = network(list(noisy.unsqueeze(2)), 1 - sigma, prompts, return_dict=False)[0]
    return -torch.stack([one.float() for one in made]).squeeze(2)


def _z_mu(pipeline: Any, clean: torch.Tensor) -> float:
    config = pipeline.scheduler.config
    return calculate_shift(
        (clean.shape[2] // 2) * (clean.shape[3] // 2),
        config.get("base_image_seq_len", 256),
        config.get("max_image_seq_len", 4096),
        config.get("base_shift", 0.5),
        config.get("max_shift", 1.15),
    )


WAYS: Mapping[str, Way] = {
    "klein": Way(encode=_klein_encode, velocity=_klein_velocity, mu=_klein_mu),
    "z_image": Way(encode=_z_encode, velocity=_z_velocity, mu=_z_mu),
}
