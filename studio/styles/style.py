"""A style and its category: what it says, whom it fits, and how it takes in what was asked for."""

import re
from dataclasses import dataclass

from studio.tunes import CLASSES

SUBJECT = "{subject}"
MOST_TOKENS = 60
"""Of a style alone: the text encoders of Stable Diffusion read 75 and two marks, and the subject needs some of them."""

GROUPS = {
    "people": ("person", "man", "woman"),
    "children": ("boy", "girl"),
    "everyone": ("person", "man", "woman", "boy", "girl", "couple"),
    "pets": ("dog", "cat"),
}
"""Words that a file may use for several classes at once."""

_OPENING = re.compile(
    r"\s*(an?\s+|the\s+)?(portrait|photo|photograph|picture|image|avatar|drawing|painting|headshot)\s+of\b",
    re.IGNORECASE,
)
_PIECE = re.compile(r"[^\W\d_]+|\d|[^\w\s]|_")


@dataclass(frozen=True, kw_only=True)
class Category:
    """A shelf of styles. `order` says where it stands among the others."""

    id: str
    title: str
    german: str
    order: int

    def titled(self, language: str) -> str:
        """Its title in a language of the page ("en", "de")."""
        return self.german if language == "de" else self.title

    def __str__(self) -> str:
        return self.title


@dataclass(frozen=True, kw_only=True)
class Style:
    """A style: `prompt` has `{subject}` where the asker's words go, `negative` is added to his.

    `fits` are the classes (of a tune) that it makes sense for, in their usual order.
    """

    id: str
    title: str
    german: str
    prompt: str
    negative: str
    fits: tuple[str, ...]
    category: Category

    def titled(self, language: str) -> str:
        """Its title in a language of the page ("en", "de")."""
        return self.german if language == "de" else self.title

    @property
    def fits_groups(self) -> tuple[str, ...]:
        """The classes it fits in few words: `everyone, pets`."""
        left = set(self.fits)
        if left == set(CLASSES):
            return ("all",)
        said: list[str] = []
        for group in ("everyone", "people", "children", "pets"):
            if left.issuperset(GROUPS[group]):
                said.append(group)
                left -= set(GROUPS[group])
        return (*said, *(one for one in CLASSES if one in left))

    def apply(self, prompt: str, negative: str) -> tuple[str, str]:
        """The prompt and the negative prompt in this style.

        A style that begins "portrait of" leaves that out where the asker has begun like that himself.
        """
        subject = prompt.strip()
        subject = subject.rstrip(" ,.;\n") or subject
        before, _, after = self.prompt.partition(SUBJECT)
        if _OPENING.fullmatch(before.rstrip()) and _OPENING.match(subject):
            before = ""
        words = [part for part in (negative.strip(), self.negative) if part]
        return before + subject + after, ", ".join(words)


def tokens_of(words: str) -> int:
    """About how many tokens CLIP's tokenizer makes of a text: at least as many as it really does, but for oddities.

    Every word is one and one more for each six letters after the first six, every digit and mark one, every letter
    beyond ASCII two.
    """
    count = 0
    for piece in _PIECE.findall(words.lower()):
        if piece.isascii():
            count += 1 + (len(piece) - 1) // 6
        else:
            count += 2 * len(piece)
    return count
