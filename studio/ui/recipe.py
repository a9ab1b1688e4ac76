"""How a picture was made, as a person reads it."""

from collections.abc import Mapping

from studio.domain import Picture
from studio.ui.visit import Visit
from studio.ui.words import Words

SHOWN = ("steps", "sampler", "guidance", "strength")


def pairs(visit: Visit, picture: Picture) -> list[tuple[str, str]]:
    """Names and values of everything the recipe tells, in the order one asks for it."""
    words, recipe = visit.words, picture.recipe
    asked = recipe.get("asked")
    told = asked if isinstance(asked, dict) else recipe
    found: list[tuple[str, object]] = [
        ("prompt", told.get("prompt")),
        ("negative", told.get("negative")),
        ("style", visit.style_title(picture.style) if picture.style else None),
        ("base", visit.base_titles().get(picture.base, picture.base) if picture.base else None),
        ("seed", picture.seed),
        ("size", f"{picture.width} x {picture.height}"),
    ]
    found += [(key, recipe.get(key)) for key in SHOWN]
    found += [("super_resolution", words("recipe.yes") if recipe.get("super_resolution") else None)]
    found += [("done", _done(words, step)) for step in steps_of(picture)]
    return [(words(f"recipe.{key}"), _shown(value)) for key, value in found if value not in (None, "")]


def steps_of(picture: Picture) -> list[Mapping[str, object]]:
    """What each tool that has worked on the picture says it did, in order."""
    steps = picture.recipe.get("tools")
    return [step for step in steps if isinstance(step, dict)] if isinstance(steps, list) else []


def _done(words: Words, step: Mapping[str, object]) -> str:
    """`Upscaled: 512 x 512 -> 2048 x 2048, realesrgan-x4plus`."""
    sides = [
        " x ".join(str(side) for side in size) for key in ("from", "to") if isinstance(size := step.get(key), list)
    ]
    told = [" → ".join(dict.fromkeys(sides)), str(step.get("model") or "")]
    kind = f"kind.{step.get('tool')}"
    name = words(kind) if words.has(kind) else str(step.get("tool") or "")
    said = ", ".join(one for one in told if one)
    return f"{name}: {said}" if said else name


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
