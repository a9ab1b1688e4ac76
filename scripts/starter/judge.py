"""The judge: a small network, trained on drawings alone, that says what a picture shows.

It sees pictures at half their size with noise, blur, shifts and colour casts, so that it marks what a person would see
and not traces of how a picture was made.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from starter.dataset import Drawings
from starter.optimizer import FAST, MasterWeights
from starter.portrait import ATTRIBUTES, Portrait
from starter.training import Run, Shape, run

SIDE = 64
BATCH = 32


class Judge(nn.Module):
    """Pictures (N x 3 x 64 x 64, -1..1) to a score for each class of each attribute."""

    def __init__(self) -> None:
        super().__init__()
        channels = (32, 64, 96, 128, 128)
        layers: list[nn.Module] = [nn.Conv2d(5, channels[0], 3, padding=1), nn.BatchNorm2d(channels[0]), nn.SiLU()]
        for before, after in zip(channels, channels[1:], strict=False):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.BatchNorm2d(after), nn.SiLU()]
            layers += [nn.Conv2d(after, after, 3, padding=1), nn.BatchNorm2d(after), nn.SiLU()]
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.1), nn.Linear(channels[-1] * 16, 256), nn.SiLU())
        self.heads = nn.ModuleDict({name: nn.Linear(256, len(values)) for name, values in ATTRIBUTES.items()})

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        ramp = torch.linspace(-1, 1, SIDE).expand(len(pictures), 1, SIDE, SIDE)
        seen = self.body(torch.cat([pictures, ramp, ramp.transpose(2, 3)], 1))
        return {name: head(seen) for name, head in self.heads.items()}


def prepare(pictures: np.ndarray) -> Tensor:
    """uint8 N x 128 x 128 x 3 to what the judge sees: N x 3 x 64 x 64 in -1..1."""
    whole = torch.from_numpy(np.ascontiguousarray(pictures)).float().div_(127.5).sub_(1).permute(0, 3, 1, 2)
    return nn.functional.interpolate(whole, (SIDE, SIDE), mode="area")


def _disturbed(seen: Tensor) -> Tensor:
    n = len(seen)
    scale = 1 + 0.08 * (2 * torch.rand(n) - 1)
    turn = torch.zeros(n, 2, 3)
    turn[:, 0, 0] = turn[:, 1, 1] = scale
    turn[:, :, 2] = 0.1 * (2 * torch.rand(n, 2) - 1)
    seen = nn.functional.grid_sample(
        seen,
        nn.functional.affine_grid(turn, list(seen.shape), align_corners=False),
        padding_mode="border",
        align_corners=False,
    )
    blurred = nn.functional.avg_pool2d(nn.functional.pad(seen, (1, 1, 1, 1), mode="replicate"), 3, 1)
    seen = torch.lerp(seen, blurred, torch.rand(n, 1, 1, 1))
    return seen + 0.03 * torch.randn(n, 3, 1, 1) + 0.1 * torch.rand(n, 1, 1, 1) * torch.randn_like(seen)


def train(state: Path, drawings: Drawings, plan: Run) -> Judge:
    """Trains the judge on drawings, or goes on; returns it ready to mark."""
    torch.manual_seed(plan.seed)
    judge = Judge()
    classes = {n: torch.tensor([p.classes()[n] for p in drawings.portraits]) for n in ATTRIBUTES}
    weights = MasterWeights(judge, 1e-3, average=0.0)

    def loss(_shape: Shape, rows: np.ndarray, _step: int) -> Tensor:
        judge.train()
        with torch.autocast("cpu", FAST, enabled=FAST is not torch.float32):
            scores = judge(_disturbed(prepare(drawings.pictures[rows])))
        losses = [
            nn.functional.cross_entropy(scores[n].float(), classes[n][rows], ignore_index=-1, label_smoothing=0.02)
            for n in ATTRIBUTES
        ]
        return torch.stack(losses).sum()

    run(state, plan, weights, {drawings.shape: len(drawings.portraits)}, BATCH, loss, str)
    return judge.eval()


@torch.no_grad()
def marks(judge: Judge, pictures: np.ndarray, portraits: list[Portrait], batch: int = 100) -> Mapping[str, float]:
    """The share of pictures (uint8 N x 128 x 128 x 3) right in each attribute, of those whose style can show it."""
    right: dict[str, list[bool]] = {name: [] for name in ATTRIBUTES}
    for start in range(0, len(portraits), batch):
        scores = judge(prepare(pictures[start : start + batch]))
        for row, portrait in enumerate(portraits[start : start + batch]):
            for name, wanted in portrait.classes().items():
                if wanted >= 0:
                    right[name].append(int(scores[name][row].argmax()) == wanted)
    return {name: float(np.mean(hits)) for name, hits in right.items() if hits}
