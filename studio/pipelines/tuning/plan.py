"""What a request for a training comes to: everything settled that its base's row settles, and the recipe of it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from studio.domain import TuneRequest
from studio.pipelines import loading
from studio.pipelines.bases import Base, Bases
from studio.pipelines.device import Device
from studio.pipelines.families import Training
from studio.pipelines.versions import versions
from studio.rules import canonical
from studio.tunes import subject_of


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A request with everything settled that its base's row settles."""

    request: TuneRequest
    base: Base
    training: Training
    steps: int
    rank: int
    text: bool
    prompt: str
    seed: int
    revision: str
    belongs: str
    """What of it a checkpoint must agree with."""


def plan_of(bases: Bases, request: TuneRequest) -> Plan:
    """Raises Refused and WeightsMissing, where the request does not fit what is here."""
    base = bases.check_tune(request)
    training = base.family.training
    assert training is not None and request.seed is not None  # check_tune and resolve saw to it
    prompt = training.prompt.format(subject=subject_of(request.class_name))
    steps = training.steps if request.steps is None else request.steps
    revision = loading.revision_of(base)
    return Plan(
        request=request,
        base=base,
        training=training,
        steps=steps,
        rank=training.rank if request.rank is None else request.rank,
        text=training.text if request.text_encoder is None else request.text_encoder,
        prompt=f"{prompt}, {request.caption}" if request.caption else prompt,
        seed=request.seed,
        revision=revision,
        belongs=hashlib.sha256(canonical([request.to_json(), base.id, revision, steps]).encode()).hexdigest(),
    )


def written(plan: Plan, device: Device) -> Mapping[str, object]:
    """How the tune was made; what is written beside its weights."""
    return {
        "format": 1,
        "kind": plan.request.kind,
        "class": plan.request.class_name,
        "subject": subject_of(plan.request.class_name),
        "prompt": plan.prompt,
        "native": plan.base.family.native,
        "draws_in": plan.base.family.steps,
        "base": {
            "id": plan.base.id,
            "family": plan.base.family.id,
            "revision": plan.revision,
            "licence": plan.base.licence,
        },
        "steps": plan.steps,
        "rank": plan.rank,
        "text_encoder": plan.text,
        "photos": len(plan.request.photos),
        "seed": plan.seed,
        "device": device.torch.type,
        "precision": str(device.precision),
        "versions": versions(),
    }
