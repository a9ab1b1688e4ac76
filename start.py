#!/usr/bin/env python3
"""Gets Likeness ready and runs it; needs nothing but a Python 3.8 or newer.

    python3 start.py                      serve the page
    python3 start.py run -- COMMAND ...   one command of the studio: run -- generate "a portrait" --out pictures
    python3 start.py test [ARGS ...]      install what the tests need too, and run them (ARGS go to pytest)
    python3 start.py check [NAME ...]     lint, format, types, imports: what must be clean before a commit
    python3 start.py repair               throw .venv away and make it anew

Options before the command:
    --unpinned    install the ranges of requirements.txt instead of the versions that were tested

Everything is installed into .venv beside this file, once; nothing else on the machine is changed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn, Sequence

from launch.fault import Fault, say
from launch.ready import alone, make_ready, remove
from launch.venv import WINDOWS, read_stamp, write_stamp

ROOT = Path(__file__).resolve().parent

CHECKS = {
    "lint": ("-m", "ruff", "check", "."),
    "format": ("-m", "ruff", "format", "--check", "."),
    "types": ("-m", "pyright", "--project", "pyproject.toml"),
    "imports": ("-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"),
}


def has_weights(root: Path) -> bool:
    """Whether the small default set was fetched into this models folder, or tried to be."""
    return os.environ.get("STUDIO_MODELS", "") in read_stamp(root / ".venv").get("weights", [])


def fetch_weights(root: Path, python: Path) -> None:
    """Fetches the small default set once, holding the lock; whether it came or not, the studio goes on."""
    if has_weights(root):
        return
    venv = root / ".venv"
    stamp = read_stamp(venv)
    say("Fetching the small model files for upscaling, backgrounds and the photo check, this once.")
    fetch = [str(python), "-P", "-m", "studio", "models", "fetch"]
    code = subprocess.call(fetch, stdout=sys.stderr, env=environment(root))
    if code != 0:
        say("They did not come; the studio works without them. To try again: python3 start.py run -- models fetch")
    write_stamp(venv, {**stamp, "weights": [*stamp.get("weights", []), os.environ.get("STUDIO_MODELS", "")]})


def environment(root: Path) -> dict[str, str]:
    """The caller's, with the studio importable from any folder."""
    path = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{path}" if path else str(root)}


def hand_over(command: Sequence[str], root: Path) -> NoReturn:
    """Becomes the command, so that its signals, output and exit code are the caller's own."""
    sys.stderr.flush()
    if not WINDOWS:
        os.execve(command[0], list(command), environment(root))
    with subprocess.Popen(command, env=environment(root)) as child:
        while True:
            try:
                sys.exit(child.wait())
            except KeyboardInterrupt:
                continue  # the child got it too and ends by itself


def check(python: Path, names: Sequence[str]) -> int:
    """Runs these checks, or all of them, and returns the exit code."""
    codes = {}
    for name in names or CHECKS:
        say(f"Checking {name}.")
        codes[name] = subprocess.call([str(python), *CHECKS[name]], cwd=ROOT, env=environment(ROOT))
    failed = [name for name, code in codes.items() if code]
    say(f"Not clean: {', '.join(failed)}." if failed else "All clean.")
    return 1 if failed else 0


def main(arguments: Sequence[str]) -> int:
    # 1. What is asked.
    words = list(arguments)
    pinned = "--unpinned" not in words[:1]
    words = words if pinned else words[1:]
    command, rest = (words[0], words[1:]) if words else ("serve", [])
    rest = rest[1:] if rest[:1] == ["--"] else rest
    if command in ("-h", "--help", "help"):
        print(__doc__)
        return 0
    known = command in ("serve", "run", "test", "check", "repair")
    if not known or (command == "run" and not rest) or (command in ("serve", "repair") and rest):
        print(__doc__, file=sys.stderr)
        if not known:
            say(f"start.py has no command {command}. One of the studio's own goes after run --")
        return 2
    unknown = [name for name in rest if name not in CHECKS]
    if command == "check" and unknown:
        say(f"No check is called {', '.join(unknown)}; there are {', '.join(CHECKS)}.")
        return 2

    # 2. What it needs.
    if command == "repair":
        if (ROOT / ".venv").exists():
            say("Removing .venv.")
            remove(ROOT / ".venv")
        make_ready(ROOT, dev=False, pinned=pinned)
        return 0

    # Packages and weights under one lock: a second start waits once, and finds both.
    fetches = fetch_weights if command != "check" and rest[:1] != ["models"] else None
    python = make_ready(ROOT, dev=command in ("test", "check"), pinned=pinned, then=fetches)
    if command == "check":
        return check(python, rest)
    if fetches and not has_weights(ROOT):
        with alone(ROOT):
            fetches(ROOT, python)

    # 3. The command itself, in the caller's folder; the page and the tests in the studio's.
    if command == "run":
        hand_over([str(python), "-P", "-m", "studio", *rest], ROOT)
    os.chdir(ROOT)
    if command == "test":
        hand_over([str(python), "-m", "pytest", *rest], ROOT)
    hand_over([str(python), "app.py"], ROOT)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Fault as fault:
        say(str(fault))
        sys.exit(1)
    except BrokenPipeError:  # whoever reads has enough of it; Python must not try to write the rest
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        say(f"{what}. Check that {ROOT} belongs to you and that its disk has room, then give the command again.")
        sys.exit(1)
    except KeyboardInterrupt:
        say("Stopped. The same command goes on from here.")
        sys.exit(130)
