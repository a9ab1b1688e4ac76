"""What an exported file says of itself: what it is, how it was made, by which words it is called, and the licence."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from studio.domain import Tune
from studio.pipelines.bases import Base
from studio.pipelines.export.names import ORIGINALS
from studio.rules import canonical

MADE_BY = "Likeness"


@dataclass(frozen=True, kw_only=True)
class Source:
    """What an export is made of: the tune and its weights' file, its base, and a pipeline of the base into whose
    weights the tune was added."""

    tune: Tune
    file: Path
    base: Base
    pipeline: Any

    @property
    def subject(self) -> str:
        """The words that stand for whom the tune is of."""
        return str(self.tune.recipe["subject"])

    @property
    def prompt(self) -> str:
        """A prompt that the tune answers to: the one it was trained with."""
        return str(self.tune.recipe.get("prompt") or self.subject)

    @property
    def licence(self) -> str:
        """The base's licence, which what was made of it is under too."""
        told = self.tune.recipe.get("base")
        noted = cast(Mapping[str, object], told).get("licence") if isinstance(told, Mapping) else None
        return str(noted or self.base.licence)

    def recipe(self) -> dict[str, object]:
        """Everything about the tune that goes with its file: no account, no photos."""
        return {
            "made_by": MADE_BY,
            "name": self.tune.name,
            "subject": self.subject,
            "base": self.base.id,
            "licence": self.licence,
            "recipe": dict(self.tune.recipe),
        }


def metadata(source: Source, *, whole: bool) -> dict[str, str]:
    """The metadata of a file, in the words of the ModelSpec, and the recipe."""
    base, subject = source.base, source.subject
    side = base.family.native
    told = {
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.title": source.tune.name,
        "modelspec.description": f"A tune of {base.id}, made with {MADE_BY}. In a prompt it is called: {subject}",
        "modelspec.license": source.licence,
        "modelspec.trigger_phrase": subject,
        "modelspec.resolution": f"{side}x{side}",
        "likeness": canonical(source.recipe()),
    }
    predicted = str(source.pipeline.scheduler.config.get("prediction_type"))
    if predicted in PREDICTIONS:
        told["modelspec.prediction_type"] = PREDICTIONS[predicted]
    if base.family.original is not None:
        architecture = ORIGINALS[base.family.original].architecture
        told["modelspec.architecture"] = architecture if whole else f"{architecture}/lora"
    return told


PREDICTIONS: Mapping[str, str] = {"epsilon": "epsilon", "v_prediction": "v"}
"""The ModelSpec's word for what a network predicts, by diffusers'."""


def kohya_metadata(source: Source, *, rank: int, alpha: float) -> dict[str, str]:
    """What kohya's scripts write besides, of which AUTOMATIC1111 and others read the base and the words."""
    assert source.base.family.original is not None  # the form is offered to no other family
    photos = source.tune.recipe.get("photos") or 1
    return {
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(rank),
        "ss_network_alpha": f"{alpha:g}",
        "ss_base_model_version": ORIGINALS[source.base.family.original].version,
        "ss_sd_model_name": source.base.id,
        "ss_v2": "False",
        "ss_output_name": source.tune.name,
        "ss_tag_frequency": json.dumps({"likeness": {source.subject: photos}}, ensure_ascii=False),
    }


def read_me(source: Source) -> str:
    """The model card of a folder."""
    return f"""---
license: other
license_name: {source.licence}
base_model: {source.base.id}
library_name: diffusers
---

# {source.tune.name}

{source.base.id} with the tune {source.tune.name} in its weights, made with {MADE_BY}. Its licence is that of the base:
{source.licence}.

In a prompt it is called `{source.subject}`; it was trained with `{source.prompt}`.
How it was made stands in `likeness.json`.
"""
