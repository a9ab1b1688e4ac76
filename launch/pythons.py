"""Finds a Python that the studio can run on, whichever one start.py was started with."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator, Mapping, NamedTuple, Sequence

from launch.fault import Fault, answer

FITTING = ((3, 12), (3, 11))  # best first; newer ones cannot build basicsr, older ones cannot run rembg
SQLITE = (3, 37)  # the first with STRICT tables


class Python(NamedTuple):
    """An interpreter that the studio can run on."""

    path: str
    version: str

    @property
    def line(self) -> str:
        """The release line that a .venv belongs to: 3.12 of 3.12.1."""
        return ".".join(self.version.split(".")[:2])


def candidates(env: Mapping[str, str]) -> Iterator[list[str]]:
    """Commands that may be a Python that fits, nearest first."""
    yield [sys.executable]
    for major, minor in FITTING:
        name = f"python{major}.{minor}"
        if shutil.which(name):
            yield [name]
        if shutil.which("py"):
            yield ["py", f"-{major}.{minor}"]
        pyenv = Path(env.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv"))  # noqa: PTH111 - there may be no home
        for versions, python in ((pyenv / "versions", "bin/python"), (pyenv / "pyenv-win" / "versions", "python.exe")):
            for folder in sorted(versions.glob(f"{major}.{minor}.*"), reverse=True):
                yield [str(folder / python)]
        if shutil.which("uv"):
            found = answer(["uv", "python", "find", "--system", f"{major}.{minor}"])
            if found:
                yield [found]
    # Where installers put them without adding them to the PATH of every shell.
    for folder in ("/opt/homebrew/bin", "/usr/local/bin", "/usr/bin"):
        for major, minor in FITTING:
            yield [f"{folder}/python{major}.{minor}"]


# The path is that of the Python behind a virtual environment, which outlives the environment.
PROBE = """
import json, sys
facts = {"path": getattr(sys, "_base_executable", sys.executable), "wide": sys.maxsize > 2**32}
facts["version"] = "%d.%d.%d" % sys.version_info[:3]
for module in ("ensurepip", "ssl", "sqlite3", "venv"):
    try:
        __import__(module)
    except ImportError:
        facts.setdefault("missing", []).append(module)
facts["sqlite"] = sys.modules["sqlite3"].sqlite_version if "sqlite3" in sys.modules else "0"
print(json.dumps(facts))
"""


def probe(command: Sequence[str]) -> Python | str:
    """A `Python` where the command is one that fits, else the reason why not (empty: it is no Python at all)."""
    try:
        facts = json.loads(answer([*command, "-I", "-c", PROBE]))
    except ValueError:
        return ""
    return judge(facts)


def judge(facts: Mapping[str, Any]) -> Python | str:
    """A `Python` where these facts of one are good enough, else the sentence that says why not."""
    name = f"Python {facts['version']} ({facts['path']})"
    if tuple(int(part) for part in facts["version"].split(".")[:2]) not in FITTING:
        return f"{name} is not 3.11 or 3.12"
    if not facts["wide"]:
        return f"{name} is a 32-bit one"
    if facts.get("missing"):
        return f"{name} lacks {', '.join(facts['missing'])}"
    if tuple(int(part) for part in facts["sqlite"].split(".")[:2]) < SQLITE:
        return f"{name} has SQLite {facts['sqlite']}, and {'.'.join(map(str, SQLITE))} is needed"
    return Python(facts["path"], facts["version"])


def choose_python(
    commands: Iterable[Sequence[str]], look: Callable[[Sequence[str]], Python | str] = probe, line: str = ""
) -> Python:
    """The first that fits, of the release line that is asked for if there is one of it.

    Raises `Fault` that names what was found and says how to get one.
    """
    fitting, reasons = [], []
    for command in commands:
        found = look(command)
        if isinstance(found, Python):
            if not line or found.line == line:
                return found
            fitting.append(found)
        elif found and found not in reasons:
            reasons.append(found)
    if fitting:
        return fitting[0]
    raise Fault(
        "Likeness runs on Python 3.11 or 3.12 (64-bit), and none was found here: "
        + ("; ".join(reasons) or "no Python answered")
        + ". Get one with your system's packages (Debian, Ubuntu: apt install python3.12 python3.12-venv; macOS: brew "
        "install python@3.12; Windows: winget install Python.Python.3.12) or with uv (uv python install 3.12), then "
        "give this command again."
    )
