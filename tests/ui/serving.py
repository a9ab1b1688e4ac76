"""A page in a process of its own that draws with the artist and works on pictures with the touch-up:
`python -m tests.ui.serving DATA PAUSE`."""

import json
import os
import sys
import time
from importlib import import_module
from pathlib import Path

from studio.pipelines.weights import Catalogue
from studio.service import Studio
from studio.settings import Settings
from studio.workshop import KINDS
from tests.test_workshop import WEIGHTS, a_file
from tests.touch_up import TouchUp
from tests.ui.apprentice import Apprentice
from tests.ui.artist import Artist


def a_base(models: Path) -> None:
    """A folder that is told for the starter model by its index; its weights are not looked at."""
    (models / "starter").mkdir(parents=True, exist_ok=True)
    index = {"_class_name": "StableDiffusionPipeline"}
    (models / "starter" / "model_index.json").write_text(json.dumps(index), encoding="utf-8")


def tool_weights(models: Path) -> None:
    """Files in the place of the tools' weights, as long as those are; nobody looks into them."""
    for name in WEIGHTS:
        weight = Catalogue.read().weight(name)
        a_file(models / weight.file, weight.bytes)


def say(text: str) -> None:
    print(text, flush=True)


def main(data: Path, pause: float) -> None:
    a_base(data.parent / "models")
    tool_weights(data.parent / "models")
    settings = Settings(
        data=data, models=data.parent / "models", port=int(os.environ.get("STUDIO_PORT", "0")), upload_mb=2
    )
    touch_up = TouchUp(before=lambda photo: time.sleep(pause))
    runners = {"image": Artist(pause=pause), "tune": Apprentice(pause=5 * pause), **dict.fromkeys(KINDS, touch_up)}
    studio = Studio.open(settings, {"HF_HUB_CACHE": str(data.parent / "hub")}, runners=runners)
    os.environ.update(import_module("studio.ui.access").gradio_environment(settings))
    try:
        import_module("studio.ui.serve").serve(studio, say)
    finally:
        studio.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
