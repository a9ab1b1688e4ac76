"""The loop that trains every part of the starter: resumable, seeded, one thread a process, gradients averaged.

Small kernels leave threads waiting for each other; one process a core with averaged gradients does not wait.
"""

import json
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from tqdm import tqdm

from starter.optimizer import MasterWeights

Shape = tuple[int, int]
SAVE_EVERY = 120.0  # seconds


@dataclass(frozen=True, kw_only=True)
class Run:
    """How long and from which seed to train; `rank` of `processes` is this process's share of each batch."""

    steps: int
    seed: int
    rank: int = 0
    processes: int = 1


def rate(step: int, steps: int, warm_up: int = 50) -> float:
    """Learning rate as a share of its height: a short rise, then half a cosine down to a hundredth."""
    if step < warm_up:
        return (step + 1) / warm_up
    done = (step - warm_up) / max(1, steps - warm_up)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def batch_at(step: int, counts: Mapping[Shape, int], size: int, plan: Run) -> tuple[Shape, np.ndarray]:
    """The pictures of one step for this process: the same after a restart, different in each process."""
    shared = np.random.default_rng((plan.seed, step))
    shapes = list(counts)
    shares = np.array([counts[shape] for shape in shapes], float)
    shape = shapes[shared.choice(len(shapes), p=shares / shares.sum())]
    rows = shared.choice(counts[shape], size, replace=False)
    return shape, np.sort(rows[plan.rank :: plan.processes])


def _save(path: Path, weights: MasterWeights) -> None:
    unfinished = path.with_suffix(".part")
    torch.save(weights.state(), unfinished)
    os.replace(unfinished, path)  # noqa: PTH105 - Path.replace is the same; os says "atomic" to the reader


def run(
    state: Path,
    plan: Run,
    weights: MasterWeights,
    counts: Mapping[Shape, int],
    batch: int,
    loss: Callable[[Shape, np.ndarray, int], Tensor],
    judge: Callable[[], str],
) -> None:
    """Trains until `plan.steps` are done, going on from `state` if it exists; progress and figures on the way."""
    # 1. Go on where an earlier run stopped.
    if state.exists():
        weights.resume(torch.load(state, weights_only=True))
    log = state.with_suffix(".jsonl")
    bar = tqdm(total=plan.steps, initial=weights.steps, desc=state.stem, disable=plan.rank > 0, mininterval=5)
    saved = time.monotonic()
    average = 0.0
    # 2. Steps: each seeded by its own number, so that a restart repeats nothing and skips nothing.
    while weights.steps < plan.steps:
        step = weights.steps
        torch.manual_seed(hash((plan.seed, step, plan.rank)) % 2**31)
        value = loss(*batch_at(step, counts, batch, plan), step)
        value.backward()
        if plan.processes > 1:
            for gradient in weights.gradients():
                dist.all_reduce(gradient)
                gradient.div_(plan.processes)
        weights.step(rate(step, plan.steps))
        average = value.item() if not average else 0.98 * average + 0.02 * value.item()
        bar.update()
        bar.set_postfix_str(f"loss {average:.4f}", refresh=False)
        if not np.isfinite(average):
            raise SystemExit(
                f"{state.stem}: the loss is {average} at step {step}; nothing was saved since the last state."
            )
        # 3. Save and judge now and then; the last state always.
        if plan.rank == 0 and (time.monotonic() - saved > SAVE_EVERY or weights.steps == plan.steps):
            saved = time.monotonic()
            _save(state, weights)
            figures = judge()
            bar.write(f"{state.stem} step {weights.steps}: loss {average:.4f}, {figures}")
            with log.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps({"step": weights.steps, "loss": average, "figures": figures}) + "\n")
    bar.close()
