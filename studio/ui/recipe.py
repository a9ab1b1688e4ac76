"""How a picture was made, as a person reads it."""

from studio.domain import Picture
from studio.ui.words import Words

SHOWN = ("steps", "sampler", "guidance", "strength")


def pairs(words: Words, picture: Picture) -> list[tuple[str, str]]:
    """Names and values of everything the recipe tells, in the order one asks for it."""
    recipe = picture.recipe
    asked = recipe.get("asked")
    told = asked if isinstance(asked, dict) else recipe
    found: list[tuple[str, object]] = [
        ("prompt", told.get("prompt")),
        ("negative", told.get("negative")),
        ("style", picture.style),
        ("base", picture.base),
        ("seed", picture.seed),
        ("size", f"{picture.width} x {picture.height}"),
    ]
    found += [(key, recipe.get(key)) for key in SHOWN]
    return [(words(f"recipe.{key}"), _shown(value)) for key, value in found if value not in (None, "")]


def parameters(picture: Picture) -> str:
    """The recipe in the form that AUTOMATIC1111, Forge and others take from the clipboard."""
    recipe = picture.recipe
    lines = [str(recipe.get("prompt", ""))]
    if recipe.get("negative"):
        lines.append(f"Negative prompt: {recipe['negative']}")
    found = {
        "Steps": recipe.get("steps"),
        "Sampler": recipe.get("sampler"),
        "Schedule type": recipe.get("schedule"),
        "CFG scale": recipe.get("guidance"),
        "Seed": picture.seed,
        "Size": f"{picture.width}x{picture.height}",
        "Model": picture.base,
        "Denoising strength": recipe.get("strength"),
    }
    lines.append(", ".join(f"{key}: {_shown(value)}" for key, value in found.items() if value not in (None, "")))
    return "\n".join(lines)


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
