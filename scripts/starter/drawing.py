"""Draws portraits as pictures: DiceBear's vector styles with the studio's own colours, rasterised by resvg.

Only variants that show an attribute beyond doubt are used: a "long" cut passes the chin, a "smiling" mouth smiles.
The licences and credits of the styles stand in `models/starter/README.md`.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from random import Random
from typing import Any

import resvg_py
from dicebear import Avatar, Style
from PIL import Image

from starter.portrait import BACKGROUNDS, HAIRS, SHIRTS, SKINS, STYLE_OF, Portrait

NATIVE = 128
# Shapes (width, height) of about 128 x 128 pixels in area: the native form of each aspect the studio offers.
SHAPES: tuple[tuple[int, int], ...] = (
    (128, 128),
    (104, 152),
    (152, 104),
    (112, 144),
    (144, 112),
    (88, 184),
    (184, 88),
)
INK = "#2b2730"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one source shows the attributes: variant names of its components for each choice, and fixed options."""

    short: tuple[Mapping[str, Any], ...]
    long: tuple[Mapping[str, Any], ...]
    smiling: tuple[Mapping[str, Any], ...]
    serious: tuple[Mapping[str, Any], ...]
    fixed: Mapping[str, Any]
    glasses: tuple[Mapping[str, Any], ...] = ({},)
    no_glasses: tuple[Mapping[str, Any], ...] = ({},)
    beard: tuple[Mapping[str, Any], ...] = ({},)
    no_beard: Mapping[str, Any] | None = None
    hair_colours: tuple[str, ...] = ("hairColor",)
    shirt_colour: str | None = None


def _each(component: str, *variants: str, **more: Any) -> tuple[Mapping[str, Any], ...]:
    return tuple({f"{component}Variant": [v], f"{component}Probability": 100, **more} for v in variants)


def _absent(component: str) -> Mapping[str, Any]:
    return {f"{component}Probability": 0}


RECIPES: Mapping[str, Recipe] = {
    "avataaars": Recipe(
        short=_each("top", "shortFlat", "shortRound", "shortWaved", "theCaesar", "dreads01", "shortCurly"),
        long=_each("top", "straight01", "straight02", "straightAndStrand", "bob", "longButNotTooLong", "miaWallace"),
        smiling=_each("mouth", "smile", eyebrowsVariant=["default", "raisedExcited"]),
        serious=_each("mouth", "serious", "sad", eyebrowsVariant=["flatNatural", "sadConcerned"]),
        glasses=_each("accessories", "prescription01", "prescription02", "round", "wayfarers"),
        no_glasses=(_absent("accessories"),),
        beard=_each("facialHair", "beardLight", "beardMedium", "beardMajestic"),
        no_beard=_absent("facialHair"),
        hair_colours=("hairColor", "facialHairColor"),
        shirt_colour="clothesColor",
        fixed={
            "eyesVariant": ["default"],
            "clothesVariant": ["shirtCrewNeck", "shirtScoopNeck", "shirtVNeck", "hoodie"],
            "accessoriesColor": ["#262e33"],
        },
    ),
    "adventurer": Recipe(
        short=_each("hair", *(f"short{n:02}" for n in (1, 4, 7, 8, 10, 11, 14, 17))),
        long=_each("hair", *(f"long{n:02}" for n in (1, 4, 5, 7, 9, 17, 24))),
        smiling=_each("mouth", "variant05", "variant22", "variant23", "variant25"),
        serious=_each("mouth", "variant04", "variant09", "variant10"),
        glasses=_each("glasses", "variant01", "variant02", "variant04", "variant05"),
        no_glasses=(_absent("glasses"),),
        fixed={
            "eyesVariant": ["variant01", "variant24", "variant25", "variant26"],
            "eyebrowsVariant": ["variant01", "variant02", "variant10"],
            "glassesColor": ["#262e33"],
            **_absent("details"),
            **_absent("earrings"),
        },
    ),
    "toon-head": Recipe(
        short=_each("hair", "sideComed", "spiky", "undercut", **_absent("rearHair")),
        long=_each("rearHair", "longStraight", "longWavy", hairVariant=["sideComed", "undercut"]),
        smiling=_each("mouth", "laugh", eyebrowsVariant=["happy", "raised"]),
        serious=_each("mouth", "sad", eyebrowsVariant=["neutral", "angry"]),
        beard=_each("beard", "fullBeard", "longBeard"),
        no_beard=_absent("beard"),
        shirt_colour="clothesColor",
        fixed={"eyesVariant": ["happy", "wide"], "clothesVariant": ["tShirt", "turtleNeck"]},
    ),
    "big-smile": Recipe(
        short=_each("hair", "bowlCutHair", "shavedHead", "shortHair", "curlyShortHair"),
        long=_each("hair", "bangs", "straightHair", "wavyBob"),
        smiling=_each("mouth", "openedSmile", "gapSmile", "teethSmile"),
        serious=_each("mouth", "unimpressed", "openSad"),
        glasses=_each("accessories", "glasses", "sunglasses"),
        no_glasses=(_absent("accessories"),),
        fixed={"eyesVariant": ["normal", "cheery"]},
    ),
    "personas": Recipe(
        short=_each("hair", "fade", "shortCombover", "shortComboverChops"),
        long=_each("hair", "bobBangs", "bobCut", "extraLong", "long"),
        smiling=_each("mouth", "smile", "bigSmile"),
        serious=_each("mouth", "frown"),
        glasses=_each("eyes", "glasses", "sunglasses"),
        no_glasses=_each("eyes", "open"),
        beard=_each("facialHair", "beardMustache"),
        no_beard=_absent("facialHair"),
        hair_colours=("hairColor", "facialHairColor"),
        shirt_colour="clothingColor",
        fixed={"clothesVariant": ["rounded", "squared"], "noseVariant": ["mediumRound", "smallRound"]},
    ),
    "pixel-art": Recipe(
        short=_each("hair", *(f"short{n:02}" for n in (1, 2, 6, 14, 15, 16, 17))),
        long=_each("hair", *(f"long{n:02}" for n in (1, 3, 7, 9, 12, 13, 20, 21))),
        smiling=_each("mouth", "happy09", "happy12"),
        serious=_each("mouth", "sad06", "sad07", "sad05"),
        glasses=_each("glasses", "light02", "light05", "light06", "light07"),
        no_glasses=(_absent("glasses"),),
        beard=_each("beard", "variant03"),
        no_beard=_absent("beard"),
        shirt_colour="clothingColor",
        fixed={
            "clothesVariant": [f"variant{n:02}" for n in (1, 2, 3, 4)],
            "eyesVariant": ["variant01", "variant06"],
            "eyesColor": ["#5b7c8b"],
            "glassesColor": ["#262e33"],
            "mouthColor": ["#c8483f"],
            **_absent("hat"),
            **_absent("accessories"),
        },
    ),
}


