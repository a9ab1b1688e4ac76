"""What of a training differs by family. The loop knows nothing else of one."""

from collections.abc import Iterator, Mapping, Sequence
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


ANSWER = "answer"
Example = Mapping[str, torch.Tensor]
"""A photo as the networks take it, without a first dimension for the batch. Examples of one shape can be stacked. One
with an `ANSWER` is not to say what is right, but that."""


@dataclass(frozen=True, kw_only=True)
class Lot:
    """What is drawn for one example: how far it is noised (0..1, evenly among those that are drawn together) and by
    what. Each example has its own, so that it learns the same in any company."""

    time: float
    seed: int

    def noise(self, *shape: int) -> torch.Tensor:
        """Normal noise of that shape, on the CPU."""
        return torch.randn(shape, generator=torch.Generator().manual_seed(self.seed))


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What the network says of some examples, what is right (both N x C x H x W), and how much each counts (N)."""

    said: torch.Tensor
    right: torch.Tensor
    weight: torch.Tensor


class TuneRecipe(Protocol):
    """How a family is trained. Made with a pipeline of its own, into whose networks it has put the LoRA."""

    parts: Mapping[str, nn.Module]
    """The networks that are trained, by their names in the pipeline."""

    def encode(self, photos: Sequence[Photo]) -> list[Example]:
        """Everything about photos of one shape that no step changes: latents and, where it stays, the prompt's."""
        ...

    def retold(self, example: Example, prompt: str) -> Example:
        """The same photo with another prompt."""
        ...

    def compare(self, examples: Sequence[Example], lots: Sequence[Lot]) -> Compared:
        """What the network says of some examples of one shape, noised by their lots, and what is right."""
        ...

    def save(self, folder: Path) -> Path:
        """Writes the LoRA into the folder, as diffusers reads it, and returns the file."""
        ...


def loss(recipe: TuneRecipe, examples: Sequence[Example], lots: Sequence[Lot]) -> torch.Tensor:
    """The weighted mean square error for each of some examples of one shape. An answer that is known is free of the
    noise that the weights are for, and counts in full."""
    compared = recipe.compare(examples, lots)
    right, weight = compared.right.clone(), compared.weight.clone()
    for row, example in enumerate(examples):
        if ANSWER in example:
            right[row], weight[row] = example[ANSWER].to(right.device), 1.0
    return (compared.said.float() - right).square().mean(dim=(1, 2, 3)) * weight


def groups(
    examples: Sequence[Example], lots: Sequence[Lot], at_once: int
) -> Iterator[tuple[Sequence[Example], Sequence[Lot]]]:
    """The examples with their lots in groups of one shape, of so many at most."""
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for row, example in enumerate(examples):
        latents = next(iter(example.values()))
        by_shape.setdefault(tuple(latents.shape), []).append(row)
    for rows in by_shape.values():
        for start in range(0, len(rows), at_once):
            some = rows[start : start + at_once]
            yield [examples[row] for row in some], [lots[row] for row in some]
