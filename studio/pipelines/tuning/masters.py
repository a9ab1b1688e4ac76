"""fp32 copies of the weights that are trained, with AdamW and a running average over them.

The networks compute in their own narrow dtype throughout, which spares the casts of autocast; steps too small for that
dtype add up in the copies.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from torch import nn

from studio.domain import BrokenWeights

BETAS = (0.9, 0.99)
AVERAGED = 0.98  # share of the average that a step keeps: it spans the last fifty


Groups = list[dict[str, Any]]


def adamw(groups: Groups) -> torch.optim.Optimizer:
    """Plain AdamW, in one pass over the weights."""
    return torch.optim.AdamW(groups, betas=BETAS, weight_decay=0.01, fused=True)


def adamw_in_eight_bits(groups: Groups) -> torch.optim.Optimizer:
    """AdamW with a quarter of the memory, where bitsandbytes is installed."""
    # Optional: few machines have it or need it.
    return import_module("bitsandbytes.optim").AdamW8bit(groups, betas=BETAS, weight_decay=0.01)


@dataclass(frozen=True, kw_only=True)
class Trainee:
    """Weights that are trained at one learning rate."""

    parameters: Sequence[nn.Parameter]
    rate: float


class Masters:
    """The copies behind the weights of some trainees.

    All weights of a trainee lie in one stretch of memory, and so do their gradients, copies and averages: a step is a
    handful of calls however many layers there are.
    """

    def __init__(
        self, trainees: Sequence[Trainee], optimizer: Callable[[Groups], torch.optim.Optimizer] = adamw
    ) -> None:
        self._rates = [trainee.rate for trainee in trainees]
        self._working = [_in_one_stretch(trainee.parameters) for trainee in trainees]
        self._masters = [one.float().clone() for one in self._working]
        self._averages = [one.clone() for one in self._masters]
        self._gradients = [torch.zeros_like(one) for one in self._working]
        for trainee, gradient in zip(trainees, self._gradients, strict=True):
            for parameter, part in zip(trainee.parameters, _parts(gradient, trainee.parameters), strict=True):
                parameter.grad = part
        self._optimizer = optimizer(
            [{"params": [master], "lr": rate} for master, rate in zip(self._masters, self._rates, strict=True)]
        )
        self.steps = 0

    @torch.no_grad()
    def step(self, share: float, *, most_norm: float = 1.0) -> None:
        """One step at that share of the learning rates, from the gradients that the weights hold and then let go.

        Gradients longer than `most_norm` in all are shortened to it.
        """
        for master, gradient in zip(self._masters, self._gradients, strict=True):
            master.grad = gradient.float()
        nn.utils.clip_grad_norm_(self._masters, most_norm)
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * share
        self._optimizer.step()
        self.steps += 1
        # The average begins as a plain mean, so that it is worth something from the first steps on.
        kept = min(AVERAGED, self.steps / (self.steps + 5))
        for master, average in zip(self._masters, self._averages, strict=True):
            average.lerp_(master, 1 - kept)
        self.forget()
        self._set(self._masters)

    def forget(self) -> None:
        """Lets go of gradients that no step is to be taken by."""
        for gradient in self._gradients:
            gradient.zero_()

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """While entered, the parameters have the averaged weights."""
        self._set(self._averages)
        try:
            yield
        finally:
            self._set(self._masters)

    @torch.no_grad()
    def _set(self, weights: Sequence[torch.Tensor]) -> None:
        for working, wanted in zip(self._working, weights, strict=True):
            working.copy_(wanted)

    def state(self) -> dict[str, torch.Tensor]:
        """Everything that a later run needs to go on, as plain tensors."""
        tensors = {f"master.{row}": one for row, one in enumerate(self._masters)}
        tensors |= {f"average.{row}": one for row, one in enumerate(self._averages)}
        tensors["steps"] = torch.tensor(self.steps)
        for row, values in self._optimizer.state_dict()["state"].items():
            for name, value in values.items():
                tensors[f"optimizer.{row}.{name}"] = torch.as_tensor(value)
        return tensors

    @torch.no_grad()
    def resume(self, state: Mapping[str, torch.Tensor]) -> None:
        """Goes on from the `state()` of an earlier run. Raises BrokenWeights where it belongs to other weights."""
        shapes = {f"master.{row}": one.shape for row, one in enumerate(self._masters)}
        if any(name not in state or state[name].shape != shape for name, shape in shapes.items()):
            raise BrokenWeights("The checkpoint of this training belongs to other weights.")
        for row, (master, average) in enumerate(zip(self._masters, self._averages, strict=True)):
            master.copy_(state[f"master.{row}"])
            average.copy_(state[f"average.{row}"])
        self.steps = int(state["steps"])
        rows: dict[int, dict[str, Any]] = {}
        for name, value in state.items():
            kind, _, rest = name.partition(".")
            if kind == "optimizer":
                row, _, key = rest.partition(".")
                rows.setdefault(int(row), {})[key] = value
        self._optimizer.load_state_dict(self._optimizer.state_dict() | {"state": rows})
        self._set(self._masters)


@torch.no_grad()
def _in_one_stretch(parameters: Sequence[nn.Parameter]) -> torch.Tensor:
    """The weights one after the other in memory of their own, where the parameters find them from now on."""
    stretch = torch.cat([one.detach().flatten() for one in parameters])
    for parameter, part in zip(parameters, _parts(stretch, parameters), strict=True):
        parameter.data = part
    return stretch


def _parts(stretch: torch.Tensor, parameters: Sequence[nn.Parameter]) -> list[torch.Tensor]:
    """The stretch as the shapes of the parameters."""
    pieces = stretch.split([one.numel() for one in parameters])
    return [piece.view_as(one) for piece, one in zip(pieces, parameters, strict=True)]
