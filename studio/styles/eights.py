"""The eight styles that a new tune's avatars are made in where nobody chose others, by the tune's class."""

from collections.abc import Mapping

from studio.styles.style import GROUPS
from studio.tunes import CLASSES

Eights = Mapping[str, tuple[str, ...]]

DRAWN: Eights = dict.fromkeys(
    CLASSES,
    (
        "flat-cartoon",
        "storybook",
        "toon",
        "comic",
        "minimal-vector",
        "pixel-art",
        "comic-on-yellow",
        "storybook-on-teal",
    ),
)
"""For the starter, which knows six art styles and the colours of backgrounds, and nothing else."""

_PEOPLE = (
    "headshot-grey-backdrop",
    "headshot-under-trees",
    "film-noir",
    "oil-impasto",
    "watercolour",
    "animated-feature-3d",
    "cyberpunk-alley",
    "knight-of-dawn",
)
_CHILDREN = (
    "headshot-under-trees",
    "child-treehouse",
    "child-dinosaur-friend",
    "watercolour",
    "cosy-anime",
    "animated-feature-3d",
    "astronaut",
    "autumn-forest",
)
_COUPLE = (
    "couple-engagement",
    "couple-city-walk",
    "film-noir",
    "roaring-twenties",
    "oil-impasto",
    "watercolour",
    "animated-feature-3d",
    "couple-comic-duo",
)
_PETS = (
    "pet-studio",
    "pet-royal",
    "pet-flowers",
    "pet-autumn-leaves",
    "pet-watercolour",
    "oil-impasto",
    "animated-feature-3d",
    "pet-superhero",
)
_OBJECT = (
    "product-white",
    "product-black-gloss",
    "product-pastel-podium",
    "museum-exhibit",
    "dutch-still-life",
    "watercolour",
    "blueprint",
    "low-poly",
)

GENERAL: Eights = {
    **dict.fromkeys(GROUPS["people"], _PEOPLE),
    **dict.fromkeys(GROUPS["children"], _CHILDREN),
    **dict.fromkeys(GROUPS["pets"], _PETS),
    "couple": _COUPLE,
    "object": _OBJECT,
}
"""For bases that know photographs and the arts: some of each, the most asked for first."""
