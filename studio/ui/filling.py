"""What is put into the Playground's form: a recipe, or what a base does best with."""

from collections.abc import Mapping
from typing import Any

import gradio as gr

from studio.models import BaseInfo
from studio.ui.form import OWN_SIZE, PRESETS, sizes
from studio.ui.words import Words


def filled(words: Words, recalled: Mapping[str, Any], bases: Mapping[str, BaseInfo]) -> dict[str, Any]:
    """Updates by component name that make the form ask for these fields of a request; others stay as they are."""
    updates: dict[str, Any] = {}
    for name in ("prompt", "negative", "style", "count", "steps", "guidance", "super_resolution"):
        if name in recalled:
            updates[name] = gr.update(value=recalled[name])
    if "prompt" in recalled:
        # A recipe says what it has: what it does not name was not used.
        updates.setdefault("style", gr.update(value=""))
        updates.setdefault("negative", gr.update(value=""))
    if "base" in recalled:
        updates |= for_base(bases, str(recalled["base"]), values=False)
        updates["base"] = gr.update(value=recalled["base"])
    if "guidance" in recalled and "guidance" in updates:
        updates["guidance"] = {**updates["guidance"], "value": recalled["guidance"]}
    if "scheduler" in recalled:
        updates["scheduler"] = {**updates.get("scheduler", gr.update()), "value": recalled["scheduler"]}
    if "width" in recalled and "height" in recalled:
        updates |= _sized(words, int(recalled["width"]), int(recalled["height"]))
    if "seed" in recalled:
        updates |= {"seed": gr.update(value=recalled["seed"]), "random": gr.update(value=False)}
    return updates


def _sized(words: Words, width: int, height: int) -> dict[str, Any]:
    standing = f"{min(width, height)}x{max(width, height)}"
    own = standing not in PRESETS
    choices = sizes(words("form.own_size"), landscape=width > height and not own)
    return {
        "size": gr.update(value=OWN_SIZE if own else standing, choices=choices),
        "landscape": gr.update(value=width > height, visible=not own and width != height),
        "width": gr.update(value=width, visible=own),
        "height": gr.update(value=height, visible=own),
    }


def for_base(bases: Mapping[str, BaseInfo], base_id: str, *, values: bool = True) -> dict[str, Any]:
    """Updates that fit the form to a base: what it takes, and (`values`) what it does best with."""
    base = bases.get(base_id)
    if base is None:
        return {}
    choices = [(title, id) for id, title in base.schedulers]
    updates: dict[str, Any] = {
        "negative": gr.update(visible=base.takes_negative),
        "guidance": gr.update(visible=base.takes_guidance),
        "scheduler": gr.update(choices=choices, value=base.schedulers[0][0]),
    }
    if values:
        updates["guidance"] = gr.update(visible=base.takes_guidance, value=base.guidance)
        updates["steps"] = gr.update(value=base.steps)
        updates["strength"] = gr.update(value=base.strength)
    return updates
