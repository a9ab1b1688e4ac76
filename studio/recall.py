"""What a picture says of how it was made, as settings to make another by.

Understands the pictures of AUTOMATIC1111 and of Fooocus too.
"""

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.domain import ImageRequest, Refused, Size
from studio.pipelines.bases import Bases
from studio.pipelines.families import SCHEDULERS
from studio.pipelines.recipe import read, read_parameters
from studio.rules import SIDE_LEAST, SIDE_MOST, SIDE_STEP

BEGINNINGS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF")  # of PNG, JPEG and WebP
READABLE = "a PNG, JPEG or WebP that was made here, by AUTOMATIC1111 or by Fooocus"
MOST_TEXT = 20_000  # bytes of settings that come as a text
# What others write into a prompt and what no base here reads: a LoRA to be added, and how much a word counts.
LORA = re.compile(r"\s*<(?:lora|lyco|hypernet):[^<>]*>")
WEIGHTED = re.compile(r"\(([^()<>]+?):\s*[0-2]?\.\d+\s*\)")  # with a point: "(at 10:30)" is a time


@dataclass(frozen=True, kw_only=True)
class Recalled:
    """Fields of `ImageRequest` that the picture tells, each one that may be asked for here; `lost` names what else it
    was made with, which another is not: a field that this machine cannot do, a picture to start from, a tune."""

    fields: Mapping[str, object]
    lost: tuple[str, ...] = ()


def of_file(content: bytes, bases: Bases) -> Recalled:
    """What a picture file tells, or a text as AUTOMATIC1111 copies it. Raises Refused where it is neither, or tells
    nothing."""
    if not content.startswith(BEGINNINGS):
        copied = _copied(content)
        if copied is None:
            raise Refused("This file is no picture that settings can be read from.", field="file", allowed=READABLE)
        return of_parameters(copied, bases)
    with tempfile.TemporaryDirectory(prefix="likeness-") as folder:
        path = Path(folder) / "picture"
        path.write_bytes(content)
        try:
            carried = read(path)
        except (ValueError, SyntaxError) as error:  # texts that unpack to more than Pillow takes, damaged chunks
            raise Refused("This picture's texts are damaged.", field="file", allowed=READABLE) from error
    if carried.recipe:
        return of_recipe(carried.recipe, bases)
    if carried.fields:
        return of_parameters(carried.fields, bases)
    raise Refused("This picture does not say how it was made.", field="file", allowed=READABLE)


def _copied(content: bytes) -> Mapping[str, str] | None:
    """The settings of a text, if they are what it holds."""
    try:
        told = read_parameters(content.decode()) if len(content) <= MOST_TEXT else {}
    except UnicodeDecodeError:
        return None
    return told if "Steps" in told else None


def of_recipe(recipe: Mapping[str, Any], bases: Bases) -> Recalled:
    """What one of the studio's own recipes tells. Nothing in it is taken on trust: it may come from any file."""
    said = recipe.get("asked")
    asked = said if isinstance(said, dict) else recipe
    base = recipe.get("base")
    size = recipe.get("asked_size")
    if not (isinstance(size, list) and len(size) == 2):
        size = [recipe.get("width"), recipe.get("height")]
    told = {
        "prompt": asked.get("prompt"),
        "negative": asked.get("negative"),
        "style": recipe.get("style"),
        "base": base.get("id") if isinstance(base, dict) else None,
        "width": size[0],
        "height": size[1],
        "steps": recipe.get("steps"),
        "guidance": recipe.get("guidance"),
        "scheduler": recipe.get("scheduler"),
        "seed": recipe.get("seed"),
        "super_resolution": recipe.get("super_resolution"),
    }
    aside = {"init": recipe.get("strength"), "tune": recipe.get("tune")}
    return _that_can_be_asked(told, bases, [name for name, value in aside.items() if value is not None])


def of_parameters(told: Mapping[str, str], bases: Bases) -> Recalled:
    """What AUTOMATIC1111's pairs tell. Sizes are brought to the nearest that may be asked for."""
    by_title = {title.lower(): id for id, title in SCHEDULERS.items()}
    sampler = told.get("Sampler", "").lower().removesuffix(" karras")
    texts = {"prompt": told.get("Prompt"), "negative": told.get("Negative prompt")}
    lost = [
        name
        for name, pattern in (("lora", LORA), ("weights", WEIGHTED))
        if any(pattern.search(text or "") for text in texts.values())
    ]
    fields: dict[str, Any] = {
        **{name: text and WEIGHTED.sub(r"\1", LORA.sub("", text)).strip(" ,") for name, text in texts.items()},
        "base": told.get("Model"),
        "steps": _whole(told.get("Steps")),
        "guidance": _number(told.get("CFG scale")),
        "scheduler": by_title.get(sampler, sampler or None),
        "seed": _whole(told.get("Seed")),
        "style": told.get("Style"),
    }
    if size := re.fullmatch(r"(\d{1,5})x(\d{1,5})", told.get("Size", "")):
        width, height = int(size[1]), int(size[2])
        larger = max(width, height) / SIDE_MOST
        lost += ["size"] if larger > 1 else []
        fields |= {"width": _side(width / max(larger, 1)), "height": _side(height / max(larger, 1))}
    return _that_can_be_asked(fields, bases, lost)


def _that_can_be_asked(told: Mapping[str, Any], bases: Bases, aside: Sequence[str] = ()) -> Recalled:
    """Every field that a request takes on its own, and the names of the others, those already put `aside` first."""
    given = {field: value for field, value in told.items() if value is not None}
    fields: dict[str, object] = {}
    lost = list(aside)
    # 1. Each by the request's own rules.
    for field, value in given.items():
        try:
            if field in ("width", "height"):
                Size(width=given.get("width", 0), height=given.get("height", 0))
            else:
                ImageRequest.from_json({"prompt": "any", field: value})
            fields[field] = value
        except Refused:
            lost.append("size" if field in ("width", "height") else field)
    # 2. By what there is: the base first, since the scheduler is one of the base's.
    base = str(fields.get("base", ImageRequest.base))
    there = {offer.id: offer.base for offer in bases.offers() if offer.base}
    if "base" in fields and base not in there:
        lost.append("base")
        del fields["base"]
    known = there.get(base)
    allowed = known.family.schedulers if known else tuple(SCHEDULERS)
    if "scheduler" in fields and fields["scheduler"] not in allowed:
        lost.append("scheduler")
        del fields["scheduler"]
    if "style" in fields and fields["style"] not in bases.styles:
        lost.append("style")
        del fields["style"]
    return Recalled(fields=fields, lost=tuple(dict.fromkeys(lost)))


def _side(pixels: float) -> int:
    nearest = round(pixels / SIDE_STEP) * SIDE_STEP
    return min(max(nearest, SIDE_LEAST), SIDE_MOST)


def _whole(words: str | None) -> int | str | None:
    return int(words) if words and re.fullmatch(r"\d{1,20}", words) else words


def _number(words: str | None) -> float | str | None:
    return float(words) if words and re.fullmatch(r"\d{1,5}(\.\d{1,10})?", words) else words
