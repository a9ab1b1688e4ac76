"""Turns Real-ESRGAN's ncnn files into safetensors. Only moves bytes: it knows layouts and names, no tensor library.

ncnn's `.param` lists the layers. Its `.bin` holds, layer by layer, for a Convolution the tag 0x01306B47 (fp16), the
weights as fp16 padded to 4 bytes, then the bias as fp32; for a PReLU its slopes as fp32. The order of a weight is
PyTorch's: out, in, height, width. (https://github.com/Tencent/ncnn, src/modelbin.cpp.)
"""

import json
import struct
from dataclasses import dataclass
from pathlib import Path

from studio.errors import BrokenWeights

FP16_TAG = struct.pack("<I", 0x01306B47)
KERNEL = 3  # every convolution of these networks is 3 x 3


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """A tensor as safetensors has it: a dtype's name, a shape, and little-endian bytes."""

    dtype: str
    shape: tuple[int, ...]
    body: bytes


def convert(param: Path, weights: Path, layout: str, target: Path) -> None:
    """Writes `target`, a safetensors file under the names of basicsr's `RRDBNet` or `SRVGGNetCompact`.

    `layout` is `rrdbnet` or `srvggnet`. Weights stay fp16 and biases fp32, as published, so that the same input gives
    the same file, byte for byte. Raises BrokenWeights where the two files do not fit each other or the layout.
    """
    layers = read_layers(param, weights)
    names = NAMES[layout](layers)
    tensors = {
        f"{name}.{kind}": tensor for name, layer in zip(names, layers, strict=True) for kind, tensor in layer.items()
    }
    write_safetensors(tensors, target)


def read_layers(param: Path, weights: Path) -> list[dict[str, Tensor]]:
    """The layers that have numbers, in order: `weight` and `bias` of a convolution, `weight` of a PReLU."""
    body = weights.read_bytes()
    at = 0

    def take(count: int) -> bytes:
        nonlocal at
        at += count
        if at > len(body):
            raise BrokenWeights(f"{weights.name} ends before the layers of {param.name} do; fetch it again.")
        return body[at - count : at]

    layers: list[dict[str, Tensor]] = []
    for line in param.read_text(encoding="ascii").splitlines()[2:]:
        words = line.split()
        options = dict(word.split("=", 1) for word in words if "=" in word)
        if words[0] == "Convolution":
            out, count = int(options["0"]), int(options["6"])
            if take(4) != FP16_TAG:
                raise BrokenWeights(f"{weights.name} has a layer that is not fp16 where {param.name} has {words[1]}.")
            weight = take(2 * count)
            take(-2 * count % 4)
            layers.append(
                {
                    "weight": Tensor(dtype="F16", shape=(out, count // (out * KERNEL**2), KERNEL, KERNEL), body=weight),
                    "bias": Tensor(dtype="F32", shape=(out,), body=take(4 * out)),
                }
            )
        elif words[0] == "PReLU":
            slopes = int(options["0"])
            layers.append({"weight": Tensor(dtype="F32", shape=(slopes,), body=take(4 * slopes))})
    if at != len(body):
        raise BrokenWeights(f"{weights.name} goes on after the last layer of {param.name}; fetch it again.")
    return layers


def rrdbnet_names(layers: list[dict[str, Tensor]]) -> list[str]:
    """The names of `RRDBNet(scale=4)`'s convolutions in ncnn's order; fifteen to a block."""
    blocks = (len(layers) - 6) // 15
    return [
        "conv_first",
        *(f"body.{block}.rdb{i}.conv{j}" for block in range(blocks) for i in (1, 2, 3) for j in (1, 2, 3, 4, 5)),
        "conv_body",
        "conv_up1",
        "conv_up2",
        "conv_hr",
        "conv_last",
    ]


def srvggnet_names(layers: list[dict[str, Tensor]]) -> list[str]:
    """The names of `SRVGGNetCompact`: convolutions and PReLUs in turn."""
    return [f"body.{index}" for index in range(len(layers))]


NAMES = {"rrdbnet": rrdbnet_names, "srvggnet": srvggnet_names}


def write_safetensors(tensors: dict[str, Tensor], target: Path) -> None:
    """Writes the tensors by safetensors' format: a length, a JSON header padded to 8 bytes, the bytes in order."""
    header: dict[str, object] = {}
    at = 0
    for name, tensor in tensors.items():
        header[name] = {
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
            "data_offsets": [at, at + len(tensor.body)],
        }
        at += len(tensor.body)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with target.open("wb") as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        for tensor in tensors.values():
            file.write(tensor.body)
