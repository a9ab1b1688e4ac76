"""ncnn files become what basicsr's networks load. The files here are written by the format's description."""

import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from studio.domain import BrokenWeights
from studio.pipelines.compat import provide_functional_tensor
from studio.pipelines.ncnn import convert, read_layers

provide_functional_tensor()
from basicsr.archs.rrdbnet_arch import RRDBNet  # noqa: E402
from realesrgan.archs.srvgg_arch import SRVGGNetCompact  # noqa: E402


def as_ncnn(network: torch.nn.Module, folder: Path) -> tuple[Path, Path]:
    """The network's two ncnn files, with other layers between, as a converter leaves them."""
    lines, body = ["7767517", "0 0", "Input in 0 1 data"], b""
    for name, module in network.named_modules():
        if isinstance(module, torch.nn.Conv2d):
            assert module.bias is not None
            count = module.weight.numel()
            lines += [f"Convolution {name} 1 1 a b 0={module.out_channels} 1=3 4=1 5=1 6={count}", "Split s 1 2 b c d"]
            body += struct.pack("<I", 0x01306B47) + module.weight.detach().half().numpy().tobytes()
            body += b"\0" * (-2 * count % 4) + module.bias.detach().numpy().tobytes()
        elif isinstance(module, torch.nn.PReLU):
            lines.append(f"PReLU {name} 1 1 c d 0={module.weight.numel()}")
            body += module.weight.detach().numpy().tobytes()
    (folder / "n.param").write_text("\n".join(lines) + "\n")
    (folder / "n.bin").write_bytes(body)
    return folder / "n.param", folder / "n.bin"


NETWORKS = [
    ("rrdbnet", RRDBNet(num_in_ch=3, num_out_ch=3, num_feat=5, num_block=2, num_grow_ch=3, scale=4)),
    ("srvggnet", SRVGGNetCompact(num_feat=5, num_conv=3, upscale=4, act_type="prelu")),
]


@pytest.mark.parametrize(("layout", "network"), NETWORKS, ids=["rrdbnet", "srvggnet"])
def test_every_tensor_arrives_under_its_name(tmp_path: Path, layout: str, network: torch.nn.Module) -> None:
    convert(*as_ncnn(network, tmp_path), layout, tmp_path / "n.safetensors")
    tensors = load_file(tmp_path / "n.safetensors")
    expected = network.state_dict()
    assert set(tensors) == set(expected)
    for name, tensor in tensors.items():
        half = tensor.dtype == torch.float16
        assert torch.equal(tensor, expected[name].half() if half else expected[name]), name


def test_the_same_input_gives_the_same_file(tmp_path: Path) -> None:
    pair = as_ncnn(NETWORKS[1][1], tmp_path)
    for name in ("a", "b"):
        convert(*pair, "srvggnet", tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(("change", "words"), [(b"", "ends before"), (b"\0" * 8, "goes on after")])
def test_files_that_do_not_fit_each_other_are_told(tmp_path: Path, change: bytes, words: str) -> None:
    param, weights = as_ncnn(NETWORKS[1][1], tmp_path)
    weights.write_bytes(weights.read_bytes() + change if change else weights.read_bytes()[:-4])
    with pytest.raises(BrokenWeights, match=words):
        read_layers(param, weights)


def test_weights_that_are_not_fp16_are_told(tmp_path: Path) -> None:
    param, weights = as_ncnn(NETWORKS[1][1], tmp_path)
    weights.write_bytes(b"\0\0\0\0" + weights.read_bytes()[4:])
    with pytest.raises(BrokenWeights, match="not fp16"):
        read_layers(param, weights)
