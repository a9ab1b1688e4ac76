"""What the person who runs the studio may set: read once, from the environment and one TOML file."""

import os
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

from studio.errors import Refused
from studio.paths import expanded, named
from studio.rules import flag, number, shown, text, whole

REPOSITORY = Path(__file__).resolve().parent.parent
DEVICES = ("auto", "cuda", "mps", "cpu")
YES = ("1", "true", "yes", "on")
NO = ("0", "false", "no", "off")
PRECISIONS = ("auto", "bf16", "fp16", "fp32")
USUAL = {
    "win32": ("LOCALAPPDATA", "AppData/Local", "Likeness"),
    "darwin": ("", "Library/Application Support", "Likeness"),
}
"""Of a system: the variable that names the folder for data, where that is in the home folder else, our part of it."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Each field is the variable `STUDIO_` + its name in capitals, and the key of its name in `studio.toml`.

    The environment wins over the file. `data` holds the database, pictures and uploads; `models` the weights that were
    fetched (what ships with the studio is found besides); `attention` is `sdpa`, `xformers` or another backend that
    diffusers offers; `memory_gb` is how much of the device's memory may be used (None: what is free).
    """

    data: Path
    models: Path = REPOSITORY / "models"
    host: str = "127.0.0.1"
    port: int = 7860
    device: str = "auto"
    precision: str = "auto"
    attention: str = "sdpa"
    memory_gb: float | None = None
    upload_mb: int = 25
    queue_limit: int = 50
    mcp: bool = False

    def __post_init__(self) -> None:
        # Kept absolute, so that a later change of the working directory changes nothing.
        for folder in ("data", "models"):
            object.__setattr__(self, folder, named(folder, getattr(self, folder)))
        whole("port", self.port, 0, 65535)
        whole("upload_mb", self.upload_mb, 1, 1024)
        whole("queue_limit", self.queue_limit, 1, 10_000)
        for field in ("host", "attention"):
            text(field, getattr(self, field), most=200)
        for field, allowed in (("device", DEVICES), ("precision", PRECISIONS)):
            if getattr(self, field) not in allowed:
                words = ", ".join(allowed)
                raise Refused(
                    f"{field} must be one of {words}, not {shown(getattr(self, field))}.", field=field, allowed=words
                )
        if self.memory_gb is not None:
            object.__setattr__(self, "memory_gb", number("memory_gb", self.memory_gb, 0.5, 4096))
        flag("mcp", self.mcp)

    @property
    def model_folders(self) -> tuple[Path, ...]:
        """Where weights are looked for, in this order: the chosen folder, then what ships with the studio."""
        shipped = REPOSITORY / "models"
        return (self.models,) if self.models == shipped else (self.models, shipped)

    @classmethod
    def read(cls, env: Mapping[str, str], toml: Path | None = None) -> Self:
        """The settings of this environment and file (default: `studio.toml` in the data folder, where there is one).

        Raises `Refused`, naming the variable or the file's key and what it allows, and `StorageFailed` where the data
        or models folder cannot be opened.
        """
        types = {field.name: field.type for field in fields(cls)}

        # 1. The environment, as texts, each turned into its field's type.
        found: dict[str, Any] = {}
        for field in types:
            variable = f"STUDIO_{field.upper()}"
            if env.get(variable, "").strip():
                found[field] = _of_text(variable, env[variable].strip(), str(types[field]))

        # 2. The file, which may also say that the data lie elsewhere than it does.
        data = named("data", found.get("data") or default_data_folder(env))
        path = toml or data / "studio.toml"
        if toml is not None or path.is_file():
            for key, value in _read_toml(path).items():
                if key not in types:
                    raise Refused(
                        f"{path} sets {shown(key)}, which is no setting.", field=key, allowed=", ".join(types)
                    )
                found.setdefault(key, _of_toml(path, key, value))

        # 3. Checked as a whole.
        found.setdefault("data", data)
        return cls(**found)


def default_data_folder(env: Mapping[str, str]) -> Path:
    """The usual place for a user's data on this system, never the working directory or the temp folder.

    Raises `Refused` where the user has no home folder.
    """
    variable, folder, name = USUAL.get(sys.platform, ("XDG_DATA_HOME", ".local/share", "likeness"))
    if env.get(variable):
        return Path(env[variable]) / name
    own = expanded("~")
    if not own.is_absolute():
        raise Refused("You have no home folder here: set STUDIO_DATA.", field="data", allowed="a folder")
    return own / folder / name


def _of_text(variable: str, value: str, kind: str) -> object:
    """A variable's text as the field's type. Raises `Refused`."""
    if "bool" in kind:
        if value.lower() not in YES + NO:
            raise Refused(f"{variable} must be 1 or 0, not {shown(value)}.", field=variable, allowed="1, 0")
        return value.lower() in YES
    if "Path" in kind:
        return Path(value)
    if "int" in kind or "float" in kind:
        try:
            return int(value) if "int" in kind else float(value)
        except ValueError as error:
            raise Refused(
                f"{variable} must be a number, not {shown(value)}.", field=variable, allowed="a number"
            ) from error
    return value


def _of_toml(path: Path, key: str, value: object) -> object:
    """A relative folder in the file is meant from where the file lies. Wrong types are left for the checks."""
    if key in ("data", "models"):
        words = text(key, value, most=4096)
        return Path(words) if words.startswith("~") else path.parent / words
    return value


def _read_toml(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Refused(f"{path} cannot be read: {os.strerror(error.errno or 0)}.", field="settings") from error
    except ValueError as error:  # bad TOML and bad UTF-8 alike
        raise Refused(f"{path} is not valid TOML: {error}.", field="settings") from error
