"""What may be asked of an export: which tune, in which form. Standard library only."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, Self

from studio.errors import Refused
from studio.rules import known_fields, name, shown

SUFFIXES: Mapping[str, str] = {
    "diffusers": "-diffusers.safetensors",
    "kohya": "-lora.safetensors",
    "safetensors": ".safetensors",
    "ckpt": ".ckpt",
    "tar": ".tar",
}
"""How the file of each form ends: the tune alone as diffusers and as kohya's scripts name its parts; the whole model
with the tune in it as one file, safe or as a state dict, and as a diffusers folder."""

FORMATS: tuple[str, ...] = tuple(SUFFIXES)


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """A ready tune as a file that other programs read; `format` is one of FORMATS."""

    kind: ClassVar[Literal["export"]] = "export"
    base: ClassVar[None] = None
    style: ClassVar[None] = None

    tune: str
    format: str

    def __post_init__(self) -> None:
        name("tune", self.tune)
        if self.format not in FORMATS:
            raise Refused(
                f"format must be one of {', '.join(FORMATS)}, not {shown(self.format)}.",
                field="format",
                allowed=", ".join(FORMATS),
            )

    @property
    def pictures(self) -> int:
        """How many results it has: the file."""
        return 1

    def inputs(self) -> dict[str, str]:
        """No uploads."""
        return {}

    def resolve(self, draw: Callable[[], int]) -> Self:
        """The request itself: nothing in a file hangs on a seed."""
        return self

    def to_json(self) -> dict[str, object]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_json(cls, body: object) -> Self:
        """The request of a JSON object. Raises `Refused`."""
        names = [field.name for field in fields(cls)]
        given: dict[str, Any] = known_fields(cls.kind, names, body)
        for field in names:
            if field not in given:
                raise Refused(f"{field} is missing.", field=field, allowed="a tune's id and a format")
        return cls(**given)


@dataclass(frozen=True, kw_only=True)
class Export:
    """A tune's file that can be fetched until `expires_at`. `file` is its name in the exports folder, `name` the one to
    save it under."""

    job: str
    account: str
    tune: str
    format: str
    file: str
    name: str
    bytes: int
    sha256: str
    made_at: int
    expires_at: int


def file_name(tune_name: str, format_: str) -> str:
    """What the file of a tune is called where it is saved: the tune's name in letters, digits and dashes."""
    words = re.sub(r"[\W_]+", "-", tune_name.lower())[:60].strip("-") or "tune"
    return words + SUFFIXES[format_]
