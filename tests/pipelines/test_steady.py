"""One picture is the same to the bit alone and in any batch: of the starter as it ships, and layer by layer."""

from pathlib import Path

import numpy
import pytest
import torch
from torch import nn

from studio.pipelines.steady import PLAIN, TWINS, steady, unsteady
from studio.settings import REPOSITORY
from tests.pipelines.drawing import easel

MOST = 16  # eight pictures, each with and without its prompt


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_a_picture_of_the_starter_has_the_same_pixels_alone_and_in_any_batch(tmp_path: Path, precision: str) -> None:
    here = easel(REPOSITORY / "models", tmp_path, precision=precision)
    eight = here.pixels(count=8, steps=4)
    for first, count in ((0, 1), (5, 1), (1, 2), (4, 4)):
        fewer = here.pixels(count=count, seed=7 + first, steps=4)
        for index in range(count):
            assert numpy.array_equal(fewer[index], eight[first + index]), f"{count} from {first}: picture {index}"


LAYERS = {
    "a long sum": (lambda: nn.Linear(512, 128), (20, 512)),
    "a longer sum": (lambda: nn.Linear(1280, 64), (36, 1280)),
    "one row": (lambda: nn.Linear(192, 96), (192,)),
    "few rows": (lambda: nn.Linear(128, 1024), (4, 128)),
    "a 1x1 convolution": (lambda: nn.Conv2d(96, 128, 1), (96, 4, 5)),
    "few pixels": (lambda: nn.Conv2d(96, 128, 3, padding=1), (96, 2, 2)),
    "few pixels left": (lambda: nn.Conv2d(128, 128, 3, stride=2, padding=1), (128, 4, 4)),
    "a small picture": (lambda: nn.Conv2d(48, 48, 3, padding=1), (48, 7, 10)),
    "an odd shape": (lambda: nn.SiLU(), (48, 7, 35)),
}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)
@pytest.mark.parametrize("kind", LAYERS)
def test_a_steady_layer_gives_a_picture_the_same_numbers_in_any_batch(kind: str, dtype: torch.dtype) -> None:
    torch.manual_seed(7)
    make, shape = LAYERS[kind]
    layer = nn.Sequential(make()).to(dtype)
    with torch.inference_mode():
        for _ in range(4):
            pictures = torch.randn(MOST, *shape).to(dtype)
            plain = layer(pictures)
            steady(layer)
            whole = layer(pictures)
            torch.testing.assert_close(whole, plain)
            for count in (1, 2, 3, 4, 6, 8, 12):
                assert torch.equal(layer(pictures[:count]), whole[:count]), count
                assert torch.equal(layer(pictures[-count:]), whole[-count:]), count
            unsteady(layer)


def test_layers_without_a_case_are_left_as_they_are_and_each_gets_its_own_class_back() -> None:
    network = nn.Sequential(nn.Linear(128, 128), nn.Linear(512, 128), nn.LayerNorm(128), nn.SiLU()).bfloat16()
    before = [type(layer) for layer in network]
    steady(network)
    steady(network)
    assert [type(layer) in PLAIN for layer in network] == [False, True, False, True]
    assert type(network[1]) is TWINS[nn.Linear] and isinstance(network[1], nn.Linear)
    unsteady(network)
    assert [type(layer) for layer in network] == before
