"""fp32 copies of the weights that are trained, with AdamW and a running average over them.

The networks compute in their own narrow dtype throughout, which spares the casts of autocast; steps too small for that
dtype add up in the copies.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from typing import Any

import torch
from torch import nn

from studio.domain import BrokenWeights

BETAS = (0.9, 0.99)
AVERAGED = 0.98  # share of the average that a step keeps: it spans the last fifty


Groups = list[dict[str, Any]]


def adamw(groups: Groups) -> torch.optim.Optimizer:
    """Plain AdamW, all weights in one go."""
    return torch.optim.AdamW(groups, betas=BETAS, weight_decay=0.01, foreach=True)


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
    """The copies behind the weights of some trainees, in the same order."""

    def __init__(
        self, trainees: Sequence[Trainee], optimizer: Callable[[Groups], torch.optim.Optimizer] = adamw
    ) -> None:
        self._working: list[torch.Tensor] = [one for trainee in trainees for one in trainee.parameters]
        self._masters = [one.detach().float().clone() for one in self._working]
        self._averages = [one.clone() for one in self._masters]
        self._rates = [trainee.rate for trainee in trainees]
        masters = iter(self._masters)
        self._optimizer = optimizer(
            [{"params": list(islice(masters, len(trainee.parameters))), "lr": trainee.rate} for trainee in trainees]
        )
        self.steps = 0

    @torch.no_grad()
    def step(self, share: float, *, most_norm: float = 1.0) -> None:
        """One step at that share of the learning rates, from the gradients that the weights hold and then let go.

        Gradients longer than `most_norm` in all are shortened to it.
        """
        for master, working in zip(self._masters, self._working, strict=True):
            master.grad = torch.zeros_like(master) if working.grad is None else working.grad.float()
            working.grad = None
        nn.utils.clip_grad_norm_(self._masters, most_norm, foreach=True)
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * share
        self._optimizer.step()
        self.steps += 1
        # The average begins as a plain mean, so that it is worth something from the first steps on.
        kept = min(AVERAGED, self.steps / (self.steps + 5))
        torch._foreach_lerp_(self._averages, self._masters, 1 - kept)  # pyright: ignore[reportPrivateImportUsage]
        torch._foreach_copy_(self._working, self._masters)  # pyright: ignore[reportPrivateImportUsage]

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """While entered, the parameters have the averaged weights."""
        with torch.no_grad():
            torch._foreach_copy_(self._working, self._averages)  # pyright: ignore[reportPrivateImportUsage]
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(self._working, self._masters)  # pyright: ignore[reportPrivateImportUsage]

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
        torch._foreach_copy_(self._working, self._masters)  # pyright: ignore[reportPrivateImportUsage]
