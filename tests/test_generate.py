"""From a command line to pictures: the real process, the real pipeline, on the starter model or a tiny random one."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops

from studio.settings import REPOSITORY

SHIPPED = REPOSITORY / "models" / "starter"


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the base that the commands draw with. Nobody writes to it."""
    if (SHIPPED / "model_index.json").is_file():
        return SHIPPED
    from tests.pipelines import tiny  # noqa: PLC0415 - it loads diffusers, which is not needed where the starter is

    folder = tmp_path_factory.mktemp("tiny") / "starter"
    tiny.sd(folder)
    return folder


class Machine:
    """A data folder and a models folder, and the commands run on them, each in a process of its own."""

    def __init__(self, root: Path, models: Path) -> None:
        self.root = root
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(("STUDIO_", "HF_"))} | {
            "PYTHONPATH": str(REPOSITORY),
            "STUDIO_DATA": str(root / "data"),
            "STUDIO_MODELS": str(models),
            "STUDIO_DEVICE": "cpu",
        }

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-m", "studio", *words, "--json"]
        return subprocess.run(command, cwd=self.root, env=self.env, capture_output=True, text=True, check=False)

    def made(self, *words: str) -> dict[str, Any]:
        """What `generate` answers with these words and few steps."""
        prompt = "portrait of a smiling woman with long red hair, teal background"
        done = self("generate", prompt, "--size", "128x128", "--steps", "4", "--out", "out", *words)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("\n") == 1
        return json.loads(done.stdout)


@pytest.fixture
def machine(tmp_path: Path, base: Path) -> Machine:
    return Machine(tmp_path, base.parent)


def pixels(picture: dict[str, Any]) -> Image.Image:
    with Image.open(picture["path"]) as image:
        image.load()
        return image


def same(one: Image.Image, other: Image.Image) -> bool:
    return ImageChops.difference(one.convert("RGB"), other.convert("RGB")).getbbox() is None


def test_pictures_are_made_marked_and_charged_and_the_same_seed_makes_them_again(machine: Machine) -> None:
    body = machine.made("--count", "3", "--seed", "7", "--style", "storybook")
    assert body["price"] == 3
    images = [pixels(picture) for picture in body["pictures"]]
    assert [(picture["seed"], picture["width"], picture["height"]) for picture in body["pictures"]] == [
        (7, 128, 128),
        (8, 128, 128),
        (9, 128, 128),
    ]
    assert [image.size for image in images] == [(128, 128)] * 3
    assert not same(images[0], images[1])
    for image in images:
        assert "storybook" in image.info["parameters"]
        assert "trainedAlgorithmicMedia" in image.info["XML:com.adobe.xmp"]
        assert "date:create" not in image.info

    # One of them again, alone, from another process.
    (again,) = machine.made("--seed", "8", "--style", "storybook")["pictures"]
    assert same(pixels(again), images[1])

    entries = json.loads(machine("credits", "history").stdout)["entries"]
    assert -sum(entry["posted"] for entry in entries if entry["phase"] == "capture") == 4
    assert json.loads(machine("credits", "verify").stdout) == {"faults": []}


def test_where_the_mask_is_black_the_picture_stays_as_it_was(machine: Machine) -> None:
    init = Image.effect_noise((128, 128), 80).convert("RGB")
    init.save(machine.root / "init.png")
    mask = Image.new("L", (128, 128))
    mask.paste(255, (0, 0, 64, 128))
    mask.save(machine.root / "mask.png")
    (picture,) = machine.made("--init", "init.png", "--mask", "mask.png", "--strength", "0.9", "--seed", "1")[
        "pictures"
    ]
    kept, painted = (64, 0, 128, 128), (0, 0, 64, 128)
    assert same(pixels(picture).crop(kept), init.crop(kept))
    assert not same(pixels(picture).crop(painted), init.crop(painted))


def test_damaged_weights_are_one_sentence_and_cost_nothing(tmp_path: Path, base: Path) -> None:
    models = tmp_path / "models"
    shutil.copytree(base, models / "starter")
    for file in (models / "starter" / "unet").glob("*.safetensors"):
        file.write_bytes(file.read_bytes()[:1000])
    machine = Machine(tmp_path, models)
    done = machine("generate", "x", "--size", "128x128", "--steps", "2", "--out", "out")
    assert done.returncode == 1
    body = json.loads(done.stdout)
    assert body["field"] == "base"
    assert "cannot be loaded" in body["error"]
    assert "\n" not in body["error"]
    assert body["charged"] == {"playground": 0}
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
    assert json.loads(machine("credits", "show").stdout)["playground"] == {"posted": 0, "held": 0, "available": 0}


def test_a_base_that_is_not_here_is_told_at_once(tmp_path: Path) -> None:
    machine = Machine(tmp_path, tmp_path / "models")
    done = machine("generate", "x", "--base", "sdxl", "--out", "out")
    assert done.returncode == 1
    assert "models fetch sdxl" in json.loads(done.stdout)["error"]
    assert not (tmp_path / "out").exists()


def test_doctor_looks_at_everything(machine: Machine) -> None:
    machine("jobs", "list")
    done = machine("doctor")
    findings = {finding["name"]: finding for finding in json.loads(done.stdout)["findings"]}
    names = ("python", "sqlite", "data", "database", "credits", "models", "bases", "styles", "weights", "device")
    names = (*names, "attention")
    assert tuple(findings) == names
    assert done.returncode == 0, done.stdout
    assert "starter" in findings["bases"]["said"]
    assert "sdpa" in findings["attention"]["said"].partition("working here")[2]
    assert "cpu" in findings["device"]["said"]
    assert findings["weights"]["state"] in ("well", "warning")
