"""What a training will take, and how it is cut to what is free, before anything is started. Pure."""

from dataclasses import dataclass

from studio.domain import OutOfMemory
from studio.pipelines.families import Training

GIB = 1 << 30
ADAMW, ADAMW_EIGHT_BIT = 22, 16  # bytes a trained weight: itself and its gradient, master, average, two moments
ROOM = 1.1  # for what allocators waste and libraries keep for themselves
SPARE = GIB // 2


@dataclass(frozen=True, kw_only=True)
class MemoryPlan:
    """How a training is cut: so many examples at once (the gradients of a batch are added up), recomputing what is
    between the blocks or not, AdamW in eight bits or not. `need` is about what it takes, in bytes."""

    at_once: int
    checkpointing: bool
    eight_bit: bool
    need: int


@dataclass(frozen=True, kw_only=True)
class Load:
    """What there is to hold, in bytes: the whole base while it is loaded (`base`), its denoiser and whatever else
    stays on the device (`staying`), the number of trained weights, and the pixels of the largest example."""

    base: int
    staying: int
    weights: int
    pixels: int
    wide: bool
    """Whether the device computes in four-byte numbers."""


def plan(
    training: Training, load: Load, *, free: int, free_ram: int, own_memory: bool, eight_bit: bool, figures: str
) -> MemoryPlan:
    """The fastest way to train that fits into `free` bytes of the device.

    `own_memory` says that the device's memory is not the machine's, through which a base goes on its way there.
    Raises OutOfMemory with the figures where not even the smallest way fits.
    """
    if own_memory and load.base * ROOM > free_ram:
        raise OutOfMemory(
            f"Loading the base takes about {load.base * ROOM / GIB:.1f} GB of the machine's memory; "
            f"{free_ram / GIB:.1f} GB are free. Close other programs, or choose a smaller base.",
            field="base",
        )
    whole = training.batch + training.class_batch + training.lesson_batch
    ways = [(whole, False, False)]
    ways += [(count, True, False) for count in _halves(whole)]
    ways += [(1, True, True)] if eight_bit else []
    needs = [(way, _need(training, load, *way)) for way in ways]
    for (at_once, checkpointing, small), need in needs:
        if need <= free:
            return MemoryPlan(at_once=at_once, checkpointing=checkpointing, eight_bit=small, need=need)
    least = min(need for _, need in needs)
    raise OutOfMemory(
        f"Training on this base takes about {least / GIB:.1f} GB even at its smallest; {figures}. "
        "Close other programs that use it, or choose a smaller base.",
        field="base",
    )


def _halves(count: int) -> list[int]:
    found = [count]
    while found[-1] > 1:
        found.append(found[-1] // 2)
    return found


def _need(training: Training, load: Load, at_once: int, checkpointing: bool, eight_bit: bool) -> int:
    kept = training.bytes_a_pixel[checkpointing] * load.pixels * at_once * (2 if load.wide else 1)
    weights = load.weights * (ADAMW_EIGHT_BIT if eight_bit else ADAMW)
    return int((max(load.staying + weights + kept, load.base)) * ROOM) + SPARE
