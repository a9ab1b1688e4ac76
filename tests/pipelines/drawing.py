"""Running the text-to-image runner in tests: tiny bases, and a row's native size made as small as they are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy
from PIL import Image

from studio.domain import Drawn, ImageRequest, Progress, Task
from studio.pipelines.bases import Base, Bases
from studio.pipelines.device import Device
from studio.pipelines.text2image import Text2Image
from studio.pipelines.weights import Catalogue
from studio.settings import Settings

PROMPT = "portrait of a smiling woman with long red hair"


class TinyBases(Bases):
    """The bases of one folder; what is native to a row is what is native to a tiny network."""

    def find(self, name: str) -> Base:
        base = super().find(name)
        return replace(base, family=replace(base.family, native=min(base.family.native, 128)))


@dataclass
class Easel:
    """A runner with a place to draw; remembers what was reported."""

    runner: Text2Image
    folder: Path
    progress: list[Progress] = field(default_factory=list)

    def draw(
        self,
        *,
        done: frozenset[int] = frozenset(),
        inputs: Mapping[str, Path] | None = None,
        cancelled: Callable[[], bool] = lambda: False,
        lora: Path | None = None,
        **asked: Any,
    ) -> list[Drawn]:
        request = ImageRequest(**{"prompt": PROMPT, "seed": 7, "steps": 2, "width": 128, "height": 128} | asked)
        task = Task(job_id="job", request=request, folder=self.folder, done=done, inputs=inputs or {}, tune=lora)
        return list(self.runner(task, self.progress.append, cancelled))

    def pixels(self, **asked: Any) -> dict[int, numpy.ndarray]:
        """Each picture's bytes by index."""
        return {one.index: pixels(one.file) for one in self.draw(**asked)}

    @property
    def warnings(self) -> list[str]:
        return [one.warning for one in self.progress if one.warning]


def easel(models: Path, folder: Path, **settings: Any) -> Easel:
    bases = TinyBases((models,), folder / "no-cache", Catalogue.read())
    values: dict[str, Any] = {"device": "cpu", "precision": "fp32"} | settings
    device = Device(Settings(data=folder, models=models, **values))
    return Easel(runner=Text2Image(device, bases), folder=folder)


def pixels(path: Path) -> numpy.ndarray:
    with Image.open(path) as image:
        return numpy.asarray(image.convert("RGB"))
