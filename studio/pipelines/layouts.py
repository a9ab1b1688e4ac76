"""Describes the networks of a base that comes as one file, which holds tensors alone: configurations and tokenizer.

diffusers would look these up on the Hub. The numbers are those of the published models: Stable Diffusion 1.5
(https://arxiv.org/abs/2112.10752) and XL (https://arxiv.org/abs/2307.01952); the words are CLIP's.
"""

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from studio.pipelines.disk import writing
from studio.pipelines.weights import Catalogue, find

WORDS = "clip-words"
MERGES = 49_152 - 256 - 2  # CLIP's vocabulary less the bytes and the two marks
START, END = "<|startoftext|>", "<|endoftext|>"

NOISE = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "epsilon",
    "timestep_spacing": "leading",
    "steps_offset": 1,
    "set_alpha_to_one": False,
    "clip_sample": False,
}
AUTOENCODER = {
    "in_channels": 3,
    "out_channels": 3,
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "block_out_channels": [128, 256, 512, 512],
    "layers_per_block": 2,
    "latent_channels": 4,
    "norm_num_groups": 32,
}
CLIP_L = {
    "vocab_size": 49408,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "max_position_embeddings": 77,
    "hidden_act": "quick_gelu",
    "projection_dim": 768,
    "bos_token_id": 49406,
    "eos_token_id": 49407,
    "pad_token_id": 49407,
}
CLIP_BIG_G = CLIP_L | {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "hidden_act": "gelu",
    "projection_dim": 1280,
    "pad_token_id": 0,  # "!"
}

PART = tuple[str, str, Mapping[str, Any]]
"""A part's library, its class, and its configuration."""

SD: Mapping[str, PART] = {
    "unet": (
        "diffusers",
        "UNet2DConditionModel",
        {
            "sample_size": 64,
            "in_channels": 4,
            "out_channels": 4,
            "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
            "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
            "block_out_channels": [320, 640, 1280, 1280],
            "layers_per_block": 2,
            "attention_head_dim": 8,
            "cross_attention_dim": 768,
        },
    ),
    "vae": ("diffusers", "AutoencoderKL", AUTOENCODER | {"sample_size": 512, "scaling_factor": 0.18215}),
    "text_encoder": ("transformers", "CLIPTextModel", CLIP_L),
    "tokenizer": ("transformers", "CLIPTokenizer", {"pad_token": END}),
    "scheduler": ("diffusers", "DDIMScheduler", NOISE),
}
SDXL: Mapping[str, PART] = {
    "unet": (
        "diffusers",
        "UNet2DConditionModel",
        {
            "sample_size": 128,
            "in_channels": 4,
            "out_channels": 4,
            "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
            "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
            "block_out_channels": [320, 640, 1280],
            "layers_per_block": 2,
            "transformer_layers_per_block": [1, 2, 10],
            "attention_head_dim": [5, 10, 20],
            "cross_attention_dim": 2048,
            "use_linear_projection": True,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": 2816,
        },
    ),
    "vae": (
        "diffusers",
        "AutoencoderKL",
        AUTOENCODER | {"sample_size": 1024, "scaling_factor": 0.13025, "force_upcast": True},
    ),
    "text_encoder": ("transformers", "CLIPTextModel", CLIP_L),
    "text_encoder_2": ("transformers", "CLIPTextModelWithProjection", CLIP_BIG_G),
    "tokenizer": ("transformers", "CLIPTokenizer", {"pad_token": END}),
    "tokenizer_2": ("transformers", "CLIPTokenizer", {"pad_token": "!"}),
    "scheduler": ("diffusers", "DDIMScheduler", NOISE),
}
LAYOUTS: Mapping[str, Mapping[str, PART]] = {
    "StableDiffusionPipeline": SD,
    "StableDiffusionXLPipeline": SDXL,
}
"""By the pipeline class that a family's row names."""


def layout_folder(pipeline: str, folders: tuple[Path, ...]) -> Path:
    """A folder of configurations for that class of pipeline, written on first use to the first of the models folders.

    Raises WeightsMissing where CLIP's words are not here, with the command that gets them, and StorageFailed.
    """
    target = folders[0] / "layouts" / pipeline
    if (target / "model_index.json").is_file():
        return target
    words = find(Catalogue.read().weight(WORDS), folders)
    parts = LAYOUTS[pipeline]
    with writing(target):
        for name, (_, made_by, configuration) in parts.items():
            (target / name).mkdir(parents=True, exist_ok=True)
            write_part(target / name, made_by, configuration, words)
        index = {"_class_name": pipeline} | {name: [library, made_by] for name, (library, made_by, _) in parts.items()}
        # Last: with it the folder counts as whole.
        _write(target / "model_index.json", index)
    return target


def write_part(folder: Path, made_by: str, configuration: Mapping[str, Any], words: Path) -> None:
    """One part's files, as diffusers and transformers name them."""
    if made_by == "CLIPTokenizer":
        vocabulary, merges = clip_words(words)
        _write(folder / "vocab.json", vocabulary)
        (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n", encoding="utf-8")
        marks = {"bos_token": START, "eos_token": END, "unk_token": END, "model_max_length": 77}
        _write(folder / "tokenizer_config.json", {"tokenizer_class": made_by, **marks, **configuration})
    elif made_by.endswith("Scheduler"):
        _write(folder / "scheduler_config.json", {"_class_name": made_by} | dict(configuration))
    else:
        _write(folder / "config.json", {"_class_name": made_by} | dict(configuration))


def clip_words(path: Path) -> tuple[dict[str, int], list[str]]:
    """CLIP's vocabulary and merges from its published list: bytes, bytes at a word's end, merges, two marks."""
    lines = gzip.decompress(path.read_bytes()).decode("utf-8").split("\n")
    merges = lines[1 : 1 + MERGES]
    letters = byte_letters()
    tokens = [*letters, *(letter + "</w>" for letter in letters), *("".join(merge.split()) for merge in merges)]
    return {token: number for number, token in enumerate([*tokens, START, END])}, merges


def byte_letters() -> list[str]:
    """A letter for each byte, in CLIP's order: printable ones stand for themselves, the rest for U+0100 and on."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    return [*map(chr, printable), *(chr(256 + number) for number in range(256 - len(printable)))]


def _write(path: Path, body: object) -> None:
    path.write_text(json.dumps(body, ensure_ascii=False, indent=1), encoding="utf-8")
