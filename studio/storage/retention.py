"""What is due when, purely: the clocks of photos, models, avatars, exports and uploads. Knows no database.

Times are UTC in whole seconds. Nothing is due before its moment, and everything from then on; the next sweep carries
that out.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

HOUR = 3600
DAY = 24 * HOUR

MODEL_KEPT = 30 * DAY
"""After its training, and by what an extension adds."""
AFTER_LAPSE = 7 * DAY
"""After it was noticed that the plan that kept tunes does so no more."""
PHOTOS_AFTER_TRAINING = DAY
UPLOAD_KEPT = 7 * DAY
EXPORT_KEPT = DAY
PASSING_KEPT = DAY
"""What lies in the page's cache, or was left over by a crash."""
WARNED = (7 * DAY, DAY)
"""How long before a model or avatars go that is said."""
JUMP = 48 * HOUR
"""A clock that is farther ahead of the last sweep than this is not believed until another sweep agrees."""

What = Literal["photos", "model", "avatars", "export", "upload"]
Why = Literal["age", "extended", "lapse", "policy", "trained", "untrained", "handed-in", "made"]
"""age: 30 days after training; extended: so was it asked; lapse: 7 days after the plan's; policy: `delete-all`;
trained: 24 h after training succeeded; untrained: 7 days after upload; handed-in: the same, for a tool's picture;
made: 24 h after the export."""


@dataclass(frozen=True, kw_only=True)
class Due:
    """What goes when. `id` is a tune's (photos, model, avatars), a job's (export) or an upload's; `name` what a person
    calls it."""

    what: What
    id: str
    name: str
    at: int
    why: Why


@dataclass(frozen=True, kw_only=True)
class Model:
    """A tune as its clocks see it: `expires_at` without a plan; `kept` while a plan keeps it."""

    has_model: bool
    policy: str
    created_at: int
    trained_at: int | None
    ended_at: int | None
    expires_at: int | None
    kept: bool
    lapse_noticed_at: int | None


@dataclass(frozen=True, kw_only=True)
class Use:
    """A job that an upload was handed to: whether it still waits or runs, and when it has trained a tune."""

    active: bool
    trained_at: int | None


def model_due(model: Model) -> tuple[int, Why] | None:
    """When the model goes: at the latest of 30 days after training, its extension, and 7 days after its plan's lapse
    was noticed. None while a plan keeps it, and where there is none."""
    if not model.has_model or model.kept or model.expires_at is None or model.trained_at is None:
        return None
    why: Why = "extended" if model.expires_at > model.trained_at + MODEL_KEPT else "age"
    if model.lapse_noticed_at is not None and model.lapse_noticed_at + AFTER_LAPSE > model.expires_at:
        return model.lapse_noticed_at + AFTER_LAPSE, "lapse"
    return model.expires_at, why


def avatars_due(model: Model) -> tuple[int, Why] | None:
    """When all of a tune with the policy `delete-all` goes: with its model, or where it has none 30 days after its
    training ended. None where avatars stay, or nothing is due."""
    if model.policy != "delete-all":
        return None
    if model.has_model:
        due = model_due(model)
        return None if due is None else (due[0], "policy")
    return None if model.ended_at is None else (model.ended_at + MODEL_KEPT, "policy")


def upload_due(uploaded_at: int, uses: Iterable[Use]) -> tuple[int, Why] | None:
    """When an upload goes: 24 h after a training on it succeeded, else 7 days after it was handed in (last).

    None while a job needs it.
    """
    uses = tuple(uses)
    if any(use.active for use in uses):
        return None
    trained = [use.trained_at for use in uses if use.trained_at is not None and use.trained_at >= uploaded_at]
    if trained:
        return max(trained) + PHOTOS_AFTER_TRAINING, "trained"
    return uploaded_at + UPLOAD_KEPT, "handed-in"


def extended(model: Model, *, now: int) -> int:
    """Until when 30 days more keep a model: from its present end, or from now where a plan keeps it without end."""
    due = model_due(model)
    end = max(model.expires_at or now, now) if due is None else due[0]
    return end + MODEL_KEPT


def believed(now: int, *, seen: int | None) -> int:
    """Up to which moment what is due may be deleted, given when was last swept.

    A clock that is more than 48 h ahead of the last sweep may be wrong: then only what was due by that sweep goes, and
    the next one, which finds this one's time, agrees with it or does not.
    """
    if seen is None or now - seen <= JUMP:
        return now
    return seen


def warned(due: Due, *, now: int) -> int | None:
    """How many days before its end (7 or 1) a model or avatars have come to; None before that, and for all else."""
    if due.what not in ("model", "avatars"):
        return None
    passed = [before for before in WARNED if due.at - now <= before]
    return min(passed) // DAY if passed else None
