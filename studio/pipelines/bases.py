"""Base models on this machine: which there are, where they lie, and of which family. No torch, no network.

A base is an id of the catalogue, a folder or a single .safetensors file in the models folder, or a repository in the
Hugging Face cache by its own name (`owner/name`, or `owner/name@revision`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from studio.domain import ImageRequest, Refused, StudioError, TuneRequest, WeightsMissing
from studio.pipelines.checkpoints import family_of_file
from studio.pipelines.families import FAMILIES, Family, recognise
from studio.pipelines.hub_cache import NOTE, base_folder, cache_folder, in_cache
from studio.pipelines.weights import FETCH, BaseModel, Catalogue
from studio.rules import shown
from studio.settings import Settings
from studio.styles import Styles, read_styles, style_of

OWN = "bases"  # the folder of `models add`


@dataclass(frozen=True, kw_only=True)
class Base:
    """A base that can be loaded: a diffusers folder, or (`single`) one .safetensors file. `revision` is what is known
    of its version: a commit of the Hub, or of a file the beginning of its sha256."""

    id: str
    family: Family
    path: Path
    single: bool
    revision: str
    licence: str
    paid_work: bool | None


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A base as a list shows it: there (`base`), or with the command that fetches it."""

    id: str
    purpose: str
    licence: str
    paid_work: bool | None
    bytes: int
    base: Base | None


class Bases:
    """What can be drawn with on this machine."""

    def __init__(
        self, folders: tuple[Path, ...], cache: Path, catalogue: Catalogue, *, own_styles: Path | None = None
    ) -> None:
        self.folders = folders
        self.cache = cache
        self.catalogue = catalogue
        self.own_styles = own_styles

    @classmethod
    def of(cls, settings: Settings, env: Mapping[str, str]) -> "Bases":
        own_styles = settings.data / "styles"
        return cls(settings.model_folders, cache_folder(env), Catalogue.read(), own_styles=own_styles)

    @cached_property
    def styles(self) -> Styles:
        """The predefined styles and the operator's own, read once."""
        return read_styles(self.own_styles)

    def offers(self) -> list[Offer]:
        """Every base: those of the catalogue, there or not, then what else lies in the models folders."""
        known = {base.id: base for base in self.catalogue.bases}
        own = {name for folder in self.folders for name in _names(folder)}
        offers: list[Offer] = []
        for name in [*known, *sorted(own - known.keys())]:
            try:
                base = self._there(name)
            except WeightsMissing:
                base = None
            except StudioError:
                continue  # a folder of some other kind, or a damaged file: who asks for it by name is told
            entry = known.get(name)
            if base is None and entry is None:
                continue  # a link to nowhere
            offers.append(
                Offer(
                    id=name,
                    purpose=entry.purpose if entry else "Your own.",
                    licence=entry.licence if entry else "its author's",
                    paid_work=entry.paid_work if entry else None,
                    bytes=entry.bytes if entry else 0,
                    base=base,
                )
            )
        return offers

    def find(self, name: str) -> Base:
        """The base of that id.

        Raises WeightsMissing where it is known but not here, with the command that gets it, and Refused where there is
        no such base (naming those there are) or its family is not known.
        """
        base = self._there(name)
        if base is None:
            there = [offer.id for offer in self.offers() if offer.base] if "/" not in name else []
            raise Refused(
                f"There is no base {shown(name)} on this machine.",
                field="base",
                allowed=", ".join([*there, "a repository in the Hugging Face cache as owner/name"]),
            )
        return base

    def _there(self, name: str) -> Base | None:
        entry = next((base for base in self.catalogue.bases if base.id == name), None)
        if entry:
            return self._known(entry)
        for folder in self.folders:
            if (folder / name / "model_index.json").is_file():
                return _in_folder(name, folder / name)
            if (folder / OWN / f"{name}.safetensors").is_file():
                return _single(name, folder / OWN / f"{name}.safetensors")
        repo, _, revision = name.partition("@")
        if "/" in repo and (snapshot := in_cache(self.cache, repo, revision)):
            return _in_folder(name, snapshot, revision=snapshot.name)
        return None

    def _known(self, entry: BaseModel) -> Base:
        path = base_folder(entry, self.folders, self.cache)
        if path is None:
            size = f", about {entry.bytes / 1e9:.0f} GB" if entry.bytes else ""
            how = f"Get it with: {FETCH} {entry.id} ({entry.licence}{size})" if entry.repo else "Get the studio again."
            raise WeightsMissing(f"The base {entry.id} is not on this machine. {how}", field="base")
        return Base(
            id=entry.id,
            family=FAMILIES[entry.family],
            path=path,
            single=False,
            revision=_note(path).get("revision", entry.revision),
            licence=entry.licence,
            paid_work=entry.paid_work,
        )

    def check(self, request: ImageRequest) -> Base:
        """What a request needs of its base and style, before it costs anything. Raises Refused and WeightsMissing."""
        base = self.find(request.base)
        base.family.scheduler(request.scheduler)
        if request.style is not None:
            style_of(self.styles, request.style)
        if request.init and base.family.init is None:
            raise Refused(f"{base.family.title} cannot start from a picture.", field="init", allowed="no init")
        if request.mask and base.family.mask is None:
            raise Refused(f"{base.family.title} cannot paint into a mask.", field="mask", allowed="no mask")
        return base

    def to_draw(self, trained: str, name: str) -> Base:
        """The base of that id, where it draws tunes of that family. Raises what `find` does, and Refused."""
        base = self.find(name)
        if not base.family.draws(trained):
            fitting = ", ".join(row.id for row in FAMILIES.values() if row.draws(trained))
            raise Refused(
                f"{shown(name)} cannot draw this tune: its weights do not fit {base.family.title}.",
                field="base",
                allowed=f"a base of one of the families {fitting}",
            )
        return base

    def check_tune(self, request: TuneRequest) -> Base:
        """What a training needs of its base and styles, before it costs anything. Raises Refused, WeightsMissing."""
        base = self.find(request.base)
        if base.family.training is None:
            allowed = ", ".join(row.id for row in FAMILIES.values() if row.training)
            raise Refused(
                f"{base.family.title} only draws: it cannot be trained. Train on the base it was made from.",
                field="base",
                allowed=f"a base of one of the families {allowed}",
            )
        if request.text_encoder and not base.family.training.text_encoders:
            raise Refused(
                f"The text encoder of {base.family.title} cannot be trained.", field="text_encoder", allowed="false"
            )
        for style in request.styles:
            style_of(self.styles, style)
        return base


