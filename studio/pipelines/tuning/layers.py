"""LoRA layers as they are trained: what peft's compute, in fewer calls.

peft computes `base(x) + up(down(x))` out of half a dozen layers, each with its own way back. Small networks spend a
good part of a training step on that. Here it is one function, whose way back is written out:

    y = x W^T + b + (x D^T) U^T
    dU = dy^T (x D^T)      dD = (dy U)^T x      dx = dy W + (dy U) D
"""

from typing import Any

import torch
from peft.tuners.lora.layer import Linear
from torch import nn
from torch.autograd.function import FunctionCtx


def fuse(network: nn.Module) -> None:
    """Has every LoRA layer of the network compute in one function. Their names and weights stay."""
    for module in network.modules():
        if type(module) is Linear:
            module.__class__ = Fused


class Fused(Linear):
    """peft's LoRA beside a linear layer, with one adapter and no dropout."""

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        base: Any = self.base_layer
        (adapter,) = self.active_adapters
        down, up, scale = self.lora_A[adapter].weight, self.lora_B[adapter].weight, self.scaling[adapter]
        return _Product.apply(x, base.weight, base.bias, down if scale == 1 else scale * down, up)


class _Product(torch.autograd.Function):
    """x (... x in), weight (out x in), bias (out, or None), down (rank x in), up (out x rank) to (... x out)."""

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        down: torch.Tensor,
        up: torch.Tensor,
    ) -> torch.Tensor:
        rows = x.reshape(-1, x.shape[-1])
        inner = rows @ down.t()
        made = rows @ weight.t() if bias is None else torch.addmm(bias, rows, weight.t())
        ctx.save_for_backward(rows, inner, weight, down, up)
        return made.addmm_(inner, up.t()).view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Any:
        rows, inner, weight, down, up = ctx.saved_tensors
        (grad,) = grads
        back = grad.reshape(-1, grad.shape[-1])
        through = back @ up
        onward = None
        if ctx.needs_input_grad[0]:
            onward = (back @ weight).addmm_(through, down).view(*grad.shape[:-1], -1)
        return onward, None, None, through.t() @ rows, back.t() @ inner
