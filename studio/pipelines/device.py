"""The one device: its precision, what is kept warm on it within a memory budget, and what a full memory looks like."""

import gc
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import psutil
import torch

from studio.domain import Refused
from studio.pipelines.steady import steady
from studio.settings import Settings

T = TypeVar("T")
GIB = 1 << 30
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


@dataclass(frozen=True, kw_only=True)
class Precision:
    """The dtypes a base is loaded in: of its networks, and of its autoencoder and the latents between steps."""

    networks: torch.dtype
    latents: torch.dtype

    def __str__(self) -> str:
        return str(self.networks).removeprefix("torch.")


@dataclass(frozen=True, kw_only=True)
class Held:
    value: Any
    bytes: int


class Device:
    """A torch device with what is warm on it. Not for use by two threads at once."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.torch = torch.device(_choose(settings.device))
        self.precision = _precision(self.torch.type, settings.precision)
        self._held: OrderedDict[str, Held] = OrderedDict()

    def held(self, key: str, size: int, make: Callable[[], T]) -> T:
        """What `make` gives, kept warm under `key`; `size` is about what it takes in bytes.

        What was longest unused is let go until it fits the budget.
        """
        if key not in self._held:
            while self._held and sum(one.bytes for one in self._held.values()) + size > self.budget:
                self.unload(next(iter(self._held)))
            self._held[key] = Held(value=make(), bytes=size)
        self._held.move_to_end(key)
        return self._held[key].value

    def is_warm(self, key: str) -> bool:
        return key in self._held

    def unload(self, key: str | None = None) -> None:
        """Lets go of what is kept under `key`, or of everything, and gives the memory back."""
        for name in [key] if key is not None else list(self._held):
            self._held.pop(name, None)
        gc.collect()
        self.empty_cache()

    def forget(self, beginning: str) -> None:
        """Lets go of everything whose key begins so."""
        for name in [key for key in self._held if key.startswith(beginning)]:
            self.unload(name)

    def empty_cache(self) -> None:
        if self.torch.type == "cuda":
            torch.cuda.empty_cache()
        elif self.torch.type == "mps":
            torch.mps.empty_cache()

    @property
    def budget(self) -> int:
        """How many bytes may be kept warm: the setting, or most of the device (of a CPU's memory half)."""
        if self.settings.memory_gb is not None:
            return int(self.settings.memory_gb * GIB)
        return int(self.memory()[1] * (0.5 if self.torch.type == "cpu" else 0.85))

    def memory(self) -> tuple[int, int]:
        """Free and all bytes of the device's memory."""
        if self.torch.type == "cuda":
            return torch.cuda.mem_get_info(self.torch)
        memory = psutil.virtual_memory()
        if self.torch.type == "mps":
            most = int(torch.mps.recommended_max_memory())
            return max(most - int(torch.mps.current_allocated_memory()), 0), most
        return memory.available, memory.total

    def machine_memory(self) -> int:
        """Free bytes of the machine's own memory."""
        return psutil.virtual_memory().available

    def figures(self) -> str:
        """The memory in words, for a message."""
        free, total = self.memory()
        return f"{self.torch.type} has {total / GIB:.1f} GB, {free / GIB:.1f} GB of it free"

    def steady(self, network: torch.nn.Module) -> None:
        """Has a network on the CPU treat every picture of a batch alike. Elsewhere the last decimal may differ.

        Again after layers were added to it, such as a tune's.
        """
        if self.torch.type == "cpu":
            steady(network)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this is a device saying that its memory is full; each says it another way."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    words = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in words or "can't allocate memory" in words)


def _choose(asked: str) -> str:
    """`cuda`, `mps` or `cpu`. Raises Refused where the one asked for is not there."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    found = [name for name, here in there.items() if here]
    if asked == "auto":
        return found[0]
    if asked not in found:
        raise Refused(f"device is {asked}, which PyTorch finds none of here.", field="device", allowed=", ".join(found))
    return asked


def _precision(kind: str, asked: str) -> Precision:
    """bf16 where the device computes in it, else fp16, on the CPU fp32; there the latents stay fp32 in any case.

    On the CPU only AMX makes bf16 faster. The choice hangs on the processor alone and is not measured at start: the
    same seed must give the same pixels the next day.
    """
    if kind == "cpu":
        amx = bool(torch.cpu.get_capabilities().get("amx_bf16"))
        networks = (torch.bfloat16 if amx else torch.float32) if asked == "auto" else DTYPES[asked]
        return Precision(networks=networks, latents=torch.float32)
    if asked == "auto":
        if kind == "cuda":
            has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        else:
            has_bf16 = torch.backends.mps.is_macos_or_newer(14, 0)
        asked = "bf16" if has_bf16 else "fp16"
    return Precision(networks=DTYPES[asked], latents=DTYPES[asked])
