"""Which attention a base computes with, and which of those there are really load on this machine.

`sdpa` is PyTorch's own and the default. `xformers` and diffusers' further backends (`flash`, `sage`, ...) are a choice
in the settings. Backends whose kernels would come from the Hub are not offered: loading never goes to the network.
"""

from collections.abc import Mapping
from typing import Any

import torch
from diffusers.models.attention_dispatch import AttentionBackendName, dispatch_attention_fn
from diffusers.models.attention_processor import AttnProcessor

from studio.domain import Refused

ALLOWED = "sdpa, xformers (needs requirements-xformers.txt), or a backend of diffusers' that loads here (see doctor)"
FAULTS = (ImportError, ValueError, RuntimeError, NotImplementedError, AttributeError, TypeError, OSError)


def use(pipeline: Any, denoiser: torch.nn.Module, name: str) -> None:
    """Sets the attention of a base's denoiser. Raises Refused where it cannot be used here or would do nothing."""
    if name == "sdpa":
        return
    if name.endswith("_hub"):
        raise _refused(name, "its kernels would be fetched from the Hub while loading")
    takes_backends = any(hasattr(one, "_attention_backend") for one in _processors(denoiser))
    try:
        if takes_backends:
            denoiser.set_attention_backend(name)  # type: ignore[operator]
        elif name == "xformers":
            pipeline.enable_xformers_memory_efficient_attention()
        else:
            # diffusers would take the name and go on as before.
            raise _refused(name, f"{type(denoiser).__name__} takes sdpa or xformers alone")
    except FAULTS as error:
        raise _refused(name, str(error).strip().partition("\n")[0][:200]) from error


def use_to_train(denoiser: Any, device: torch.device) -> None:
    """Plain products on a CPU in bf16, where fused attention takes three times as long on its way back.

    In fp32 it is as fast as they are for small pictures, twice as fast for large ones, and takes less memory.
    """
    if device.type != "cpu" or denoiser.dtype == torch.float32:
        return
    if any(hasattr(one, "_attention_backend") for one in _processors(denoiser)):
        denoiser.set_attention_backend("_native_math")
    else:
        denoiser.set_attn_processor(AttnProcessor())


def _refused(name: str, why: str) -> Refused:
    return Refused(f"The attention {name} cannot be used here: {why}.", field="attention", allowed=ALLOWED)


def _processors(denoiser: torch.nn.Module) -> list[object]:
    return [module.processor for module in denoiser.modules() if hasattr(module, "processor")]


def probe(device: torch.device) -> Mapping[str, str]:
    """Every attention by name: empty where a small product really ran on the device, else why it did not."""
    dtype = torch.float32 if device.type == "cpu" else torch.float16
    query = torch.zeros(1, 16, 2, 64, device=device, dtype=dtype)  # pictures, places, heads, numbers
    found: dict[str, str] = {}
    for backend in AttentionBackendName:
        name = "sdpa" if backend == AttentionBackendName.NATIVE else backend.value
        if name.endswith("_hub"):
            continue
        try:
            dispatch_attention_fn(query, query, query, backend=backend)
            found[name] = ""
        except FAULTS as error:
            found[name] = (str(error).strip() or type(error).__name__).partition("\n")[0][:120]
    return found
