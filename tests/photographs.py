"""Real photographs of people for the tests: those of the package face-recognition, which are never committed.

Taken from the folder that LIKENESS_TEST_PHOTOS names, else out of the package, which pip brings once into a cache.
"""

import os
import subprocess
import sys
import tarfile
import tempfile
from functools import cache
from pathlib import Path

import pytest

PACKAGE = "face-recognition==1.3.0"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "likeness-tests" / "face-recognition-1.3.0"
NAMES = (
    "32bit.png",
    "biden.jpg",
    "obama.jpg",
    "obama2.jpg",
    "obama3.jpg",
    "obama_partial_face.jpg",
    "obama_partial_face2.jpg",
)


def photographs() -> Path:
    """The folder with the photographs of `NAMES`. Skips the test where they cannot be had; in CI that is a failure."""
    named = os.environ.get("LIKENESS_TEST_PHOTOS")
    folder, why = (Path(named), "") if named else _from_package()
    missing = [name for name in NAMES if not (folder / name).is_file()]
    if missing:
        said = f"the test photographs are not here: {why or f'{folder} has no {missing[0]}'}"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(said)
    return folder


@cache
def _from_package() -> tuple[Path, str]:
    """The cache with the photographs in it, or why they are not."""
    if all((CACHE / name).is_file() for name in NAMES):
        return CACHE, ""
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:", "--no-input"]
        try:
            subprocess.run(
                [*command, "--disable-pip-version-check", "--dest", place, PACKAGE],
                check=True,
                capture_output=True,
                text=True,
                timeout=120,
            )
        except subprocess.SubprocessError as error:
            said = getattr(error, "stderr", "") or str(error)
            return CACHE, f"pip could not bring {PACKAGE} ({said.strip().splitlines()[-1][:200]})"
        CACHE.mkdir(parents=True, exist_ok=True)
        with tarfile.open(next(Path(place).glob("*.tar.gz"))) as package:
            for entry in package:
                file = package.extractfile(entry) if "/tests/test_images/" in entry.name and entry.isfile() else None
                if file is not None:
                    part = CACHE / f"{Path(entry.name).name}.part"
                    part.write_bytes(file.read())
                    part.replace(part.with_suffix(""))
    return CACHE, ""
