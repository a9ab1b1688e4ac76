"""What a drawn portrait shows and the words for it: attributes, colours, captions.

The words and their colours are a promise of the studio: prompts ask in these words, and the judge scores them.
This module knows nothing about how a portrait is drawn.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random

SKINS: Mapping[str, tuple[str, ...]] = {
    "light": ("#f8d9c0", "#f2c9a8"),
    "tan": ("#d9a066", "#cf9a62"),
    "brown": ("#a5673f", "#98603a"),
    "dark": ("#5c3829", "#54321f"),
}
HAIRS: Mapping[str, str] = {
    "black": "#1c1414",
    "brown": "#6a3d22",
    "blonde": "#e2c066",
    "red": "#b5371c",
    "gray": "#a9a9ad",
    "pink": "#f08cb4",
    "blue": "#3f6fd1",
    "green": "#3f9e57",
}
BACKGROUNDS: Mapping[str, str] = {
    "white": "#ffffff",
    "blue": "#8ec7f0",
    "green": "#a5dba0",
    "yellow": "#f7df8b",
    "pink": "#f6c0d4",
    "purple": "#c6b2ec",
    "gray": "#c9ced6",
    "orange": "#f6bd8a",
    "teal": "#84d6cf",
    "red": "#e98b84",
}
SHIRTS: Mapping[str, str] = {
    "black": "#2a2a30",
    "white": "#eceff1",
    "blue": "#2f6fd0",
    "green": "#2f9a58",
    "red": "#cc3b3b",
    "yellow": "#edc33f",
    "purple": "#7d4cc0",
    "orange": "#ef8a3c",
    "pink": "#ec78ac",
    "gray": "#8a929c",
}
LENGTHS = ("short", "long")
MOODS = ("smiling", "serious")
SUBJECTS = ("person", "man", "woman")


@dataclass(frozen=True, kw_only=True)
class ArtStyle:
    """An art style: the name prompts use, the drawing it comes from, and what it can show beyond the common."""

    name: str
    source: str
    glasses: bool = False
    beard: bool = False
    shirt: bool = False

    def shows(self, attribute: str) -> bool:
        """Whether a portrait in this style can show `attribute`; the judge scores only what can be seen."""
        return {"glasses": self.glasses, "beard": self.beard, "shirt": self.shirt}.get(attribute, True)


STYLES: tuple[ArtStyle, ...] = (
    ArtStyle(name="flat cartoon", source="avataaars", glasses=True, beard=True, shirt=True),
    ArtStyle(name="storybook", source="adventurer", glasses=True),
    ArtStyle(name="toon", source="toon-head", beard=True, shirt=True),
    ArtStyle(name="comic", source="big-smile", glasses=True),
    ArtStyle(name="minimal vector", source="personas", glasses=True, beard=True, shirt=True),
    ArtStyle(name="pixel art", source="pixel-art", glasses=True, beard=True, shirt=True),
)
STYLE_OF: Mapping[str, ArtStyle] = {style.name: style for style in STYLES}

# What the judge marks, and the classes of each, in a fixed order.
ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "style": tuple(STYLE_OF),
    "background": tuple(BACKGROUNDS),
    "hair": tuple(HAIRS),
    "skin": tuple(SKINS),
    "length": LENGTHS,
    "glasses": ("no", "yes"),
    "beard": ("no", "yes"),
    "mood": MOODS,
    "shirt": tuple(SHIRTS),
}


@dataclass(frozen=True, kw_only=True)
class Portrait:
    """Everything that a drawn portrait shows. What its style cannot show is chosen all the same, and left unsaid."""

    subject: str
    style: str
    skin: str
    hair: str
    length: str
    glasses: str
    beard: str
    mood: str
    shirt: str
    background: str

    def classes(self) -> dict[str, int]:
        """The class number of each attribute; -1 where the style cannot show it."""
        style = STYLE_OF[self.style]
        return {
            name: values.index(getattr(self, name)) if style.shows(name) else -1 for name, values in ATTRIBUTES.items()
        }


def draw_lots(random: Random) -> Portrait:
    """A random portrait. Cut and beard lean towards what the subject's word makes people expect."""
    subject = random.choice(SUBJECTS)
    long_share, beard_share = {"person": (0.5, 0.25), "man": (0.25, 0.45), "woman": (0.75, 0.0)}[subject]
    return Portrait(
        subject=subject,
        style=random.choice(STYLES).name,
        skin=random.choice(tuple(SKINS)),
        hair=random.choice(tuple(HAIRS)),
        length="long" if random.random() < long_share else "short",
        glasses="yes" if random.random() < 0.4 else "no",
        beard="yes" if random.random() < beard_share else "no",
        mood=random.choice(MOODS),
        shirt=random.choice(tuple(SHIRTS)),
        background=random.choice(tuple(BACKGROUNDS)),
    )


