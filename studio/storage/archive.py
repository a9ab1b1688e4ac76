"""One file with everything that must come back: a tar of plain files, with a list of their checksums at its end."""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from studio.domain import Refused
from studio.rules import canonical
from studio.storage.folder import fsync_file, fsync_folder

MANIFEST = "manifest.json"
FORMAT = 1
MOST_MANIFEST = 256 << 20  # bytes
CHUNK = 1 << 20

Sums = dict[str, tuple[str, int]]  # SHA-256 and bytes, by name


class Writer:
    """Adds files to an archive. What `about` says stands in its list of checksums too."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self.about: dict[str, object] = {}
        self.sums: Sums = {}
        self._tar = tar

    def add(self, name: str, file: Path) -> int:
        """Adds a file, which must not change meanwhile, and returns its bytes. Raises OSError."""
        with file.open("rb") as opened:
            size = os.fstat(opened.fileno()).st_size
            summed = _Summed(opened)
            self._tar.addfile(_entry(name, size), cast(IO[bytes], summed))
        self.sums[name] = (summed.sum.hexdigest(), size)
        return size

    def finish(self) -> None:
        body = canonical({**self.about, "format": FORMAT, "files": self.sums}).encode()
        self._tar.addfile(_entry(MANIFEST, len(body)), io.BytesIO(body))


@contextmanager
def writing(target: Path) -> Generator[Writer]:
    """An archive that is there under its name when it is whole and on the disk, and else not at all. Raises OSError."""
    part = target.with_name(f"{target.name}.part")
    try:
        with part.open("wb") as file:
            part.chmod(0o600)
            with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
                writer = Writer(tar)
                yield writer
                writer.finish()
        fsync_file(part)
        part.replace(target)
        fsync_folder(target.parent)
    finally:
        part.unlink(missing_ok=True)


def unpack(archive: Path, into: Path, *, wanted: Callable[[str], bool]) -> Mapping[str, Any]:
    """Writes the archive's files into a folder and returns what it says about itself, checksums among it.

    Every name must be `wanted`, and every file be there with its checksum. Raises Refused, and OSError.
    """
    sums: Sums = {}
    about: dict[str, Any] | None = None
    try:
        with tarfile.open(archive, "r:") as tar:
            for member in tar:
                source = tar.extractfile(member) if member.isreg() else None
                if about is not None or source is None or member.name in sums:
                    raise _damaged(archive, f"{member.name!r} does not belong there")
                if member.name == MANIFEST and member.size <= MOST_MANIFEST:
                    about = cast(dict[str, Any], json.load(source))
                    continue
                if not _is_plain(member.name) or not wanted(member.name):
                    raise _damaged(archive, f"{member.name!r} does not belong there")
                sums[member.name] = _write(source, into / member.name)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise _damaged(archive, str(error)) from error
    if about is None:
        raise _damaged(archive, "it is not whole")
    if about.get("format") != FORMAT:
        raise Refused(f"{archive} was made by a newer version of Likeness.", field="file", allowed="an older backup")
    expected = {name: tuple(summed) for name, summed in cast(dict[str, list[object]], about["files"]).items()}
    for name in expected.keys() | sums.keys():
        if expected.get(name) != sums.get(name):
            raise _damaged(archive, f"{name} is not what it was")
    return about


class _Summed:
    """A file whose checksum is taken as it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self.sum = hashlib.sha256()
        self._file = file

    def read(self, size: int) -> bytes:
        chunk = self._file.read(size)
        self.sum.update(chunk)
        return chunk


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o600
    return entry


def _write(source: IO[bytes], target: Path) -> tuple[str, int]:
    summed, size = hashlib.sha256(), 0
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:
        while chunk := source.read(CHUNK):
            file.write(chunk)
            summed.update(chunk)
            size += len(chunk)
        file.flush()
        os.fsync(file.fileno())
    return summed.hexdigest(), size


def _is_plain(name: str) -> bool:
    """Whether it is a path that stays inside, as this module writes them."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and str(path) == name and not set(name) & set("\\:\0")


def _damaged(archive: Path, why: str) -> Refused:
    return Refused(
        f"{archive} is no whole backup of Likeness ({why}). Nothing was changed.",
        field="file",
        allowed="a file that `backup` made",
    )
