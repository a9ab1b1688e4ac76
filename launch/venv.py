"""What is in .venv: which Python, which packages, whether they still lie there whole, from what it was installed."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any, Iterable, Mapping

from launch.fault import answer
from launch.pythons import FITTING

WINDOWS = os.name == "nt"
STAMP = "likeness.json"  # in .venv: what was installed there, and from what
STEPS = "1"  # raise it when the way of installing changes, and every .venv is brought up to date


def venv_python(venv: Path) -> Path:
    return venv / ("Scripts/python.exe" if WINDOWS else "bin/python")


def site_packages(venv: Path, line: str) -> Path:
    return venv / ("Lib/site-packages" if WINDOWS else f"lib/python{line}/site-packages")


def made_with(venv: Path) -> str:
    """The release line of the Python that .venv was made with; empty where there is none."""
    try:
        found = re.search(r"^version\w* *= *(\d+\.\d+)", (venv / "pyvenv.cfg").read_text(encoding="utf-8"), re.M)
    except OSError:
        return ""
    return found.group(1) if found else ""


def works(venv: Path) -> str:
    """The release line of .venv where its Python and pip answer and fit; else empty."""
    line = made_with(venv)
    own = answer([str(venv_python(venv)), "-I", "-c", "import pip, ssl, sys; print('%d.%d' % sys.version_info[:2])"])
    return line if line == own and line in [".".join(map(str, version)) for version in FITTING] else ""


def owned(site: Path) -> dict[str, dict[str, Any]]:
    """Of each installed package its folder of metadata and the folders and files it brought, one or two levels deep."""
    packages = {}
    for metadata in sorted(site.glob("*.dist-info")):
        record = metadata / "RECORD"
        if not record.is_file():
            continue
        entries = set()
        for row in record.read_text(encoding="utf-8", errors="replace").splitlines():
            parts = row.split(",")[0].split("/")
            # Scripts lie outside (..), caches and metadata say nothing about the package.
            if parts[0] not in ("..", "__pycache__", metadata.name) and "__pycache__" not in parts[:2]:
                entries.add("/".join(parts[:2]))
        packages[project(metadata)] = {"metadata": metadata.name, "entries": sorted(entries)}
    return packages


def project(metadata: Path) -> str:
    """The project's name, as the index spells it, of a folder like `Pillow_Heif-1.8.1.dist-info`."""
    return re.sub(r"[-_.]+", "-", metadata.name.split("-")[0]).lower()


def damaged(site: Path, packages: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The packages that no longer lie there whole.

    One that was replaced by another version is left alone: its owner meant that.
    """
    present = {project(metadata): metadata.name for metadata in site.glob("*.dist-info")}
    broken = []
    for name, package in packages.items():
        same = present.get(name) == package["metadata"]
        if name not in present or same and not all((site / entry).exists() for entry in package["entries"]):
            broken.append(name)
    return broken


def clear_halves(site: Path) -> None:
    """Takes away what a killed pip left: metadata without its list of files, and folders it was about to remove."""
    for metadata in site.glob("*.dist-info"):
        if not (metadata / "RECORD").is_file():
            shutil.rmtree(metadata)
    for leftover in site.glob("~*"):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()


def read_stamp(venv: Path) -> dict[str, Any]:
    try:
        stamp = json.loads((venv / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def write_stamp(venv: Path, stamp: Mapping[str, Any]) -> None:
    """Replaced in one go, so that a stamp is either the old one or the new one."""
    draft = venv / (STAMP + ".new")
    draft.write_text(json.dumps(stamp, indent=1), encoding="utf-8")
    draft.replace(venv / STAMP)


def fingerprint(root: Path, names: Iterable[str]) -> str:
    digest = hashlib.sha256(STEPS.encode())
    for name in names:
        # Line ends differ between checkouts of the same file.
        digest.update(name.encode() + b"\0" + (root / name).read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return digest.hexdigest()
