"""Training of what denoises with a UNet: Stable Diffusion 1.x, XL and the starter.

The network predicts noise or velocity, whichever the base's own scheduler says; steps are weighted by min-SNR
(Hang et al., 2023, https://arxiv.org/abs/2303.09556).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from torch import nn

from studio.domain import Refused
from studio.pipelines import conditioning
from studio.pipelines.families import Family, Training
from studio.pipelines.tuning import lora
from studio.pipelines.tuning.images import to_tensor
from studio.pipelines.tuning.recipe import Compared, Example, Lot, Photo

MIN_SNR = 5.0
LEAST_WEIGHT = 0.1  # of the steps with the most noise: at zero SNR the formula would give none


class Diffusion:
    """The recipe of the families with a UNet."""

    def __init__(self, pipeline: Any, family: Family, training: Training, *, rank: int, seed: int, text: bool) -> None:
        self.pipeline = pipeline
        self.family = family
        self.device = pipeline._execution_device
        self.dtype = pipeline.vae.dtype
        self.scheduler: Any = DDPMScheduler.from_config(pipeline.scheduler.config)
        self.snr = _snr(self.scheduler)
        if self.scheduler.config["prediction_type"] not in ("epsilon", "v_prediction"):
            raise Refused("This base predicts neither noise nor velocity.", field="base", allowed="another base")
        # 1. LoRA in the denoiser and, where asked, in what reads the prompt.
        self.parts: Mapping[str, nn.Module] = {"unet": pipeline.unet}
        if text:
            self.parts |= {name: getattr(pipeline, name) for name in training.text_encoders}
        for row, (name, network) in enumerate(self.parts.items()):
            targets, still = (training.targets, "") if name == "unet" else (training.text_targets, training.text_still)
            lora.put_in(network, targets, rank=rank, alpha=rank, seed=seed + row, still=still)
        # 2. Prompts are read once each, unless what reads them is trained.
        self._reads_anew = text
        self._prompts: list[str] = []
        self._read: list[Mapping[str, torch.Tensor]] = []

    @torch.no_grad()
    def encode(self, photos: Sequence[Photo]) -> list[Example]:
        """Means and deviations of the latents, and which prompt it is."""
        vae = self.pipeline.vae
        height, width = photos[0].pixels.shape[:2]
        examples: list[Example] = []
        for photo in photos:  # one at a time: the encoder takes more memory than all of the training
            pixels = to_tensor(photo.pixels).to(self.device, self.dtype)
            latents = vae.encode(pixels[None]).latent_dist
            examples.append(
                {
                    "mean": latents.mean[0].float() * vae.config.scaling_factor,
                    "deviation": latents.std[0].float() * vae.config.scaling_factor,
                    "prompt": torch.tensor(self._number_of(photo.prompt)),
                    # What SDXL is told of a picture: its size, its corner, the size wanted.
                    "place": torch.tensor([height, width, 0, 0, height, width]),
                }
            )
        return examples

    @torch.no_grad()
    def retold(self, example: Example, prompt: str) -> Example:
        return {**example, "prompt": torch.tensor(self._number_of(prompt))}

    def compare(self, examples: Sequence[Example], lots: Sequence[Lot]) -> Compared:
        """Noise or velocity, weighted by min-SNR."""
        # 1. Latents as their lots draw them, and their noise.
        mean = torch.stack([one["mean"] for one in examples])
        deviation = torch.stack([one["deviation"] for one in examples])
        drawn = torch.stack([lot.noise(2, *mean.shape[1:]) for lot in lots], dim=1).to(self.device)
        clean, noise = mean + deviation * drawn[0], drawn[1]
        times = torch.tensor([int(lot.time * len(self.snr)) for lot in lots], device=self.device)
        # 2. What the network says of them.
        words = self._words([int(one["prompt"]) for one in examples])
        more = {}
        if "pooled_prompt_embeds" in words:
            place = torch.stack([one["place"] for one in examples]).to(self.device)
            more["added_cond_kwargs"] = {"text_embeds": words["pooled_prompt_embeds"], "time_ids": place}
        said = self.pipeline.unet(
            self.scheduler.add_noise(clean, noise, times),
            times,
            encoder_hidden_states=words["prompt_embeds"],
            return_dict=False,
            **more,
        )[0]
        # 3. What is right, and how much it counts.
        snr = self.snr.to(self.device)[times]
        if self.scheduler.config["prediction_type"] == "v_prediction":
            right, weight = self.scheduler.get_velocity(clean, noise, times), snr.clamp_max(MIN_SNR) / (snr + 1)
        else:
            right, weight = noise, snr.clamp_max(MIN_SNR) / snr.clamp_min(1e-8)
        return Compared(said=said, right=right, weight=weight.clamp_min(LEAST_WEIGHT))

    def save(self, folder: Path) -> Path:
        return lora.save(self.pipeline, self.parts, folder)

    def _number_of(self, prompt: str) -> int:
        if prompt not in self._prompts:
            self._prompts.append(prompt)
            self._read.append({} if self._reads_anew else self._reading(prompt))
        return self._prompts.index(prompt)

    def _words(self, numbers: Sequence[int]) -> dict[str, torch.Tensor]:
        """What the denoiser is told of the prompts, N x tokens x width and whatever else the family has."""
        read = {
            number: self._reading(self._prompts[number]) if self._reads_anew else self._read[number]
            for number in dict.fromkeys(numbers)
        }
        return {name: torch.cat([read[number][name] for number in numbers]) for name in read[numbers[0]]}

    def _reading(self, prompt: str) -> Mapping[str, torch.Tensor]:
        way = conditioning.WAYS[self.family.conditioning]
        return way(self.pipeline, prompt, "", guided=False, device=self.device, dtype=self.dtype).arguments


def _snr(scheduler: Any) -> torch.Tensor:
    """Signal to noise of each time, T."""
    kept = scheduler.alphas_cumprod
    return kept / (1 - kept).clamp_min(1e-8)