def _names(folder: Path) -> set[str]:
    names = {
        index.parent.name for index in folder.glob("*/model_index.json") if not index.parent.name.endswith(".part")
    }
    return names | {file.stem for file in (folder / OWN).glob("*.safetensors")}


def _in_folder(name: str, path: Path, *, revision: str = "") -> Base:
    index = _json(path / "model_index.json")
    note = _note(path)
    kind = str(index.get("_class_name", ""))
    family = FAMILIES.get(str(note.get("family"))) or recognise(kind, distilled=bool(index.get("is_distilled")))
    if family is None:
        known = ", ".join(sorted({row.text.name for row in FAMILIES.values()}))
        raise Refused(f"The base {name} is a {kind}, which the studio cannot draw with.", field="base", allowed=known)
    return Base(
        id=name,
        family=family,
        path=path,
        single=False,
        revision=str(note.get("revision", revision)),
        licence=str(note.get("licence", "its author's")),
        paid_work=None,
    )


def _single(name: str, path: Path) -> Base:
    note = _json(path.with_suffix(".json"))
    family = FAMILIES.get(str(note.get("family"))) or family_of_file(path)
    return Base(
        id=name,
        family=family,
        path=path,
        single=True,
        revision=str(note.get("sha256", ""))[:10],
        licence="its author's",
        paid_work=None,
    )


def _note(path: Path) -> dict[str, Any]:
    return _json(path / NOTE)


def _json(path: Path) -> dict[str, Any]:
    """A JSON object, or an empty one where there is no such file or it is damaged: notes only add to what is known."""
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return body if isinstance(body, dict) else {}
