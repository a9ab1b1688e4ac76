"""The folder a command's pictures go to: tried before anything is charged, and left as it was if nothing comes."""

import filecmp
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from studio.domain import Conflict, ImageRequest, StorageFailed

BYTES_A_PIXEL = 4  # what a picture's file takes at most, its recipe included


class OutFolder:
    """Where pictures go, under names that are known before there are any."""

    def __init__(self, folder: Path, names: Sequence[str], *, overwrite: bool, room: int = 0) -> None:
        """`names` are those of the files that may come, `room` how many bytes they take at most."""
        self.folder = folder.absolute()
        self.names = names
        self.overwrite = overwrite
        self.room = room

    @classmethod
    def of(cls, folder: Path, job_id: str, request: ImageRequest, *, overwrite: bool) -> Self:
        """For pictures from a prompt, called by it."""
        words = re.sub(r"[^a-z0-9]+", "-", request.prompt.lower())[:40].strip("-") or "picture"
        names = [f"{words}-{job_id[:8]}-{number}.png" for number in range(1, request.pictures + 1)]
        doubled = 4 if request.super_resolution else 1
        room = request.pictures * request.width * request.height * doubled * BYTES_A_PIXEL
        return cls(folder, names, overwrite=overwrite, room=room)

    @contextmanager
    def ready(self, *, made_before: bool) -> Iterator[None]:
        """The folder, made where it is missing, for as long as the block runs; gone again if nothing was put there.

        `made_before`: the job is an old one, and what lies there may be what it made.
        Raises StorageFailed and Conflict (a file is there).
        """
        new = [folder for folder in (self.folder, *self.folder.parents) if not folder.exists()]
        try:
            with self._told():
                self.folder.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryFile(dir=self.folder):
                    pass
            self.must_hold(self.room)
            if (taken := self.taken()) and not made_before:
                raise self.there(taken[0])
            yield
        finally:
            with suppress(OSError):  # one that is not empty stays
                for folder in new:
                    folder.rmdir()

    def must_hold(self, room: int) -> None:
        """Raises StorageFailed where so many bytes do not fit."""
        with self._told():
            free = shutil.disk_usage(self.folder).free
        if free < room:
            raise StorageFailed(
                f"The pictures take about {room / 1e6:.0f} MB in {self.folder}; {free / 1e6:.0f} MB are free.",
                field="out",
                allowed="a folder with room for them",
            )

    def taken(self) -> list[str]:
        """Which of the names are of files that are there and must stay."""
        return [] if self.overwrite else [name for name in self.names if (self.folder / name).exists()]

    def take(self, files: Sequence[tuple[int, Path]]) -> list[Path]:
        """Copies the pictures of these indexes and returns where they are. Raises StorageFailed and Conflict."""
        return [self._copy(file, self.folder / self.names[index]) for index, file in files]

    def write(self, index: int, content: bytes) -> Path:
        """Writes a file of that index itself. Raises StorageFailed and Conflict."""
        target = self.folder / self.names[index]
        with self._told():
            if target.exists() and not self.overwrite:
                if target.read_bytes() == content:
                    return target
                raise self.there(target.name)
            self._put(target, lambda part: part.write_bytes(content))
        return target

    def _copy(self, file: Path, target: Path) -> Path:
        with self._told():
            if target.exists() and not self.overwrite:
                if filecmp.cmp(file, target, shallow=False):
                    return target  # the same job asked for again
                raise self.there(target.name)
            self._put(target, lambda part: shutil.copyfile(file, part))
        return target

    @staticmethod
    def _put(target: Path, write: Callable[[Path], object]) -> None:
        """Whole or not at all."""
        part = target.with_name(f".{target.name}.part")
        try:
            write(part)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    def there(self, name: str) -> Conflict:
        """What is said of a file that must stay."""
        return Conflict(
            f"{self.folder / name} is there already.", field="out", allowed="another folder, or --overwrite"
        )

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            why = "it is no folder" if isinstance(error, FileExistsError) else os.strerror(error.errno or 0)
            raise StorageFailed(
                f"{self.folder} cannot be written: {why}.",
                field="out",
                allowed="a folder that can be written",
            ) from error
