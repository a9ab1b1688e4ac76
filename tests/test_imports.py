"""`models add` with a LoRA that others made: a ready tune of its account, or nothing and the reason."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from studio.cli.main import main
from studio.domain import OWNER, NotFound
from studio.pipelines import imports
from studio.pipelines.bases import Bases
from studio.rules import new_id
from studio.service import Studio
from studio.settings import Settings
from tests.test_cli import Done

Command = Callable[..., Done]


@pytest.fixture(scope="session")
def lora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA for the starter in kohya's form: of two of its layers, of random numbers."""
    settings = Settings.read({"STUDIO_DATA": str(tmp_path_factory.mktemp("data"))})
    layers = dict(imports._layers(Bases.of(settings, {}).find("starter")))
    torch.manual_seed(3)
    tensors: dict[str, torch.Tensor] = {}
    for name in (
        "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q",
        "lora_te_text_model_encoder_layers_0_self_attn_q_proj",
    ):
        out, width = layers[name].shape
        tensors[f"{name}.lora_down.weight"] = torch.randn(4, width)
        tensors[f"{name}.lora_up.weight"] = torch.randn(out, 4)
        tensors[f"{name}.alpha"] = torch.tensor(4.0)
    file = tmp_path_factory.mktemp("lora") / "theirs.safetensors"
    save_file(tensors, file)
    return file


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    monkeypatch.setenv("STUDIO_DATA", str(tmp_path / "data"))

    def run(*words: str) -> Done:
        capsys.readouterr()
        code = main(words, runners={})
        printed = capsys.readouterr()
        return Done(code, printed.out, printed.err)

    return run


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    made = Studio.open(Settings(data=tmp_path / "data"), {}, runners={})
    yield made
    assert made.verify() == []
    made.close()


def test_a_lora_of_others_becomes_a_tune_that_avatars_can_be_made_of(
    studio: Studio, command: Command, lora: Path
) -> None:
    done = command("models", "add", str(lora), "--words", "ohwx woman", "--json")
    assert done.code == 0, done.err
    tune = studio.tuning.get(OWNER, done.json["tune"])
    assert (tune.state, tune.base, tune.name) == ("ready", "starter", "theirs")
    request = studio.tuning.check_avatars(OWNER, tune.id, {"prompt": "smiling"})
    assert request.prompt == "ohwx woman, smiling" and request.tune == tune.id
    job = studio.job(OWNER, tune.job)
    assert (job.state, job.charges, job.delivered) == ("done", (), 1)
    assert studio.tuning.first_jobs(OWNER, tune.id) == [] and tune.styles_left == ()
    assert "kohya" in studio.exports.formats(OWNER, tune.id)


def test_the_same_id_again_is_the_same_tune(studio: Studio, command: Command, lora: Path) -> None:
    asked = ("models", "add", str(lora), "--words", "ohwx", "--base", "starter", "--id", new_id(), "--json")
    first, second = command(*asked), command(*asked)
    assert first.json["tune"] == second.json["tune"] and len(studio.tuning.all(OWNER)) == 1
    done = command(*asked[:-1], "--name", "other", "--json")
    assert done.code == 1 and "already belongs" in done.json["error"]


def test_a_lora_whose_words_nobody_says_is_refused_and_leaves_nothing(
    tmp_path: Path, studio: Studio, command: Command, lora: Path
) -> None:
    done = command("models", "add", str(lora), "--json")
    assert done.code == 2 and done.json["field"] == "words" and done.json["allowed"] == "--words"
    assert studio.tuning.all(OWNER) == [] and studio.jobs(OWNER) == []
    assert not list((tmp_path / "data/jobs").iterdir()) and not (tmp_path / "data/tunes").exists()


def test_a_lora_that_was_cut_short_is_refused_with_the_reason(
    tmp_path: Path, studio: Studio, command: Command, lora: Path
) -> None:
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(lora.read_bytes()[:-7])
    done = command("models", "add", str(cut), "--words", "ohwx", "--json")
    assert done.code == 1 and "cut short" in done.json["error"]
    assert studio.tuning.all(OWNER) == []


def test_another_account_does_not_see_it(studio: Studio, command: Command, lora: Path) -> None:
    studio.open_account("client")
    tune = command("models", "add", str(lora), "--words", "ohwx", "--json").json["tune"]
    with pytest.raises(NotFound):
        studio.tuning.get("client", tune)
