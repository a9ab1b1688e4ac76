"""Real-ESRGAN's two networks, loaded from safetensors and run so that a large tile fits into little memory.

The classes are those of the realesrgan and basicsr packages; what is here is their loading (realesrgan itself reads
pickles alone), their precision and their order of work. Both enlarge four times. Sources: Wang et al. 2021,
https://arxiv.org/abs/2107.10833; the layouts are those of https://github.com/xinntao/Real-ESRGAN.
"""

import math
import pickle
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from studio.domain import BrokenWeights
from studio.pipelines.compat import provide_functional_tensor

SCALE = 4
HALO = 2  # rows of features that the last layers of RRDBNet see beyond a pixel: 1.25, at the features' size
STRIP_BYTES = 64 << 20  # what one tensor of the last layers may take; beyond that they work strip by strip
LEAST_STRIP = 32  # rows: with fewer the halo costs more than the memory is worth

Tick = Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class Enlarger:
    """A network on a device: enlarges (count, 3, height, width) of values from 0 to 1 four times each way.

    `ticks` is how often one run calls its tick; `margin` how much a tile should see around it, `pixel_bytes` about
    what a run takes for each pixel that goes in.
    """

    features: Callable[[Tensor, Tick], Tensor]
    finish: Callable[[Tensor, Tensor], Tensor]
    ticks: int
    margin: int
    channels: int
    pixel_bytes: int
    dtype: torch.dtype

    def strips(self, pixels: Tensor, tick: Tick) -> Iterator[tuple[slice, Tensor]]:
        """The enlarged picture as strips of rows, fp32: each with the rows of `pixels` that it is made of.

        The first layers work on the whole at once. The last ones, which have sixteen times the pixels, go strip by
        strip, which changes nothing but the memory: each strip sees as much around it as it can make use of.
        """
        features = self.features(pixels, tick)
        height, width = pixels.shape[2:]
        row = len(pixels) * width * self.channels * SCALE**2 * features.element_size()
        count = math.ceil(height / max(STRIP_BYTES // row, LEAST_STRIP))
        for index in range(count):
            top, bottom = height * index // count, height * (index + 1) // count
            first, last = max(top - HALO, 0), min(bottom + HALO, height)
            made = self.finish(features[:, :, first:last], pixels[:, :, first:last])
            yield slice(top, bottom), made[:, :, (top - first) * SCALE : (bottom - first) * SCALE]


def load(path: Path, device: torch.device, dtype: torch.dtype) -> Enlarger:
    """The network in a file, whichever of the two it is and however large. Raises BrokenWeights."""
    try:
        tensors = _read(path)
        return _rrdbnet(tensors, device, dtype) if "conv_first.weight" in tensors else _compact(tensors, device, dtype)
    except (SafetensorError, OSError, RuntimeError, KeyError, ValueError, EOFError, pickle.UnpicklingError) as error:
        first = str(error).strip().partition("\n")[0][:200]
        raise BrokenWeights(f"{path} is no Real-ESRGAN network: {first}", field="model") from error


def _read(path: Path) -> Mapping[str, Tensor]:
    """The file's tensors. Of a `.pth` only tensors are read (`weights_only`), and only catalogued ones come here."""
    if path.suffix == ".safetensors":
        return load_file(path)
    body = torch.load(path, map_location="cpu", weights_only=True)
    return body.get("params_ema") or body["params"]


def _rrdbnet(tensors: Mapping[str, Tensor], device: torch.device, dtype: torch.dtype) -> Enlarger:
    provide_functional_tensor()
    made_by = import_module("basicsr.archs.rrdbnet_arch").RRDBNet
    channels = tensors["conv_first.weight"].shape[0]
    blocks = 1 + max(int(name.split(".")[1]) for name in tensors if name.startswith("body."))
    grown = tensors["body.0.rdb1.conv1.weight"].shape[0]
    network: Any = made_by(3, 3, scale=SCALE, num_feat=channels, num_block=blocks, num_grow_ch=grown)
    _fill(network, tensors, device, dtype, first=network.conv_first, last=network.conv_last)

    def features(pixels: Tensor, tick: Tick) -> Tensor:
        start = network.conv_first(pixels).to(dtype)
        worked = start
        for block in network.body:
            tick()
            worked = block(worked)
        return start.add_(network.conv_body(worked))

    def finish(features: Tensor, pixels: Tensor) -> Tensor:
        twice = network.lrelu(network.conv_up1(F.interpolate(features, scale_factor=2, mode="nearest")))
        four = network.lrelu(network.conv_up2(F.interpolate(twice, scale_factor=2, mode="nearest")))
        return network.conv_last(network.lrelu(network.conv_hr(four)).float())

    # At its peak a dense block holds its input, what it has grown, both put together twice, and the block's input.
    held = 4 * channels + 3 * (channels + 4 * grown)
    return Enlarger(
        features=features,
        finish=finish,
        ticks=blocks,
        margin=64 if blocks > 12 else 48,
        channels=channels,
        pixel_bytes=held * dtype.itemsize,
        dtype=dtype,
    )


def _compact(tensors: Mapping[str, Tensor], device: torch.device, dtype: torch.dtype) -> Enlarger:
    provide_functional_tensor()
    made_by = import_module("realesrgan.archs.srvgg_arch").SRVGGNetCompact
    convolutions = [tensor for tensor in tensors.values() if tensor.dim() == 4]
    channels = convolutions[0].shape[0]
    network: Any = made_by(num_feat=channels, num_conv=len(convolutions) - 2, upscale=SCALE, act_type="prelu")
    _fill(network, tensors, device, dtype, first=network.body[0], last=network.body[-1])
    layers = list(network.body)

    def features(pixels: Tensor, tick: Tick) -> Tensor:
        worked = layers[0](pixels).to(dtype)
        for index, layer in enumerate(layers[1:-1]):
            if index % 4 == 0:
                tick()
            worked = layer(worked)
        return worked

    def finish(features: Tensor, pixels: Tensor) -> Tensor:
        return network.upsampler(layers[-1](features.float())) + F.interpolate(
            pixels, scale_factor=SCALE, mode="nearest"
        )

    return Enlarger(
        features=features,
        finish=finish,
        ticks=math.ceil((len(layers) - 2) / 4),
        margin=24,
        channels=channels,
        pixel_bytes=4 * channels * dtype.itemsize,
        dtype=dtype,
    )


def _fill(
    network: nn.Module,
    tensors: Mapping[str, Tensor],
    device: torch.device,
    dtype: torch.dtype,
    *,
    first: nn.Module,
    last: nn.Module,
) -> None:
    """Loads, and puts all but the first and last layer into `dtype`: those two carry the colours themselves, which
    would otherwise come out in steps (bf16 has 128 between half and full brightness)."""
    network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, strict=True)
    network.eval().requires_grad_(False).to(device, dtype).to(memory_format=torch.channels_last)
    first.float()
    last.float()
