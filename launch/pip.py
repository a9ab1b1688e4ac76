"""Runs pip in .venv, and says what to do where it fails."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from launch.fault import Fault

ROOM_GB = 12  # what a first installation takes at its highest, measured on Linux with CUDA builds

# The first pattern found in pip's log speaks. `{0}` is what it captured.
ADVICE = (
    (
        r"No space left on device|\[Errno 28\]|not enough space",
        "The disk is full: {free} are free, and a first installation needs about {room} GB. Make room, or move this "
        "folder to a larger disk.",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLError",
        "The package index's certificate was not accepted. Behind a company's proxy, set PIP_CERT to its certificate "
        "file; else check the clock of this machine.",
    ),
    (
        r"ProxyError|Tunnel connection failed",
        "The proxy did not let pip through: check the variable HTTPS_PROXY.",
    ),
    (
        r"Temporary failure in name resolution|Name or service not known|getaddrinfo failed|nodename nor servname|"
        r"NewConnectionError|Network is unreachable|Connection refused|ConnectTimeout|Read timed out|Connection reset",
        "The package index could not be reached: check the network connection. In a closed network, set "
        "PIP_INDEX_URL to its package mirror.",
    ),
    (
        r"DO NOT MATCH THE HASHES|BadZipFile|IncompleteRead|Connection broken",
        "A download arrived damaged: give the command again; if it stays so, empty pip's cache with: "
        "{python} -m pip cache purge",
    ),
    (
        r"Permission denied|Access is denied|\[WinError (?:5|32)\]",
        "A file in .venv could not be written: close other programs that use it (a running Likeness, an editor), and "
        "check that this folder belongs to you.",
    ),
    (
        r"No matching distribution found for ([\w.\[\]-]+)",
        "{0} is not offered for this system and Python in the version that was tested. Try: "
        "python3 start.py --unpinned",
    ),
    (
        r"ResolutionImpossible|conflicting dependencies",
        "The package index offers no versions that fit together as they were tested. Try: python3 start.py --unpinned",
    ),
    (
        r"Microsoft Visual C\+\+|command '[^']*(?:cc|\+\+|clang|cl\.exe)' failed|Failed building wheel for",
        "A package had to be compiled here and could not be: there is no ready file of it for this system. Use a "
        "64-bit Python 3.12 or 3.11 on Linux, Windows or a Mac with Apple silicon.",
    ),
    (
        r"MemoryError|^Killed$",
        "The memory ran out: close other programs and give the command again.",
    ),
)


def advice(log: str, root: Path, python: str, code: int) -> str:
    """What to do about a failed installation, told from pip's log."""
    if code in (-9, 137):
        log += "\nKilled"
    free = f"{shutil.disk_usage(root).free / 1e9:.1f} GB"
    for pattern, text in ADVICE:
        found = re.search(pattern, log, re.M)
        if found:
            return text.format(*found.groups(), free=free, room=ROOM_GB, python=python)
    return "pip's own words are above. Give the command again; if it fails the same way: python3 start.py repair"


def pip(root: Path, python: Path, *arguments: str) -> None:
    """One run of pip in .venv, shown as it happens. Raises `Fault` with advice.

    Its output goes to standard error; its log lies at .venv/pip.log until it succeeds.
    """
    log = root / ".venv" / "pip.log"
    log.unlink(missing_ok=True)
    # -I: what PYTHONPATH names is not in .venv, and pip would take it for installed.
    command = [str(python), "-I", "-m", "pip", "--no-input", "--disable-pip-version-check", "--log", str(log)]
    code = subprocess.call([*command, *arguments], stdout=sys.stderr, stdin=subprocess.DEVNULL, cwd=root)
    if code != 0:
        text = log.read_text(encoding="utf-8", errors="replace")[-200_000:] if log.is_file() else ""
        raise Fault(
            f"pip could not install what the studio needs. {advice(text, root, str(python), code)} "
            f"(What was downloaded is kept; pip's log is {log}.)"
        )
    log.unlink(missing_ok=True)
