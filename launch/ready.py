"""Brings .venv to what is wanted: made, mended, installed, each only where it is needed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping

from launch.fault import Fault, answer, say
from launch.pip import ROOM_GB, pip
from launch.pythons import candidates, choose_python
from launch.venv import (
    clear_halves,
    damaged,
    fingerprint,
    made_with,
    owned,
    project,
    read_stamp,
    site_packages,
    venv_python,
    works,
    write_stamp,
)

# Its setup.py asks for torch to be built, though it never imports it. In a build environment of its own that is a
# second torch of several gigabytes; without one it takes three seconds.
BUILT_IN_PLACE = "basicsr"


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Holds the installation's lock, which the system lets go of when a process dies; a second start waits."""
    with (root / ".venv.lock").open("a+b") as file:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415 - exists on Windows only

            while True:
                try:
                    file.seek(0)
                    msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)  # tries for 10 seconds, then raises
                    break
                except OSError:
                    say("Another start is installing; waiting for it.")
        else:
            import fcntl  # noqa: PLC0415 - exists on POSIX only

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("Another start is installing; waiting for it.")
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def is_ready(root: Path, dev: bool, pinned: bool) -> bool:
    """Whether .venv holds what is wanted, told without starting anything but its Python."""
    venv = root / ".venv"
    stamp = read_stamp(venv)
    line = works(venv)
    return bool(
        line
        and not missing(root, stamp, dev, pinned)
        and not damaged(site_packages(venv, line), stamp.get("packages", {}))
    )


def missing(root: Path, stamp: Mapping[str, Any], dev: bool, pinned: bool) -> dict[str, str]:
    """The files of requirements that were not installed as they are now, each with the fingerprint it will have.

    Who has installed them unpinned stays so until they change.
    """
    found = {}
    for name in ("requirements.txt", "requirements-dev.txt") if dev else ("requirements.txt",):
        tested = fingerprint(root, (name, "constraints.txt"))
        own = fingerprint(root, (name,))
        if stamp.get("of", {}).get(name) not in ((tested, own) if pinned else (own,)):
            found[name] = tested if pinned else own
    return found


def make_ready(root: Path, dev: bool, pinned: bool = True, then: Callable[[Path, Path], None] | None = None) -> Path:
    """Brings .venv to what is wanted and returns its Python; does nothing where it is so already. Raises `Fault`.

    `then` is called with the folder and that Python after an installation, before a start that waits goes on.
    """
    venv = root / ".venv"
    if is_ready(root, dev, pinned):
        return venv_python(venv)
    with alone(root):
        if is_ready(root, dev, pinned):
            return venv_python(venv)
        # 1. A .venv with a Python that answers.
        line = make_venv(venv)
        # 2. What broke since the last time.
        mend(root, line)
        # 3. What is new or was never installed.
        install(root, line, dev, pinned)
        if then:
            then(root, venv_python(venv))
    return venv_python(venv)


def make_venv(venv: Path) -> str:
    """Makes .venv, or gives an old one its Python and pip back; returns its release line. Raises `Fault`."""
    # 1. One that works is left alone.
    line = works(venv)
    if line:
        return line
    old = made_with(venv)
    found = choose_python(candidates(os.environ), line=old)
    if venv.exists() and old != found.line:
        say(f".venv was made with Python {old or 'of no known version'}: making it anew with {found.version}.")
        remove(venv)
    elif venv.exists():
        say(f"The Python in .venv or its pip does not work: giving it back from {found.path}.")
        for stale in (venv / "bin").glob("python*"):
            stale.unlink()
    else:
        say(f"Making .venv with Python {found.version} ({found.path}).")
        free = shutil.disk_usage(venv.parent).free / 1e9
        if free < ROOM_GB:
            say(f"Only {free:.1f} GB are free on this disk; a first installation takes up to {ROOM_GB} GB. Trying.")
    # 2. In an old one this renews the Python and leaves the packages.
    done = subprocess.run([found.path, "-I", "-m", "venv", str(venv)], stdout=sys.stderr, check=False)
    # 3. Where pip's metadata is there and pip is not, the line above took it for installed.
    if done.returncode == 0 and not works(venv):
        say("Putting pip back.")
        site = site_packages(venv, found.line)
        for part in (site / "pip", *site.glob("pip-*.dist-info")):
            shutil.rmtree(part, ignore_errors=True)
        done = subprocess.run([str(venv_python(venv)), "-I", "-m", "ensurepip"], stdout=sys.stderr, check=False)
    if done.returncode != 0:
        raise Fault(f"{venv} could not be made (see above). Check that {venv.parent} may be written, then try again.")
    return found.line


def mend(root: Path, line: str) -> None:
    """Makes pip see as missing what is no longer whole, so that the installation brings it again."""
    venv = root / ".venv"
    site = site_packages(venv, line)
    clear_halves(site)
    stamp = read_stamp(venv)
    broken = damaged(site, stamp.get("packages", {}))
    if broken:
        say(f"Damaged in .venv, to be installed again: {', '.join(broken)}.")
        for name in broken:
            shutil.rmtree(site / stamp["packages"][name]["metadata"], ignore_errors=True)
        write_stamp(venv, {**stamp, "of": {}})


def install(root: Path, line: str, dev: bool, pinned: bool) -> None:
    """Installs the requirements and stamps .venv with what they were. Raises `Fault`."""
    venv = root / ".venv"
    python = venv_python(venv)
    site = site_packages(venv, line)
    stamp = read_stamp(venv)
    names = missing(root, stamp, dev, pinned)
    pins = ["-c", str(root / "constraints.txt")] if pinned else []
    if names:
        say(f"Installing {' and '.join(names)} into .venv; the first time this takes some minutes.")
        # 1. What must be built with what is installed already.
        built = re.search(
            rf"^{BUILT_IN_PLACE}\b[^#;\s]*", (root / "requirements.txt").read_text(encoding="utf-8"), re.M
        )
        if built and BUILT_IN_PLACE not in map(project, site.glob("*.dist-info")):
            pip(root, python, "install", "setuptools", "wheel", *pins)
            pip(root, python, "install", "--no-deps", "--no-build-isolation", "--use-pep517", built.group(), *pins)
        # 2. Everything else.
        pip(root, python, "install", *(word for name in names for word in ("-r", name)), *pins)
    # 3. OpenCV's usual build wants the libraries of a screen, which a server may lack; the other build does without.
    packages = owned(site)
    if "opencv-python" in packages and not answer([str(python), "-I", "-c", "import cv2; print('well')"]):
        version = packages["opencv-python"]["metadata"][: -len(".dist-info")].split("-")[1]
        say("OpenCV finds no screen libraries here: installing its build for servers.")
        pip(root, python, "install", "--force-reinstall", "--no-deps", f"opencv-python-headless=={version}")
        packages = owned(site)
    # 4. Remembered.
    write_stamp(venv, {**stamp, "of": {**stamp.get("of", {}), **names}, "packages": packages})
    say("Ready.")


def remove(venv: Path) -> None:
    """Raises `Fault` where something still uses it. Of a link to a folder elsewhere, only what is in it goes."""
    try:
        if venv.is_file():
            venv.unlink()
        else:
            shutil.rmtree(venv.resolve())
            if venv.is_symlink():
                venv.resolve().mkdir()
    except OSError as error:
        raise Fault(f"{venv} could not be removed ({error}): close the programs that use it, then try again.") from None
