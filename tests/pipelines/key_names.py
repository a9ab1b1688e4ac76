"""Writes down how the tensors of Stable Diffusion 1.5 and XL are called in their original files, and the layers of a
LoRA in kohya's. Run as a script it writes the lists into tests/data/keys, from nothing but the published builds:

- the UNet as `openaimodel.UNetModel` numbers its blocks, with the figures of v1-inference.yaml and sd_xl_base.yaml;
- the autoencoder as `ldm.modules.diffusionmodules.model`; the text encoders as transformers' CLIP of 2022 and OpenCLIP;
- a LoRA by the rule of kohya's `networks/lora.py`: prefix, then the module's path with underscores for dots, where the
  module's path in a UNet of 1.x is diffusers', in one of XL the original one.

It imports nothing of the studio, so that it can be wrong only in its own ways.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).parent.parent / "data" / "keys"

LAYERS = ("attn1.to_q", "attn1.to_k", "attn1.to_v", "attn1.to_out.0") + (
    "attn2.to_q",
    "attn2.to_k",
    "attn2.to_v",
    "attn2.to_out.0",
    "ff.net.0.proj",
    "ff.net.2",
)
"""The layers of a transformer block that a tune has."""


@dataclass(frozen=True)
class Build:
    """The figures of a UNet: widths as multiples, at which levels attention is, and how many blocks each has there."""

    multiples: tuple[int, ...]
    depths: tuple[int, ...]  # 0: no attention
    middle: int
    labelled: bool

    @property
    def last(self) -> int:
        return len(self.multiples) - 1


SD15 = Build(multiples=(1, 2, 4, 4), depths=(1, 1, 1, 0), middle=1, labelled=False)
SDXL = Build(multiples=(1, 2, 4), depths=(0, 2, 10), middle=10, labelled=True)
RESIDUALS = 2  # per level; on the way up one more


def both(*names: str) -> Iterator[str]:
    for name in names:
        yield f"{name}.weight"
        yield f"{name}.bias"


# --- the UNet ---


def residual(at: str, *, widens: bool) -> Iterator[str]:
    yield from both(*(f"{at}.{part}" for part in ("in_layers.0", "in_layers.2", "emb_layers.1")))
    yield from both(*(f"{at}.{part}" for part in ("out_layers.0", "out_layers.3")))
    if widens:
        yield from both(f"{at}.skip_connection")


def transformer(at: str, depth: int) -> Iterator[str]:
    yield from both(f"{at}.norm", f"{at}.proj_in", f"{at}.proj_out")
    for block in range(depth):
        inner = f"{at}.transformer_blocks.{block}"
        yield from both(*(f"{inner}.norm{number}" for number in (1, 2, 3)))
        for layer in LAYERS:
            yield f"{inner}.{layer}.weight"
            if layer.endswith(("to_out.0", "proj", "net.2")):
                yield f"{inner}.{layer}.bias"


def attentions(build: Build) -> Iterator[tuple[str, int]]:
    """Where the UNet has transformers, and how many blocks deep they are."""
    block = 1
    for depth in build.depths:
        for number in range(RESIDUALS):
            if depth:
                yield f"input_blocks.{block + number}.1", depth
        block += RESIDUALS + 1
    yield "middle_block.1", build.middle
    block = 0
    for depth in reversed(build.depths):
        for number in range(RESIDUALS + 1):
            if depth:
                yield f"output_blocks.{block + number}.1", depth
        block += RESIDUALS + 1


def unet(build: Build) -> Iterator[str]:
    yield from both("time_embed.0", "time_embed.2")
    if build.labelled:
        yield from both("label_emb.0.0", "label_emb.0.2")
    yield from both("input_blocks.0.0")
    width, widths, block = 1, [1], 1
    for level, multiple in enumerate(build.multiples):
        for _ in range(RESIDUALS):
            yield from residual(f"input_blocks.{block}.0", widens=width != multiple)
            width = multiple
            widths.append(width)
            block += 1
        if level != build.last:
            yield from both(f"input_blocks.{block}.0.op")
            widths.append(width)
            block += 1
    yield from residual("middle_block.0", widens=False)
    yield from residual("middle_block.2", widens=False)
    block = 0
    for level in range(build.last, -1, -1):
        for number in range(RESIDUALS + 1):
            widths.pop()
            yield from residual(f"output_blocks.{block}.0", widens=True)  # what is handed across is put beside it
            if level and number == RESIDUALS:
                yield from both(f"output_blocks.{block}.{2 if build.depths[level] else 1}.conv")
            block += 1
    assert not widths
    for at, depth in attentions(build):
        yield from transformer(at, depth)
    yield from both("out.0", "out.2")


# --- the autoencoder ---


def autoencoder() -> Iterator[str]:
    multiples = (1, 2, 4, 4)
    for side, blocks in (("encoder", RESIDUALS), ("decoder", RESIDUALS + 1)):
        way = "down" if side == "encoder" else "up"
        order = range(4) if side == "encoder" else range(3, -1, -1)
        width = 1 if side == "encoder" else multiples[-1]
        for level in order:
            for block in range(blocks):
                at = f"{side}.{way}.{level}.block.{block}"
                yield from both(*(f"{at}.{part}" for part in ("norm1", "conv1", "norm2", "conv2")))
                if width != multiples[level]:
                    yield from both(f"{at}.nin_shortcut")
                width = multiples[level]
            if side == "encoder" and level < 3:
                yield from both(f"{side}.down.{level}.downsample.conv")
            if side == "decoder" and level > 0:
                yield from both(f"{side}.up.{level}.upsample.conv")
        for block in (1, 2):
            at = f"{side}.mid.block_{block}"
            yield from both(*(f"{at}.{part}" for part in ("norm1", "conv1", "norm2", "conv2")))
        yield from both(*(f"{side}.mid.attn_1.{part}" for part in ("norm", "q", "k", "v", "proj_out")))
        yield from both(f"{side}.conv_in", f"{side}.norm_out", f"{side}.conv_out")
    yield from both("quant_conv", "post_quant_conv")


# --- the text encoders ---


def clip(layers: int) -> Iterator[str]:
    yield "text_model.embeddings.token_embedding.weight"
    yield "text_model.embeddings.position_embedding.weight"
    yield from both("text_model.final_layer_norm")
    for layer in range(layers):
        at = f"text_model.encoder.layers.{layer}"
        yield from both(*(f"{at}.self_attn.{part}" for part in ("q_proj", "k_proj", "v_proj", "out_proj")))
        yield from both(*(f"{at}.{part}" for part in ("layer_norm1", "layer_norm2", "mlp.fc1", "mlp.fc2")))


def open_clip(layers: int) -> Iterator[str]:
    yield "token_embedding.weight"
    yield "positional_embedding"
    yield "text_projection"
    yield from both("ln_final")
    for layer in range(layers):
        at = f"transformer.resblocks.{layer}"
        yield f"{at}.attn.in_proj_weight"
        yield f"{at}.attn.in_proj_bias"
        yield from both(*(f"{at}.{part}" for part in ("attn.out_proj", "ln_1", "ln_2", "mlp.c_fc", "mlp.c_proj")))


# --- whole files ---


def whole_sd15() -> Iterator[str]:
    yield from (f"model.diffusion_model.{name}" for name in unet(SD15))
    yield from (f"first_stage_model.{name}" for name in autoencoder())
    yield from (f"cond_stage_model.transformer.{name}" for name in clip(12))


def whole_sdxl() -> Iterator[str]:
    yield from (f"model.diffusion_model.{name}" for name in unet(SDXL))
    yield from (f"first_stage_model.{name}" for name in autoencoder())
    yield from (f"conditioner.embedders.0.transformer.{name}" for name in clip(12))
    yield from (f"conditioner.embedders.1.model.{name}" for name in open_clip(32))


# --- a LoRA in kohya's form ---


def lora(prefix: str, path: str) -> Iterator[str]:
    name = f"{prefix}_{path}".replace(".", "_")
    yield from (f"{name}.lora_down.weight", f"{name}.lora_up.weight", f"{name}.alpha")


def lora_texts(prefix: str, layers: int) -> Iterator[str]:
    for layer in range(layers):
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            yield from lora(prefix, f"text_model.encoder.layers.{layer}.self_attn.{part}")


def kohya_sd15() -> Iterator[str]:
    """The UNet of diffusers: three levels with two transformers each on the way down, three each on the way up."""
    places = [f"down_blocks.{level}.attentions.{number}" for level in (0, 1, 2) for number in (0, 1)]
    places += ["mid_block.attentions.0"]
    places += [f"up_blocks.{level}.attentions.{number}" for level in (1, 2, 3) for number in (0, 1, 2)]
    for place in places:
        for layer in LAYERS:
            yield from lora("lora_unet", f"{place}.transformer_blocks.0.{layer}")
    yield from lora_texts("lora_te", 12)


def kohya_sdxl() -> Iterator[str]:
    for place, depth in attentions(SDXL):
        for block in range(depth):
            for layer in LAYERS:
                yield from lora("lora_unet", f"{place}.transformer_blocks.{block}.{layer}")
    yield from lora_texts("lora_te1", 12)
    yield from lora_texts("lora_te2", 32)


LISTS = {"sd15": whole_sd15, "sdxl": whole_sdxl, "kohya-sd15": kohya_sd15, "kohya-sdxl": kohya_sdxl}


def read(name: str) -> list[str]:
    """A list as it is kept."""
    return (DATA / f"{name}.txt").read_text(encoding="utf-8").splitlines()


if __name__ == "__main__":
    DATA.mkdir(exist_ok=True)
    for name, made in LISTS.items():
        (DATA / f"{name}.txt").write_text("".join(f"{key}\n" for key in sorted(made())), encoding="utf-8")
