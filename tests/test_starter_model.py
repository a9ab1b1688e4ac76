"""The base model that ships: an ordinary diffusers folder, loaded here with no code of the studio."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline

FOLDER = Path(__file__).resolve().parent.parent / "models" / "starter"
MOST_BYTES = 60 * 1024**2


@pytest.fixture(scope="module")
def pipeline() -> Any:
    pipeline = StableDiffusionPipeline.from_pretrained(FOLDER, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def draw(pipeline: Any, prompt: str, width: int = 128, height: int = 128) -> np.ndarray:
    generator = torch.Generator().manual_seed(7)
    made = pipeline(
        prompt,
        width=width,
        height=height,
        num_inference_steps=12,
        guidance_scale=3.0,
        generator=generator,
        output_type="np",
    )
    return made.images[0]


def test_the_starter_loads_in_one_dtype_when_none_is_asked_for(pipeline: Any) -> None:
    dtypes = {part.dtype for part in (pipeline.unet, pipeline.vae, pipeline.text_encoder)}
    assert dtypes == {torch.float32}


def test_the_starter_fits_into_sixty_megabytes() -> None:
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) <= MOST_BYTES


def test_the_starter_holds_weights_as_safetensors_alone() -> None:
    kinds = {path.suffix for path in FOLDER.rglob("*") if path.is_file()}
    assert kinds <= {".safetensors", ".json", ".md", ".png"}


def test_the_starter_has_the_layout_of_stable_diffusion_1(pipeline: Any) -> None:
    assert len(pipeline.unet.config.down_block_types) == len(pipeline.vae.config.down_block_types) == 4
    assert pipeline.unet.config.layers_per_block == pipeline.vae.config.layers_per_block == 2
    assert type(pipeline.text_encoder).__name__ == "CLIPTextModel"


def test_the_starter_paints_the_background_that_is_asked_for(pipeline: Any) -> None:
    picture = draw(pipeline, "portrait of a smiling woman with long red hair, teal background, storybook style")
    corner = picture[2:12, 2:12].mean((0, 1))
    assert np.abs(corner * 255 - np.array([0x84, 0xD6, 0xCF])).max() < 25


@pytest.mark.parametrize("shape", [(96, 144), (144, 96), (88, 176)])
def test_other_shapes_come_out_in_their_shape(pipeline: Any, shape: tuple[int, int]) -> None:
    picture = draw(pipeline, "portrait of a man with short black hair, yellow background, toon style", *shape)
    assert picture.shape == (shape[1], shape[0], 3) and np.isfinite(picture).all() and picture.std() > 0.05


def test_words_it_never_learnt_do_not_break_it(pipeline: Any) -> None:
    picture = draw(pipeline, "portrait of sks zebra, qxyzzy 😀 style")
    assert np.isfinite(picture).all() and picture.std() > 0.02
