"""The parts that train the starter model: the tokenizer, the normalisation, the optimizer, a run that goes on."""

from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip("dicebear", reason="drawing portraits wants requirements-dev.txt")

from starter import tokenizer
from starter.denoiser import build_scheduler, min_snr_weight
from starter.group_norm import use_channels_last
from starter.optimizer import MasterWeights
from starter.portrait import caption, draw_lots
from starter.training import Run, run


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> tokenizer.CLIPTokenizer:
    folder, random = tmp_path_factory.mktemp("tokenizer"), Random(0)
    tokenizer.learn((caption(draw_lots(random), random) for _ in range(2_000)), 1_400).save_pretrained(folder)
    return tokenizer.load(folder)


def test_a_word_never_seen_comes_out_as_bytes_and_not_as_unknown(words: tokenizer.CLIPTokenizer) -> None:
    numbers = words("zebra qxyz 😀").input_ids
    assert words.unk_token_id not in numbers[1:-1]
    assert str(words.decode(numbers, skip_special_tokens=True)).replace(" ", "") == "zebraqxyz😀"


def test_every_caption_fits_with_room_to_spare(words: tokenizer.CLIPTokenizer) -> None:
    random = Random(1)
    assert max(len(words(caption(draw_lots(random), random)).input_ids) for _ in range(500)) <= 40


def test_group_normalisation_for_channels_last_agrees_with_pytorchs_own() -> None:
    torch.manual_seed(0)
    usual, ours = nn.GroupNorm(4, 16), nn.GroupNorm(4, 16)
    with torch.no_grad():
        usual.weight.normal_()
        usual.bias.normal_()
    ours.load_state_dict(usual.state_dict())
    use_channels_last(ours)
    a = torch.randn(3, 16, 8, 12).requires_grad_()
    b = a.detach().clone(memory_format=torch.channels_last).requires_grad_()
    gradient = torch.randn(3, 16, 8, 12)
    usual(a).backward(gradient)
    ours(b).backward(gradient)
    torch.testing.assert_close(usual(a), ours(b), atol=1e-5, rtol=1e-4)
    for wanted, made in ((a, b), (usual.weight, ours.weight), (usual.bias, ours.bias)):
        torch.testing.assert_close(wanted.grad, made.grad, atol=1e-4, rtol=1e-4)


def test_min_snr_weights_are_largest_in_the_middle_and_never_vanish() -> None:
    timesteps = torch.arange(1000)
    weights = min_snr_weight(build_scheduler().alphas_cumprod, timesteps)
    assert weights.min() >= 0.1 and weights.max() <= 5 / 6 + 1e-6
    assert weights[300] > weights[999]


def _fit(state: Path, steps: int) -> torch.Tensor:
    """Learns a small linear map until `steps`; what it ends with."""
    torch.manual_seed(0)
    layer = nn.Linear(6, 6).bfloat16()
    weights = MasterWeights(layer, 1e-2, average=0.9)
    plan = Run(steps=8, seed=3)

    def loss(_shape: tuple[int, int], rows: np.ndarray, step: int) -> torch.Tensor:
        if step == steps:
            raise KeyboardInterrupt
        x = torch.randn(len(rows), 6).bfloat16()
        return (layer(x) - x).float().square().mean()

    try:
        run(state, plan, weights, {(1, 1): 50}, 4, loss, str)
    except KeyboardInterrupt:
        torch.save(weights.state(), state)
    return torch.cat([p.flatten() for p in weights.master])


def test_a_run_that_was_interrupted_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole = _fit(tmp_path / "whole.pt", 8)
    _fit(tmp_path / "halved.pt", 4)
    assert torch.equal(whole, _fit(tmp_path / "halved.pt", 8))
