"""LoRA layers in one function compute what peft's own do."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from studio.pipelines.tuning import lora
from studio.pipelines.tuning.layers import Fused, fuse
from tests.pipelines.tiny import D


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("alpha", [4, 2])
def test_fused_layers_and_pefts_own_give_the_same_and_lead_the_same_way_back(bias: bool, alpha: int) -> None:
    torch.manual_seed(1)
    x = torch.randn(2, 5, 6, requires_grad=True)
    config = LoraConfig(r=4, lora_alpha=alpha, target_modules=["0"], init_lora_weights=False)
    network = get_peft_model(nn.Sequential(nn.Linear(6, 3, bias=bias)), config)
    found: list[list[torch.Tensor]] = []
    for one in range(2):
        if one:
            fuse(network)
            assert any(type(module) is Fused for module in network.modules())
        made = network(x)
        weights = lora.trained(network)
        found.append([made, *torch.autograd.grad(made.square().sum(), [x, *weights])])
    assert len(found[0]) == 4
    for peft, fused in zip(*found, strict=True):
        torch.testing.assert_close(fused, peft)


def test_layers_that_stay_still_are_there_and_not_trained() -> None:
    network = D.UNet2DConditionModel(
        sample_size=8, block_out_channels=(32,), layers_per_block=1, cross_attention_dim=8, attention_head_dim=4,
        down_block_types=("CrossAttnDownBlock2D",), up_block_types=("CrossAttnUpBlock2D",),
    )  # fmt: skip
    lora.put_in(network, r".*attn2\.(to_k|to_v)", rank=2, alpha=2, seed=1, still=r".*attn2\.to_v")
    named = {name: one.requires_grad for name, one in network.named_parameters() if "lora_" in name}
    assert any("to_k" in name for name in named) and any("to_v" in name for name in named)
    assert all(trained == ("to_k" in name) for name, trained in named.items())
