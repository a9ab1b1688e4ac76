"""Muon for matrices and kernels, AdamW for the rest, over fp32 copies of bf16 weights.

Muon steps along the nearest orthogonal matrix to the momentum, found by five Newton-Schulz iterations (Jordan et al.,
2024, https://kellerjordan.github.io/posts/muon/). On these small networks it needs about a third of AdamW's pictures.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

# Without AMX a CPU takes many times as long for bf16 as for fp32.
FAST = torch.bfloat16 if torch.cpu.get_capabilities().get("amx_bf16") else torch.float32
_SCHULZ = (3.4445, -4.7750, 2.0315)  # quintic coefficients of the post above


def _orthogonal(matrices: Tensor) -> Tensor:
    a, b, c = _SCHULZ
    x = matrices.to(FAST)
    tall = x.size(1) > x.size(2)
    x = x.mT if tall else x
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if tall else x).float()


class Muon(torch.optim.Optimizer):
    """Muon for parameters of two and more dimensions (kernels are flattened to out x in*h*w).

    Parameters of one shape are stepped as one batch: a network has few shapes and many kernels of each.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float, momentum: float = 0.95) -> None:
        by_shape: dict[torch.Size, list[Tensor]] = {}
        for parameter in parameters:
            by_shape.setdefault(parameter.shape, []).append(parameter)
        super().__init__([{"params": same} for same in by_shape.values()], {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """One step; the update has the root mean square of AdamW's (0.2 lr), so that one rate serves both."""
        for group in self.param_groups:
            parameters = group["params"]
            gradients = torch.stack([parameter.grad for parameter in parameters])
            state = self.state[parameters[0]]
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(gradients)
            state["momentum"].lerp_(gradients, 1 - group["momentum"])
            update = _orthogonal(gradients.lerp(state["momentum"], group["momentum"]).flatten(2))
            scale = 0.2 * max(update.shape[1:]) ** 0.5
            torch._foreach_add_(parameters, list(update.view_as(gradients).unbind()), alpha=-group["lr"] * scale)


class MasterWeights:
    """fp32 weights, their optimizers and their running average, behind a module whose own weights are bf16.

    The module runs in bf16 throughout, which spares the casts of autocast; steps and averages are taken in fp32.
    """

    def __init__(
        self, module: nn.Module, lr: float, *, average: float, embeddings: Sequence[nn.Parameter] = ()
    ) -> None:
        self._working = list(module.parameters())
        self._average = average
        self.master = [p.detach().float().clone() for p in self._working]
        self.averaged = [p.clone() for p in self.master]
        table = {id(p) for p in embeddings}
        is_matrix = [p.dim() >= 2 and id(p) not in table for p in self._working]
        matrices = [m for m, matrix in zip(self.master, is_matrix, strict=True) if matrix]
        others = [m for m, matrix in zip(self.master, is_matrix, strict=True) if not matrix]
        self._lr = lr
        self._optimizers: list[torch.optim.Optimizer] = [
            Muon(matrices, lr),
            torch.optim.AdamW(others, lr, betas=(0.9, 0.95), weight_decay=0.0, foreach=True),
        ]
        self.steps = 0

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """One step at `rate` times the learning rate, from the gradients that the module's weights hold."""
        for master, working in zip(self.master, self._working, strict=True):
            master.grad = torch.zeros_like(master) if working.grad is None else working.grad.float()
            working.grad = None
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self._lr * rate
            optimizer.step()
        self.steps += 1
        # The average starts as a plain mean, so that it is worth something from the first steps on.
        keep = min(self._average, self.steps / (self.steps + 10))
        torch._foreach_lerp_(self.averaged, self.master, 1 - keep)
        torch._foreach_copy_(self._working, self.master)

    def gradients(self) -> list[Tensor]:
        """The module's gradients as they stand, for averaging over processes before the step."""
        return [p.grad for p in self._working if p.grad is not None]

    @torch.no_grad()
    def load_average_into(self, module: nn.Module) -> None:
        """Copies the averaged weights into `module`, whatever its dtype."""
        for parameter, averaged in zip(module.parameters(), self.averaged, strict=True):
            parameter.copy_(averaged)

    def state(self) -> dict[str, Any]:
        """Everything that a later run needs to go on."""
        return {
            "steps": self.steps,
            "master": self.master,
            "averaged": self.averaged,
            "optimizers": [optimizer.state_dict() for optimizer in self._optimizers],
        }

    @torch.no_grad()
    def resume(self, state: dict[str, Any]) -> None:
        """Goes on from `state()` of an earlier run."""
        self.steps = state["steps"]
        for mine, theirs in zip(self.master, state["master"], strict=True):
            mine.copy_(theirs)
        for mine, theirs in zip(self.averaged, state["averaged"], strict=True):
            mine.copy_(theirs)
        for optimizer, saved in zip(self._optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        for working, master in zip(self._working, self.master, strict=True):
            working.copy_(master)
