"""Bases with the very parts of Stable Diffusion 1.5 and XL, so many blocks and layers and so named, but narrow; and
tunes of random numbers on them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from studio.domain import Tune
from studio.pipelines import loading
from studio.pipelines.bases import Base, Bases
from studio.pipelines.device import Device
from studio.pipelines.families import FAMILIES
from studio.pipelines.tuning import lora
from studio.pipelines.weights import Catalogue
from studio.settings import Settings
from tests.pipelines.tiny import D, T, clip_tokenizer

NOISE: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
SIDE = 64
RANK = 4


def clip(kind: Any, tokenizer: Any, *, width: int, layers: int, **more: Any) -> Any:
    return kind(
        T.CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=layers,
            num_attention_heads=2,
            max_position_embeddings=77,
            projection_dim=width,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            **more,
        )
    )


def autoencoder(**more: Any) -> Any:
    return D.AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 16, 24, 24),  # where the published widths change, so do these
        layers_per_block=2,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=SIDE,
        **more,
    )


def sd15(folder: Path) -> Path:
    torch.manual_seed(0)
    tokenizer = clip_tokenizer()
    D.StableDiffusionPipeline(
        vae=autoencoder(),
        text_encoder=clip(T.CLIPTextModel, tokenizer, width=32, layers=12),
        tokenizer=tokenizer,
        unet=D.UNet2DConditionModel(
            sample_size=SIDE // 8,
            down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
            up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
            block_out_channels=(16, 24, 32, 32),
            layers_per_block=2,
            attention_head_dim=2,
            cross_attention_dim=32,
            norm_num_groups=8,
        ),
        scheduler=D.DDIMScheduler(**NOISE, clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    return folder


def sdxl(folder: Path) -> Path:
    torch.manual_seed(0)
    tokenizer = clip_tokenizer()
    D.StableDiffusionXLPipeline(
        vae=autoencoder(scaling_factor=0.13025),
        # Their widths differ, as those of the published ones do: it is how diffusers tells them apart in one file.
        text_encoder=clip(T.CLIPTextModel, tokenizer, width=16, layers=12),
        text_encoder_2=clip(T.CLIPTextModelWithProjection, tokenizer, width=32, layers=32, hidden_act="gelu"),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=D.UNet2DConditionModel(
            sample_size=SIDE // 8,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            block_out_channels=(16, 24, 32),
            layers_per_block=2,
            transformer_layers_per_block=(1, 2, 10),
            attention_head_dim=(2, 3, 4),
            cross_attention_dim=48,
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=6 * 8 + 32,
            norm_num_groups=8,
        ),
        scheduler=D.EulerDiscreteScheduler(**NOISE, timestep_spacing="leading", steps_offset=1),
    ).save_pretrained(folder)
    return folder


MADE = {"sd15": sd15, "sdxl": sdxl}


class Narrow(Bases):
    """The bases of one folder; what is native to a row is what is native to a narrow network."""

    def find(self, name: str) -> Base:
        base = super().find(name)
        return replace(base, family=replace(base.family, native=min(base.family.native, SIDE)))


def bases(folder: Path) -> Bases:
    return Narrow((folder,), folder / "no-cache", Catalogue.read())


def device(folder: Path) -> Device:
    return Device(Settings.read({"STUDIO_DATA": str(folder / "data"), "STUDIO_MODELS": str(folder)}))


def random_tune(base: Base, device: Device, folder: Path, *, alpha: int = RANK) -> Path:
    """A tune of random numbers, in the denoiser and all that reads the prompt, as a training writes one."""
    training = FAMILIES[base.family.id].training
    assert training is not None
    pipeline: Any = loading.load(device, base, to_train=True)
    parts = {"unet": pipeline.unet} | {name: getattr(pipeline, name) for name in training.text_encoders}
    for seed, (name, network) in enumerate(parts.items()):
        targets = training.targets if name == "unet" else training.text_targets
        lora.put_in(network, targets, rank=RANK, alpha=alpha, seed=seed)
        torch.manual_seed(seed)
        for parameter in lora.trained(network):
            torch.nn.init.normal_(parameter, std=0.05)
    return lora.save(pipeline, parts, folder)


def tune(base: Base, **fields: Any) -> Tune:
    """What is known of such a tune."""
    recipe: dict[str, object] = {
        "subject": "sks woman",
        "prompt": "a photo of sks woman",
        "base": {"id": base.id, "licence": base.licence},
        "photos": 12,
    }
    known: dict[str, Any] = {
        "id": "9b2f3c9e-0d5c-5a7f-9c4b-1f2e3d4c5b6a",
        "job": "job",
        "account": "owner",
        "name": "Ada",
        "class_name": "woman",
        "base": base.id,
        "state": "ready",
        "policy": "keep-avatars",
        "recipe": recipe,
        "losses": (),
        "styles_left": (),
        "created_at": 0,
        "trained_at": 0,
        "expires_at": 0,
    }
    return Tune(**(known | fields))
