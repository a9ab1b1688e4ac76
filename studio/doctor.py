"""Looks over the machine and the studio's data, and says of each thing whether it is well and what to do if not."""

import importlib.metadata
import os
import platform
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal

from studio.credits import verify
from studio.domain import BrokenWeights, StudioError, WeightsMissing
from studio.models import Models
from studio.pipelines import weights
from studio.settings import Settings
from studio.storage import health
from studio.storage.database import Database
from studio.storage.folder import DataFolder

State = Literal["well", "warning", "failed"]
LITTLE_DISK, NO_DISK = 2_000_000_000, 100_000_000  # bytes
PACKAGES = ("torch", "diffusers", "transformers", "peft", "gradio", "pillow", "sqlite-utils")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    name: str
    state: State
    said: str


def examine(settings: Settings, env: Mapping[str, str]) -> Iterator[Finding]:
    """Each finding as it is made; the device comes last, because PyTorch takes seconds to load."""
    yield _python()
    yield _sqlite()
    yield from _data(settings)
    yield from _models(settings, env)
    yield from _device(settings)


def _python() -> Finding:
    found: list[str] = []
    missing: list[str] = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(package)
    said = f"Python {platform.python_version()}, {', '.join(found)}."
    if missing:
        said += f" Not installed: {', '.join(missing)}. Run: python3 start.py"
    return Finding(name="python", state="failed" if missing else "well", said=said)


def _sqlite() -> Finding:
    if not health.has_wal_reset_race():
        return Finding(name="sqlite", state="well", said=f"SQLite {health.VERSION}.")
    said = (
        f"SQLite {health.VERSION} has a rare fault: two processes that write at the very same moment can damage the "
        "database (mended in 3.51.3, 3.50.7 and 3.44.6). Back it up, or use a Python that brings a newer one."
    )
    return Finding(name="sqlite", state="warning", said=said)


def _data(settings: Settings) -> Iterator[Finding]:
    # 1. The folder and its disk.
    if not settings.data.exists():
        yield _disk("data", settings.data, "is made at the first start")
        return
    yield _disk("data", settings.data, "can be written" if os.access(settings.data, os.W_OK) else "")

    # 2. The database in it, and the account book in that.
    folder = DataFolder(settings.data)
    if not folder.database.exists():
        yield Finding(name="database", state="well", said="There is none yet.")
        return
    try:
        database = Database(folder.database)
        with database.read() as tx:
            damage, faults = health.faults(tx), verify.faults(tx)
        database.close()
    except StudioError as error:
        yield Finding(name="database", state="failed", said=error.message)
        return
    yield _of_faults("database", damage, f"{folder.database} is sound.", "Restore a backup.")
    yield _of_faults("credits", faults, "Every sum of the account book agrees.", "Restore a backup.")


def _disk(name: str, folder: Path, well: str) -> Finding:
    if not well:
        return Finding(name=name, state="failed", said=f"{folder} cannot be written: give yourself the right to.")
    there = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(there).free
    state: State = "failed" if free < NO_DISK else "warning" if free < LITTLE_DISK else "well"
    advice = "" if state == "well" else " Free some space."
    return Finding(name=name, state=state, said=f"{folder} {well}; {free / 1e9:.1f} GB are free.{advice}")


def _of_faults(name: str, faults: list[str], well: str, advice: str) -> Finding:
    if not faults:
        return Finding(name=name, state="well", said=well)
    return Finding(name=name, state="failed", said=f"{'; '.join(faults[:5])}. {advice}")


def _models(settings: Settings, env: Mapping[str, str]) -> Iterator[Finding]:
    models = Models.of(settings, env)
    yield _disk("models", settings.models, "holds the models")

    # 1. Bases: without one nothing can be drawn.
    here = [offer.id for offer in models.bases.offers() if offer.base]
    if here:
        yield Finding(name="bases", state="well", said=f"Here: {', '.join(here)}.")
    else:
        said = "No base model is here, so nothing can be drawn. See: python -m studio models list"
        yield Finding(name="bases", state="failed", said=said)

    # 2. Styles: a file of the operator's own that has a fault is left out.
    styles = models.bases.styles
    said = f"{len(styles)} in {len(styles.categories)} categories."
    if styles.troubles:
        said += f" Left out: {' '.join(trouble.message for trouble in styles.troubles)}"
    yield Finding(name="styles", state="warning" if styles.troubles else "well", said=said)

    # 3. Single files: those of the default set are missed, any that is damaged is bad.
    present: list[str] = []
    missed: list[str] = []
    for weight in models.catalogue.weights:
        try:
            weights.find(weight, settings.model_folders)
            present.append(weight.id)
        except WeightsMissing:
            missed += [weight.id] if weight.default else []
        except BrokenWeights as error:
            yield Finding(name=weight.id, state="failed", said=error.message)
    said = f"Here and undamaged: {', '.join(present) or 'none'}."
    if missed:
        said += f" Missing of the usual ones: {', '.join(missed)}. Get them with: {weights.FETCH}"
    yield Finding(name="weights", state="warning" if missed else "well", said=said)


def _device(settings: Settings) -> Iterator[Finding]:
    try:
        device = import_module("studio.pipelines.device").Device(settings)
        attention = import_module("studio.pipelines.attention")
    except StudioError as error:
        yield Finding(name="device", state="failed", said=error.message)
        return
    except (ImportError, OSError) as error:
        yield Finding(name="device", state="failed", said=f"PyTorch cannot be loaded ({error}). Run: python3 start.py")
        return
    yield Finding(name="device", state="well", said=f"{device.figures()}; it computes in {device.precision}.")

    tried = attention.probe(device.torch)
    works = [name for name, reason in tried.items() if not reason]
    state: State = "well" if tried.get(settings.attention, "") == "" else "failed"
    said = f"{settings.attention} is set; working here: {', '.join(works)}."
    if state == "failed":
        said += f" {settings.attention} does not: {tried[settings.attention]}"
    yield Finding(name="attention", state=state, said=said)
