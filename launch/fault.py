"""What is told to who starts the studio, and what other programs answer."""

from __future__ import annotations

import subprocess
import sys
from typing import Sequence


class Fault(Exception):
    """Something a person has to put right; its text says what and how."""


def say(text: str) -> None:
    """To standard error, so that the standard output of `run` is the command's alone."""
    print(f"[likeness] {text}", file=sys.stderr, flush=True)


def answer(command: Sequence[str]) -> str:
    """What a command prints, or nothing when it does not start, fails, or says nothing for two minutes."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=120, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else ""
