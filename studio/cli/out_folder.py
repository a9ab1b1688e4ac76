"""The folder a command's pictures go to: tried before anything is charged, and left as it was if nothing comes."""

import filecmp
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from studio.domain import Conflict, ImageRequest, StorageFailed

BYTES_A_PIXEL = 4  # what a picture's file takes at most, its recipe included


class OutFolder:
    """Where pictures go, under names that are known before there are any."""

    def __init__(self, folder: Path, job_id: str, request: ImageRequest, *, overwrite: bool) -> None:
        self.folder = folder.absolute()
        self.overwrite = overwrite
        words = re.sub(r"[^a-z0-9]+", "-", request.prompt.lower())[:40].strip("-") or "picture"
        self.names = [f"{words}-{job_id[:8]}-{number}.png" for number in range(1, request.pictures + 1)]
        doubled = 4 if request.super_resolution else 1
        self.room = request.pictures * request.width * request.height * doubled * BYTES_A_PIXEL

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
                free = shutil.disk_usage(self.folder).free
            if free < self.room:
                raise StorageFailed(
                    f"The pictures take about {self.room / 1e6:.0f} MB in {self.folder}; {free / 1e6:.0f} MB are free.",
                    field="out",
                    allowed="a folder with room for them",
                )
            taken = [name for name in self.names if (self.folder / name).exists()]
            if taken and not self.overwrite and not made_before:
                raise self._there(taken[0])
            yield
        finally:
            with suppress(OSError):  # one that is not empty stays
                for folder in new:
                    folder.rmdir()

    def take(self, files: Sequence[tuple[int, Path]]) -> list[Path]:
        """Copies the pictures of these indexes and returns where they are. Raises StorageFailed and Conflict."""
        return [self._copy(file, self.folder / self.names[index]) for index, file in files]

    def _copy(self, file: Path, target: Path) -> Path:
        part = target.with_name(f".{target.name}.part")
        with self._told():
            if target.exists() and not self.overwrite:
                if filecmp.cmp(file, target, shallow=False):
                    return target  # the same job asked for again
                raise self._there(target.name)
            try:
                shutil.copyfile(file, part)
                part.replace(target)
            finally:
                part.unlink(missing_ok=True)
        return target

    def _there(self, name: str) -> Conflict:
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
