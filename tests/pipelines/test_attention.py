"""The choice of attention: what loads, what is refused, and that a choice is never silently ignored."""

from pathlib import Path

import pytest
import torch

from studio.domain import Refused
from studio.pipelines.attention import probe
from tests.pipelines.drawing import easel


def test_the_probe_says_what_really_ran() -> None:
    found = probe(torch.device("cpu"))
    assert found["sdpa"] == "" and found["flash"] != ""
    assert not any(name.endswith("_hub") for name in found)


@pytest.mark.parametrize(
    ("base", "name", "words"),
    [
        ("starter", "flash", "takes sdpa or xformers alone"),
        ("klein-4b", "flash_hub", "fetched from the Hub"),
        ("klein-4b", "nonsense", "must be one of"),
    ],
)
def test_an_attention_that_would_do_nothing_or_does_not_load_is_refused(
    models: Path, tmp_path: Path, base: str, name: str, words: str
) -> None:
    with pytest.raises(Refused, match=words) as refused:
        easel(models, tmp_path, attention=name).draw(base=base)
    assert refused.value.field == "attention" and "sdpa" in (refused.value.allowed or "")


def test_another_attention_draws(models: Path, tmp_path: Path) -> None:
    assert len(easel(models, tmp_path, attention="_native_math").draw(base="klein-4b")) == 1
