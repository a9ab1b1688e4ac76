"""Makes what a network computes for one picture independent of how many others are in the batch, on the CPU.

The CPU libraries choose another kernel, with another order of summing, by the number of rows, and compute the last few
elements of an array by another formula than the others: the same picture then differs in its last decimal between a
batch of one and of eight. `steady(network)` gives the layers where that was seen the class of a twin here, which

- makes the products of few rows or long sums, and in fp32 those of 1x1 convolutions, picture by picture, as one batched
  product of equal shapes; one alone is made as two, since its kernel would be another;
- repeats a batch of so few pixels, or so few numbers, that its convolution would take another path;
- takes exponentials of odd shapes picture by picture.

A twin costs nothing where its case does not come up, and layers whose case cannot come up are left as they are.
Where it was seen: PyTorch 2.14 with oneDNN on a processor with AVX-512 and AMX, by comparing the starter's calls
between a batch of 16 and smaller ones; tiny networks of every family are tested by their pixels. Other processors may
have cases of their own. Exponentials that a network takes as functions, as Z-Image does, are left alone: the rows of
real networks are multiples of what is computed at once.
"""

from collections.abc import Callable
from typing import Any

import torch
from diffusers.models.activations import GEGLU
from torch import nn
from torch.nn import functional as F

SMALL_CONV = 20_480  # numbers up to which PyTorch takes another path for one picture (aten/src/ATen/native/Convolution)
FEW_PIXELS = 16  # of a whole batch, below which bf16 convolutions sum in another order; AMX has tiles of 16 rows
FEW_ROWS = 32  # rows of one picture from which fp32 kernels were no longer seen to depend on how many there are
LONG_SUM = {torch.float32: 1024, torch.bfloat16: 512}  # row length from which a sum may be split by the rows' number
VECTOR = 64  # elements that are computed at once; what is left over at an array's end is computed one by one
GRAIN = 32_768  # elements from which PyTorch shares an array out among threads, so that it has several ends
MOST_PICTURES = 64  # a first dimension larger than this does not count pictures


def steady(network: nn.Module) -> None:
    """Has every layer of the network treat each picture of a batch alike. Again after layers were added to it."""
    for module in network.modules():
        twin = TWINS.get(type(module))
        if twin is not None and twin.matters(module):
            module.__class__ = twin


def unsteady(network: nn.Module) -> None:
    """Gives every layer its own class back."""
    for module in network.modules():
        if type(module) in PLAIN:
            module.__class__ = PLAIN[type(module)]


class SteadyLinear(nn.Linear):
    """A linear layer; the first of its input's dimensions counts the pictures."""

    @staticmethod
    def matters(layer: Any) -> bool:
        return layer.weight.dtype == torch.float32 or layer.in_features >= LONG_SUM.get(layer.weight.dtype, 0)

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch's name for it
        x, weight, length = input, self.weight, self.in_features
        few = x.dtype == torch.float32 and x.numel() < FEW_ROWS * length * x.shape[0]
        if x.dim() < 2 or (not few and length < LONG_SUM.get(x.dtype, 0)):
            return F.linear(x, weight, self.bias)
        rows = x.reshape(x.shape[0], -1, length)
        return _products(rows, weight.t(), self.bias).reshape(*x.shape[:-1], weight.shape[0])


class SteadyConv2d(nn.Conv2d):
    """A convolution of (pictures, channels, height, width)."""

    @staticmethod
    def matters(layer: Any) -> bool:
        return layer.padding_mode == "zeros"

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch's name for it
        x, weight, bias = input, self.weight, self.bias
        if x.dim() != 4:
            return super().forward(x)
        pictures, _, height, width = x.shape
        times = 1
        if x.dtype == torch.bfloat16:
            pixels = pictures * (height // self.stride[0]) * (width // self.stride[1])
            times = -(-FEW_PIXELS // max(pixels, 1))
        elif _is_product(self):
            kernels = weight.reshape(1, weight.shape[0], weight.shape[1])
            out = _products(kernels, x.reshape(pictures, x.shape[1], -1), None if bias is None else bias[:, None])
            return out.reshape(pictures, weight.shape[0], height, width)
        elif pictures == 1 and x.dtype == torch.float32 and x.numel() <= SMALL_CONV:
            times = 2
        if times == 1:
            return self._conv_forward(x, weight, bias)
        return self._conv_forward(x.repeat(times, 1, 1, 1), weight, bias)[:pictures]


class SteadySiLU(nn.SiLU):
    """SiLU of an array whose first dimension counts the pictures."""

    @staticmethod
    def matters(layer: Any) -> bool:
        return not layer.inplace

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch's name for it
        return curve(F.silu, input)


class SteadyGEGLU(GEGLU):
    """A linear layer of which one half, through a GELU, is the other's gate."""

    @staticmethod
    def matters(layer: Any) -> bool:
        return True

    def gelu(self, gate: torch.Tensor) -> torch.Tensor:
        return curve(F.gelu, gate)


TWINS: dict[type[nn.Module], Any] = {
    nn.Linear: SteadyLinear,
    nn.Conv2d: SteadyConv2d,
    nn.SiLU: SteadySiLU,
    GEGLU: SteadyGEGLU,
}
PLAIN = {twin: plain for plain, twin in TWINS.items()}


def curve(func: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """An exponential and its kin, element by element, of an array whose first dimension counts the pictures."""
    if x.dim() < 2 or not 1 < x.shape[0] <= MOST_PICTURES:
        return func(x)
    threads = torch.get_num_threads() if x.numel() > GRAIN else 1
    if threads <= 2 and x.numel() // x.shape[0] % (VECTOR * threads) == 0:  # every end falls between two vectors
        return func(x)
    return torch.stack([func(picture) for picture in x])


def _products(left: torch.Tensor, right: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """Matrix products, one to a picture; one alone is made as two, since its kernel would be another."""
    pictures = left.shape[0] if left.dim() == 3 and left.shape[0] > 1 else right.shape[0] if right.dim() == 3 else 1
    count = max(pictures, 2)
    left = left.expand(count, -1, -1)
    right = right.expand(count, -1, -1)
    out = torch.bmm(left, right) if bias is None else torch.baddbmm(bias, left, right)
    return out[:pictures]


def _is_product(layer: nn.Conv2d) -> bool:
    """Whether it is a matrix product: a 1x1 convolution of every pixel."""
    return layer.kernel_size == (1, 1) and layer.groups == 1 and layer.stride == (1, 1) and layer.padding in ((0, 0), 0)
