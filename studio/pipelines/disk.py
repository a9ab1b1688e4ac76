"""Writes into the models folder: what the disk says becomes one sentence, and its room is looked at before."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from studio.domain import StorageFailed

SPARE = 64 << 20  # bytes left free on the disk
FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))  # Windows knows no quota


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns the system's errors inside into StorageFailed; a full disk is given back what `path` took of it."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            path.unlink(missing_ok=True)
            raise StorageFailed(f"The disk that holds {path.parent} is full.", field="models") from error
        words = os.strerror(error.errno or 0)
        raise StorageFailed(f"{path} cannot be written: {words}.", field="models") from error


@contextmanager
def opened_to_write(path: Path, mode: Literal["wb", "ab"]) -> Iterator[Callable[[bytes], None]]:
    """A `write(block)` whose errors, and only whose, are StorageFailed: the network's are told apart from them."""
    with writing(path):
        file = path.open(mode)

    def write(block: bytes) -> None:
        with writing(path):
            file.write(block)

    try:
        yield write
    finally:
        with writing(path):
            file.close()


def check_space(folder: Path, needed: int, what: str) -> None:
    """Raises StorageFailed, with figures, where the disk has not `needed` bytes (and some to spare) left."""
    free = shutil.disk_usage(folder).free
    if free < needed + SPARE:
        raise StorageFailed(
            f"{what} needs {megabytes(needed + SPARE)} of disk space in {folder}; {megabytes(free)} are free.",
            field="models",
        )


def megabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{max(count / 1e6, 0.1):.1f} MB"