@cache
def _source(name: str) -> Style:
    return Style(json.loads((resources.files("dicebear_styles") / f"{name}.json").read_text(encoding="utf-8")))


def cut_seed(portrait: Portrait) -> int:
    """A number that fixes the variants of a sitter's cut, glasses and beard, so that he looks himself in each photo."""
    sitter = (portrait.subject, portrait.style, portrait.skin, portrait.hair, portrait.length)
    return sum(ord(letter) * 31**place for place, letter in enumerate("".join(sitter))) % 2**31


def _options(portrait: Portrait, random: Random, cut: Random) -> dict[str, Any]:
    style = STYLE_OF[portrait.style]
    recipe = RECIPES[style.source]
    options: dict[str, Any] = dict(recipe.fixed)
    options |= cut.choice(recipe.long if portrait.length == "long" else recipe.short)
    options |= cut.choice(recipe.glasses if portrait.glasses == "yes" else recipe.no_glasses)
    if recipe.no_beard is not None:
        options |= cut.choice(recipe.beard) if portrait.beard == "yes" else recipe.no_beard
    options |= random.choice(recipe.smiling if portrait.mood == "smiling" else recipe.serious)
    options |= {colour: [HAIRS[portrait.hair]] for colour in recipe.hair_colours}
    if recipe.shirt_colour:
        options[recipe.shirt_colour] = [SHIRTS[portrait.shirt]]
    options["skinColor"] = [cut.choice(SKINS[portrait.skin])]
    options["backgroundColor"] = [BACKGROUNDS[portrait.background]]
    options["seed"] = str(random.getrandbits(32))
    return options


def draw(
    portrait: Portrait, random: Random, *, shape: tuple[int, int] = (NATIVE, NATIVE), cut: Random | None = None
) -> Image.Image:
    """The portrait as an RGB picture of `shape` (width, height), one whole head on its background colour.

    `cut` decides the variant of hair, glasses and beard, and the shade of skin: pass one seeded by `cut_seed` to draw
    the same sitter again; by default it is as free as the rest.
    """
    width, height = shape
    svg = Avatar(_source(STYLE_OF[portrait.style].source), _options(portrait, random, cut or random)).to_string()
    # The drawing is square. It fills a landscape's height; in a portrait it may pass the sides a little, for a larger
    # head. It always stands on the lower edge, where the shoulders are cut.
    side = min(height, round(width * 1.12))
    png = resvg_py.svg_to_bytes(svg_string=svg, width=side, height=side)
    picture = Image.open(io.BytesIO(bytes(png))).convert("RGB")
    if side == width == height:
        return picture
    canvas = Image.new("RGB", shape, BACKGROUNDS[portrait.background])
    lift = 0 if RECIPES[STYLE_OF[portrait.style].source].shirt_colour else (height - side) // 2
    canvas.paste(picture, ((width - side) // 2, height - side - lift))
    return canvas
