"""Where a base lies on this machine: in a models folder, or where other programs left it in the Hugging Face cache."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from studio.paths import expanded
from studio.pipelines.weights import BaseModel

HUB = "https://huggingface.co"
NOTE = "likeness.json"  # what a fetched folder is, kept in it


def base_folder(base: BaseModel, folders: Iterable[Path], cache: Path | None) -> Path | None:
    """Where the base lies on this machine: in a models folder, or in the Hugging Face cache at its revision."""
    for folder in folders:
        if (folder / base.id / "model_index.json").is_file():
            return folder / base.id
    return in_cache(cache, base.repo, base.revision) if cache and base.repo else None


def in_cache(cache: Path, repo: str, revision: str = "") -> Path | None:
    """The folder of a repository in the Hugging Face cache, as other programs leave it there; None where it is not.

    A given revision must be there exactly; without one, what the cache calls `main`.
    """
    place = cache / f"models--{repo.replace('/', '--')}"
    try:
        revision = revision or (place / "refs" / "main").read_text(encoding="utf-8").strip()
        snapshot = place / "snapshots" / revision
        return snapshot if (snapshot / "model_index.json").is_file() else None
    except OSError:  # it is not there, or the cache is another user's
        return None


def cache_folder(env: Mapping[str, str]) -> Path:
    """Where the Hugging Face cache is, by the variables its own library uses."""
    if env.get("HF_HUB_CACHE"):
        return expanded(env["HF_HUB_CACHE"])
    if env.get("HF_HOME"):
        return expanded(env["HF_HOME"]) / "hub"
    return expanded(env.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface" / "hub"