def sitter_photos(sitter: Portrait, count: int, random: Random) -> list[Portrait]:
    """`count` portraits of one sitter in one style: mood, shirt and background change, the rest is his."""
    return [
        replace(
            sitter,
            mood=random.choice(MOODS),
            shirt=random.choice(tuple(SHIRTS)),
            background=random.choice(tuple(BACKGROUNDS)),
        )
        for _ in range(count)
    ]


def prompt(portrait: Portrait) -> str:
    """The full prompt: every attribute the style can show. What is absent (glasses, a beard) is not mentioned."""
    style = STYLE_OF[portrait.style]
    wears = [f"{portrait.length} {portrait.hair} hair", f"{portrait.skin} skin"]
    if style.glasses and portrait.glasses == "yes":
        wears.append("glasses")
    if style.beard and portrait.beard == "yes":
        wears.append("a beard")
    parts = [f"portrait of a {portrait.mood} {portrait.subject} with {', '.join(wears)}"]
    if style.shirt:
        parts.append(f"{portrait.shirt} shirt")
    return ", ".join([*parts, f"{portrait.background} background", f"{portrait.style} style"])


_OPENINGS = ("portrait of a", "a portrait of a", "avatar of a", "a picture of a", "a")
_KEPT = 0.88  # how often an attribute that can be left out is named
_PRESENCE_KEPT = 0.96  # glasses and beards are nearly always named, so that silence means absence


def caption(portrait: Portrait, random: Random) -> str:
    """A training caption: parts shuffled and left out now and then, one in ten empty, one in twenty the bare subject.

    The empty ones train the unconditional case of classifier-free guidance (Ho and Salimans, 2022,
    https://arxiv.org/abs/2207.12598); the bare ones give the class word a meaning of its own for tuning.
    """
    lot = random.random()
    if lot < 0.10:
        return ""
    if lot < 0.15:
        return f"{random.choice(_OPENINGS[:4])} {portrait.subject}"
    if lot < 0.23:
        return f"{random.choice(_OPENINGS[:4])} {portrait.subject}, {portrait.style} style"

    style = STYLE_OF[portrait.style]

    def named(share: float = _KEPT) -> bool:
        return random.random() < share

    wears: list[str] = []
    hair = " ".join([portrait.length] * named() + [portrait.hair] * named(0.94))
    if hair:
        wears.append(f"{hair} hair")
    if named(0.94):
        wears.append(f"{portrait.skin} skin")
    if style.glasses:
        if portrait.glasses == "yes" and named(_PRESENCE_KEPT):
            wears.append(random.choice(("glasses", "glasses", "eyeglasses")))
        elif portrait.glasses == "no" and not named(0.94):
            wears.append("no glasses")
    if style.beard:
        if portrait.beard == "yes" and named(_PRESENCE_KEPT):
            wears.append(random.choice(("a beard", "a beard", "beard")))
        elif portrait.beard == "no" and not named(0.94):
            wears.append(random.choice(("no beard", "clean shaven")))
    random.shuffle(wears)

    who = f"{portrait.mood} {portrait.subject}" if named() else portrait.subject
    parts = [f"{random.choice(_OPENINGS)} {who}" + (f" with {', '.join(wears)}" if wears else "")]
    rest: list[str] = []
    if style.shirt and named():
        rest.append(
            random.choice((f"{portrait.shirt} shirt", f"{portrait.shirt} shirt", f"wearing a {portrait.shirt} shirt"))
        )
    if named():
        rest.append(
            random.choice((f"{portrait.background} background",) * 3 + (f"on a {portrait.background} background",))
        )
    if named(0.92):
        rest.append(f"{portrait.style} style")
    random.shuffle(rest)
    if rest and random.random() < 0.1:  # some people put the style first
        return ", ".join([rest[-1], *parts, *rest[:-1]])
    return ", ".join([*parts, *rest])
