"""The models of this machine: which there are, and how they get here. Needs no database and no torch."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from studio.pipelines.bases import Bases, Offer
from studio.pipelines.checkpoints import is_lora, read_header
from studio.pipelines.families import FAMILIES, SCHEDULERS, Family
from studio.pipelines.hub_cache import HUB
from studio.pipelines.weights import BaseModel, Catalogue, Weight, present
from studio.settings import Settings
from studio.styles.eights import Eights

if TYPE_CHECKING:
    from studio.pipelines.fetching import Fetched, Report


@dataclass(frozen=True, kw_only=True)
class TuneDefaults:
    """How a base is trained where nothing else is asked: steps, rank, and whether its text encoder learns too."""

    steps: int
    rank: int
    text_encoder: bool


@dataclass(frozen=True, kw_only=True)
class BaseInfo:
    """A base model as one may choose it. `schedulers` are ids with their titles, the default first; `guidance`,
    `steps` and `strength` the defaults of its family; `eights` by class the styles of a new tune's avatars, `tune` how
    it is trained, None where it only draws."""

    id: str
    title: str
    purpose: str
    licence: str
    paid_work: bool | None
    here: bool
    bytes: int
    schedulers: tuple[tuple[str, str], ...]
    guidance: float
    steps: int
    strength: float
    native: int
    takes_guidance: bool
    takes_negative: bool
    takes_init: bool
    takes_mask: bool
    eights: Eights
    tune: TuneDefaults | None


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """A file or base of the catalogue, or a base of one's own, as `models list` shows it."""

    id: str
    kind: str
    purpose: str
    licence: str
    paid_work: bool | None
    bytes: int
    default: bool
    path: Path | None


class Models:
    """The catalogue and the models folders."""

    def __init__(self, settings: Settings, bases: Bases, *, hub: str = HUB) -> None:
        self.settings = settings
        self.bases = bases
        self._hub = hub

    @classmethod
    def of(cls, settings: Settings, env: Mapping[str, str]) -> "Models":
        """`env` says where the Hugging Face cache lies and, as `HF_ENDPOINT`, which mirror stands for the Hub."""
        return cls(settings, Bases.of(settings, env), hub=env.get("HF_ENDPOINT") or HUB)

    @property
    def catalogue(self) -> Catalogue:
        return self.bases.catalogue

    def base_infos(self) -> list[BaseInfo]:
        """Every base, here or not."""
        families = {entry.id: entry.family for entry in self.catalogue.bases}
        return [
            _base_info(
                offer, offer.base.family if offer.base else FAMILIES[families[offer.id]], own=offer.id not in families
            )
            for offer in self.bases.offers()
        ]

    def infos(self) -> list[ModelInfo]:
        """Every base and every weight, here or not."""
        bases = [
            ModelInfo(
                id=offer.id,
                kind="base",
                purpose=offer.purpose,
                licence=offer.licence,
                paid_work=offer.paid_work,
                bytes=offer.bytes,
                default=False,
                path=offer.base.path if offer.base else None,
            )
            for offer in self.bases.offers()
        ]
        weights = [
            ModelInfo(
                id=weight.id,
                kind="weight",
                purpose=weight.purpose,
                licence=weight.licence,
                paid_work=weight.paid_work,
                bytes=weight.bytes,
                default=weight.default,
                path=present(weight, self.settings.model_folders),
            )
            for weight in self.catalogue.weights
        ]
        return bases + weights

    def entries(self, ids: list[str]) -> list[Weight | BaseModel]:
        """The catalogue's entries of these ids; of none, the small default set. Raises Refused naming what there is."""
        return [self.catalogue[name] for name in ids] if ids else list(self.catalogue.default_set)

    def fetch(self, ids: list[str], report: "Report") -> "Iterator[Fetched]":
        """Fetches what is missing of these (of none: of the default set), and yields what became of each.

        Raises Refused before anything is fetched where an id is not known, and StorageFailed.
        """
        fetching = import_module("studio.pipelines.fetching")
        return fetching.fetch(
            self.entries(ids),
            self.settings.models,
            report,
            folders=self.settings.model_folders[1:],
            cache=self.bases.cache,
            hub=self._hub,
        )

    def is_lora(self, file: Path) -> bool:
        """Whether a .safetensors file is a LoRA, by its names. Raises what `add` does."""
        return is_lora(read_header(file))

    def add(self, file: Path, *, overwrite: bool = False) -> Path:
        """Takes a base model in one .safetensors file into the models folder, once all of its parts are found to be
        there, of their shapes, and finite; its name is the base's id from then on.

        Raises Refused, BrokenWeights, NotFound, Conflict (the name is taken) and StorageFailed.
        """
        import_module("studio.pipelines.imports").check_base(file)
        checkpoints = import_module("studio.pipelines.checkpoints")
        return checkpoints.add_file(file, self.settings.models, overwrite=overwrite)


def _base_info(offer: Offer, family: Family, *, own: bool) -> BaseInfo:
    trained = family.training
    return BaseInfo(
        id=offer.id,
        title=offer.id if own else _as_a_name(family.title),  # of one's own there may be many of a family
        purpose=offer.purpose,
        licence=offer.licence,
        paid_work=offer.paid_work,
        here=offer.base is not None,
        bytes=offer.bytes,
        schedulers=tuple((id, SCHEDULERS[id]) for id in family.schedulers),
        guidance=family.guidance,
        steps=family.steps,
        strength=family.strength,
        native=family.native,
        takes_guidance=family.guided,
        takes_negative=family.negative,
        takes_init=family.init is not None,
        takes_mask=family.mask is not None,
        eights=family.eights,
        tune=trained and TuneDefaults(steps=trained.steps, rank=trained.rank, text_encoder=trained.text),
    )


def _as_a_name(title: str) -> str:
    """A title as it stands in a list of any language, without the article that it has in an English sentence."""
    name = title.removeprefix("the ")
    return name[:1].upper() + name[1:]
