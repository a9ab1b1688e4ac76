"""Which ways to compute attention really work on this device: each is made to compute one, not only imported."""

from collections.abc import Callable, Mapping
from importlib import import_module

import torch
from diffusers.models.attention_dispatch import attention_backend, dispatch_attention_fn

Tensor = torch.Tensor
# What a kernel that does not fit raises: not installed, built for another torch, another device, another shape.
UNFIT = (ImportError, RuntimeError, NotImplementedError, ValueError, TypeError, AttributeError, AssertionError, OSError)
FAR = 0.05  # half-precision kernels differ by less from exact attention over 64 tokens


def _sdpa(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    query, key, value = (part.transpose(1, 2) for part in (query, key, value))
    return torch.nn.functional.scaled_dot_product_attention(query, key, value).transpose(1, 2)


def _xformers(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    # By name, since it is not installed unless asked for.
    return import_module("xformers.ops").memory_efficient_attention(query, key, value)


def _of_diffusers(name: str) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        with attention_backend(name):
            return dispatch_attention_fn(query, key, value)

    return attend


BACKENDS: Mapping[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "sdpa": _sdpa,
    "xformers": _xformers,
    **{name: _of_diffusers(name) for name in ("flash", "sage", "_native_flash", "_native_cudnn")},
}
"""By the name that the setting `attention` knows them by. Those that would first be downloaded are left out."""


def tried(device: torch.device, dtype: torch.dtype) -> dict[str, str]:
    """Of each backend why it cannot be used here; an empty text where it can."""
    draw = torch.Generator("cpu").manual_seed(0)
    parts = [
        torch.randn(1, 64, 2, 64, generator=draw).to(device, dtype) for _ in range(3)
    ]  # batch, tokens, heads, width
    query, key, value = parts
    exact = _sdpa(query.float(), key.float(), value.float())
    found: dict[str, str] = {}
    for name, attend in BACKENDS.items():
        try:
            with torch.inference_mode():
                off = float((attend(query, key, value).float() - exact).abs().max())
        except UNFIT as error:
            found[name] = str(error).strip().partition("\n")[0][:160] or type(error).__name__
        else:
            found[name] = "" if off < FAR else f"it computes something else (off by {off:.2g})"
    return found
