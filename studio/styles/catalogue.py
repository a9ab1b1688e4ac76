"""All styles there are: by id, by category and class, and found by words."""

import logging
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path

from studio.errors import Refused
from studio.rules import shown
from studio.styles.files import read_file
from studio.styles.style import Category, Style
from studio.tunes import CLASSES

FOLDER = Path(__file__).parent
SHORT = 3  # letters
NAMED = 8  # so many of the styles there are stand in a refusal

log = logging.getLogger(__name__)


class Styles(Mapping[str, Style]):
    """The styles by id, category by category. `troubles` tell which of the operator's files were left out, and why."""

    def __init__(self, styles: Iterable[Style], troubles: Iterable[Refused] = ()) -> None:
        in_order = sorted(styles, key=lambda style: style.category.order)  # stable: else as the files have them
        self._styles = {style.id: style for style in in_order}
        self.troubles = tuple(troubles)

    def __getitem__(self, key: str) -> Style:
        return self._styles[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._styles)

    def __len__(self) -> int:
        return len(self._styles)

    @cached_property
    def categories(self) -> tuple[Category, ...]:
        """Every category that has styles, in order."""
        return tuple({style.category.id: style.category for style in self.values()}.values())

    def find(self, words: str = "", *, category: str | None = None, class_name: str | None = None) -> list[Style]:
        """The styles that have every one of the words (in either language's titles, the category or the prompt), of one
        category and for one class; those with the words in their title come first.

        `category` is an id or a title. Raises Refused where there is no such category or class, naming those there are.
        """
        if class_name is not None and class_name not in CLASSES:
            allowed = ", ".join(CLASSES)
            raise Refused(f"There is no class {shown(class_name)}.", field="class_name", allowed=allowed)
        shelf = None if category is None else self._category(category)
        asked = _words(words)
        found: list[tuple[int, Style]] = []
        for style in self.values():
            if shelf is not None and style.category != shelf:
                continue
            if class_name is not None and class_name not in style.fits:
                continue
            places = self._places[style.id] if asked else ()
            ranks = [next((rank for rank, place in enumerate(places) if _is_in(word, place)), None) for word in asked]
            if None not in ranks:
                found.append((sum(rank for rank in ranks if rank), style))
        return [style for _, style in sorted(found, key=lambda one: one[0])]

    def _category(self, name: str) -> Category:
        for category in self.categories:
            if name.strip().casefold() in (category.id, category.title.casefold(), category.german.casefold()):
                return category
        allowed = ", ".join(category.id for category in self.categories)
        raise Refused(f"There is no category of styles {shown(name)}.", field="category", allowed=allowed)

    @cached_property
    def _places(self) -> Mapping[str, tuple[str, str, str]]:
        """Where words are looked for in each style, the best place first."""
        return {
            style.id: (
                _findable(f"{style.title} {style.german} {style.id}"),
                _findable(f"{style.category.title} {style.category.german}"),
                _findable(style.prompt),
            )
            for style in self.values()
        }


def read_styles(own: Path | None = None) -> Styles:
    """The styles that come with the studio and those of the operator's files in the folder `own`, where there is one.

    A file of his that has a fault is left out as a whole and told in the log and in `troubles`.
    """
    categories: dict[str, Category] = {}
    styles: dict[str, Style] = {}
    troubles: list[Refused] = []

    def take(file: Path) -> None:
        found = read_file(file, categories, styles)
        categories[found.category.id] = found.category
        styles.update((style.id, style) for style in found.styles)

    for file in sorted(FOLDER.glob("*.toml")):
        take(file)
    for file in sorted(own.glob("*.toml")) if own is not None and own.is_dir() else ():
        try:
            take(file)
        except Refused as trouble:
            log.error("these styles are left out: %s", trouble)
            troubles.append(trouble)
    return Styles(styles.values(), troubles)


def style_of(styles: Mapping[str, Style], name: str) -> Style:
    """The style of that id. Raises Refused naming those most like it, and some others."""
    if name in styles:
        return styles[name]
    near = [*get_close_matches(name, styles, n=4, cutoff=0.6), *styles]
    some = list(dict.fromkeys(near))[:NAMED]
    rest = f" and {len(styles) - len(some)} more" if len(styles) > len(some) else ""
    raise Refused(f"There is no style {shown(name)}.", field="style", allowed=", ".join(some) + rest)


def _words(text: str) -> list[str]:
    """A text's words in small letters."""
    return re.findall(r"\w+", unicodedata.normalize("NFC", text).casefold())


def _findable(text: str) -> str:
    """A text as words are looked for in it: each after a space, and once more without accents."""
    words = _words(text)
    bare = "".join(one for one in unicodedata.normalize("NFKD", " ".join(words)) if not unicodedata.combining(one))
    return " ".join(["", *words, bare])


def _is_in(word: str, place: str) -> bool:
    """Anywhere in a word, for German ones are long; short ones only at its beginning ("art" is not in "party")."""
    return (word if len(word) > SHORT else f" {word}") in place
