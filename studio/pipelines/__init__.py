"""The door to the pipelines: which module runs which kind of job. Importing it imports no torch.

`Runners` imports a kind's module when its first job comes and keeps one device, with what is warm on it, per process.
"""

import os
from collections.abc import Iterator, Mapping
from typing import Any

from studio.domain import Runner
from studio.importing import imported
from studio.pipelines.bases import Bases
from studio.settings import Settings

RUNNERS: Mapping[str, str] = {
    "image": "studio.pipelines.text2image:Text2Image",
    "upscale": "studio.pipelines.upscale:Upscale",
    "face": "studio.pipelines.face:FaceEnhance",
    "background": "studio.pipelines.background:Background",
    "tune": "studio.pipelines.tuning.train:Train",
    "export": "studio.pipelines.export.exporter:Exporter",
}
"""Of each kind of job the `module:factory`; a factory is called with the device and the bases and gives the runner."""


class Runners(Mapping[str, Runner]):
    """The runners by kind, made on first use."""

    def __init__(self, settings: Settings, bases: Bases | None = None) -> None:
        self.settings = settings
        self.bases = bases or Bases.of(settings, os.environ)
        self._device: Any = None  # a Device; not named here, since naming it would import torch
        self._made: dict[str, Runner] = {}

    def __getitem__(self, kind: str) -> Runner:
        if kind not in self._made:
            module, _, factory = RUNNERS[kind].partition(":")
            self._made[kind] = getattr(imported(module), factory)(self.device, self.bases)
        return self._made[kind]

    def __contains__(self, kind: object) -> bool:
        return kind in RUNNERS

    def __iter__(self) -> Iterator[str]:
        return iter(RUNNERS)

    def __len__(self) -> int:
        return len(RUNNERS)

    @property
    def device(self) -> Any:
        """The one `Device` of this process; asking for it imports torch."""
        if self._device is None:
            self._device = imported("studio.pipelines.device").Device(self.settings)
        return self._device

    def forget(self, tune: str) -> None:
        """Lets go of a tune, whatever base it is warm in."""
        if self._device is not None:
            self._device.forget(f"tune:{tune}:")

    def unload(self, key: str | None = None) -> None:
        """Lets go of what is warm under `key` (`base:starter`, say), or of everything."""
        if self._device is not None:
            self._device.unload(key)
