"""Makes what a network computes for one picture independent of how many others are in the batch, on the CPU.

The CPU libraries choose another kernel, with another order of summing, by the number of rows, and compute the last few
elements of an array by another formula than the others: the same picture then differs in its last decimal between a
batch of one and of eight. Inside `SteadyKernels()` the products where that was seen (1x1 convolutions, few rows, long
sums) are made picture by picture, as one batched product of equal shapes; a batch of one is computed as two where its
kernels would be others; and exponentials of odd shapes are taken picture by picture. Bit-equal for batches of 1 to 8
on tiny models of every family; on the starter in bf16 a batch of one was seen to differ in the last decimal.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

SMALL_CONV = (
    20_480  # elements up to which PyTorch takes another path for one picture (aten/src/ATen/native/Convolution)
)
FEW_ROWS = 32  # rows of one picture from which fp32 kernels were no longer seen to depend on how many there are
LONG_SUM = {torch.float32: 1024, torch.bfloat16: 512}  # row length from which a sum may be split by the rows' number
VECTOR = 64  # elements that are computed at once; what is left over at an array's end is computed one by one
GRAIN = 32_768  # elements from which PyTorch shares an array out among threads, so that it has several ends
MOST_PICTURES = 64  # a first dimension larger than this does not count pictures
CURVES = frozenset(
    [
        F.silu,
        torch._C._nn.silu,  # type: ignore[attr-defined]
        F.gelu,
        torch.sigmoid,
        torch.Tensor.sigmoid,
        torch.tanh,
        torch.Tensor.tanh,
        torch.exp,
        torch.Tensor.exp,
    ]
)


class SteadyKernels(TorchFunctionMode):
    """While entered, linear layers and convolutions compute each picture of a batch alike. Per thread; for the CPU."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.linear:
            return linear(*args, **kwargs)
        if func is F.conv2d:
            return conv2d(*args, **kwargs)
        if func in CURVES and not kwargs.get("inplace"):
            return curve(func, *args, **kwargs)
        return func(*args, **kwargs)


def linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """`F.linear`; the first of x's dimensions counts the pictures."""
    length = x.shape[-1]
    few = x.dtype == torch.float32 and x.numel() < FEW_ROWS * length * x.shape[0]
    if x.dim() < 2 or (not few and length < LONG_SUM.get(x.dtype, 0)):
        return F.linear(x, weight, bias)
    rows = x.reshape(x.shape[0], -1, length)
    return _products(rows, weight.t(), bias).reshape(*x.shape[:-1], weight.shape[0])


def conv2d(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> torch.Tensor:
    """`F.conv2d` of (pictures, channels, height, width); a 1x1 convolution is a matrix product."""
    if x.dim() == 4 and weight.shape[2:] == (1, 1) and groups == 1 and _all(stride, 1) and _all(padding, 0):
        kernels = weight.reshape(1, weight.shape[0], weight.shape[1])
        pixels = x.reshape(x.shape[0], x.shape[1], -1)
        return _products(kernels, pixels, None if bias is None else bias[:, None]).reshape(
            x.shape[0], weight.shape[0], x.shape[2], x.shape[3]
        )
    if x.dim() == 4 and x.shape[0] == 1 and x.dtype == torch.float32 and x.numel() <= SMALL_CONV:
        return F.conv2d(x.repeat(2, 1, 1, 1), weight, bias, stride, padding, dilation, groups)[:1]
    return F.conv2d(x, weight, bias, stride, padding, dilation, groups)


def curve(func: Callable[..., torch.Tensor], x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    """An exponential and its kin, element by element, of an array whose first dimension counts the pictures."""
    if x.dim() < 2 or not 1 < x.shape[0] <= MOST_PICTURES:
        return func(x, *args, **kwargs)
    threads = torch.get_num_threads() if x.numel() > GRAIN else 1
    if threads <= 2 and x.numel() // x.shape[0] % (VECTOR * threads) == 0:  # every end falls between two vectors
        return func(x, *args, **kwargs)
    return torch.stack([func(picture, *args, **kwargs) for picture in x])


def _products(left: torch.Tensor, right: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """Matrix products, one to a picture; one alone is made as two, since its kernel would be another."""
    pictures = left.shape[0] if left.dim() == 3 and left.shape[0] > 1 else right.shape[0] if right.dim() == 3 else 1
    count = max(pictures, 2)
    left = left.expand(count, -1, -1)
    right = right.expand(count, -1, -1)
    out = torch.bmm(left, right) if bias is None else torch.baddbmm(bias, left, right)
    return out[:pictures]


def _all(value: Any, wanted: int) -> bool:
    return value == wanted or (isinstance(value, tuple | list) and all(one == wanted for one in value))
