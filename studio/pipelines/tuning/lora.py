"""LoRA layers: put into a network, written to a file, and proven to be what was trained.

LoRA: Hu et al., 2021, https://arxiv.org/abs/2106.09685.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file
from torch import nn

from studio.domain import BrokenWeights
from studio.pipelines.tuning.layers import fuse

FILE = "pytorch_lora_weights.safetensors"  # the name diffusers looks for in a folder
ADAPTER = "tune"


def put_in(network: Any, targets: str, *, rank: int, alpha: int, seed: int, still: str = "") -> None:
    """Freezes the network and adds LoRA layers beside its `targets`, in its own dtype; at first they change nothing.

    `targets` is a pattern of whole names; those that `still` fits too stay as they are. The down weights are drawn from
    `seed`, the up weights are zero.
    """
    network.requires_grad_(False)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=targets)
        network.add_adapter(config, adapter_name=ADAPTER)
    dtype = network.dtype  # diffusers looks through every layer for it
    for parameter in trained(network):
        # peft keeps them in fp32, and would turn every input of theirs to fp32 and back.
        parameter.data = parameter.data.to(dtype)
    for name, module in network.named_modules():
        if still and re.fullmatch(still, name):
            module.requires_grad_(False)
    fuse(network)


def trained(network: nn.Module) -> list[nn.Parameter]:
    """The weights of a network that are trained."""
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def save(pipeline: Any, parts: Mapping[str, nn.Module], folder: Path) -> Path:
    """Writes the LoRA layers of some networks of a pipeline as diffusers reads them, alpha and rank with them."""
    layers: dict[str, Any] = {}
    for name, network in parts.items():
        tensors = get_peft_model_state_dict(network, adapter_name=ADAPTER)
        layers[f"{name}_lora_layers"] = {key: tensor.float().contiguous() for key, tensor in tensors.items()}
        layers[f"{name}_lora_adapter_metadata"] = network.peft_config[ADAPTER].to_dict()  # type: ignore[union-attr]
    type(pipeline).save_lora_weights(folder, weight_name=FILE, safe_serialization=True, **layers)
    return folder / FILE


def verify(file: Path) -> None:
    """Raises BrokenWeights unless the file can be read, all its numbers are finite, and it changes the base."""
    try:
        tensors = load_file(file)
    except Exception as error:  # noqa: BLE001 - whatever keeps it from being read is the finding
        raise BrokenWeights(f"The trained weights cannot be read back: {error}") from error
    ups = [tensor for name, tensor in tensors.items() if name.endswith("lora_B.weight")]
    if not ups or not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise BrokenWeights("The trained weights are no finite numbers: the training failed. Try a lower rate.")
    if not any(bool(tensor.any()) for tensor in ups):
        raise BrokenWeights("The trained weights change nothing: the training failed.")
