"""The versions a recipe names: of the studio and of what computes its pictures."""

from functools import cache
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("torch", "diffusers", "transformers")


@cache
def versions() -> dict[str, str]:
    """By package; `likeness` is the studio's own."""
    found: dict[str, str] = {"likeness": "Likeness 1"}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found
