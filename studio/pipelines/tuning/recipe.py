"""What of a training differs by family. The loop knows nothing else of one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy
import torch
from torch import nn


@dataclass(frozen=True, kw_only=True)
class Photo:
    """A picture to learn from, in the shape it is trained in (uint8, H x W x 3), and the words that go with it."""

    pixels: numpy.ndarray
    prompt: str


Example = Mapping[str, torch.Tensor]
"""A photo as the networks take it, without a first dimension for the batch. Examples of one shape can be stacked."""


@dataclass(frozen=True, kw_only=True)
class Lot:
    """What is drawn for one example of a step: how far it is noised (0..1, spread evenly over the step's examples) and
    by what. Each example has its own, so that it learns the same in any company."""

    time: float
    seed: int

    def noise(self, *shape: int) -> torch.Tensor:
        """Normal noise of that shape, on the CPU."""
        return torch.randn(shape, generator=torch.Generator().manual_seed(self.seed))


class TuneRecipe(Protocol):
    """How a family is trained. Made with a pipeline of its own, into whose networks it has put the LoRA."""

    parts: Mapping[str, nn.Module]
    """The networks that are trained, by their names in the pipeline."""

    def encode(self, photos: Sequence[Photo]) -> list[Example]:
        """Everything about photos of one shape that no step changes: latents and, where it stays, the prompt's."""
        ...

    def loss(self, examples: Sequence[Example], lots: Sequence[Lot]) -> torch.Tensor:
        """The loss of each of some examples of one shape, noised by their lots."""
        ...

    def save(self, folder: Path) -> Path:
        """Writes the LoRA into the folder, as diffusers reads it, and returns the file."""
        ...
