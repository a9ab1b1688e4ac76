"""Reads and checks one file of styles. What is wrong is told with the file, the line, the style and the field."""

import os
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from studio.errors import Refused
from studio.rules import shown, text, whole
from studio.styles.style import GROUPS, MOST_TOKENS, SUBJECT, Category, Style, tokens_of
from studio.tunes import CLASSES

MOST_BYTES = 262_144
MOST_TITLE, MOST_TEXT = 60, 600  # characters
WHOLE = -1  # in the place of an entry: in the file, but in none of its tables
LAST = 1_000  # the order of a category that names none: behind those of the studio
FITS_RULE = f"all, {', '.join(GROUPS)}, {', '.join(CLASSES)}"

_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_ID_RULE = "small letters and digits, in words joined by -, at most 40 characters"

Table = Mapping[str, object]


class _Wrong(Exception):
    """What is wrong, and where: in the entry of that number (None: in [category]), and its key."""

    def __init__(self, entry: int | None, key: str, reason: str) -> None:
        super().__init__(reason)
        self.entry = entry
        self.key = key


@dataclass(frozen=True, kw_only=True)
class StyleFile:
    """What a file says."""

    category: Category
    styles: tuple[Style, ...]


def read_file(file: Path, categories: Mapping[str, Category], taken: Collection[str]) -> StyleFile:
    """The styles of a file. It may add to one of the `categories` by its id; ids in `taken` are used already.

    Raises Refused: one sentence with the file, the line, the style and the field.
    """
    try:
        with file.open("rb") as opened:
            body = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise Refused(f"{file} cannot be read: {os.strerror(error.errno or 0)}.", field="styles") from error
    if len(body) > MOST_BYTES:
        raise Refused(f"{file} has more than {MOST_BYTES} bytes.", field="styles", allowed=f"{MOST_BYTES} bytes")
    words = ""
    try:
        words = body.decode()
        return _checked(tomllib.loads(words), categories, taken)
    except _Wrong as wrong:
        line, reason = _line_of(words, wrong.entry, wrong.key), str(wrong)
    except tomllib.TOMLDecodeError as error:
        reason, _, place = str(error).rpartition(" (at ")
        at_line = re.match(r"line (\d+)", place)
        line = int(at_line[1]) if at_line else max(1, len(words.splitlines()))
        reason = f"this is no TOML: {reason}."
    except UnicodeDecodeError as error:
        line, reason = body[: error.start].count(b"\n") + 1, "this is not UTF-8."
    raise Refused(f"{file}, line {line}: {reason}", field="styles")


def _checked(table: Table, categories: Mapping[str, Category], taken: Collection[str]) -> StyleFile:
    # 1. The file as a whole, and its category.
    _known(table, ("category", "style"), WHOLE, "a file of styles")
    head = table.get("category")
    entries = table.get("style")
    if not isinstance(head, dict):
        raise _Wrong(WHOLE, "category", "the table [category] is missing.")
    head = cast(Table, head)
    _known(head, ("id", "title", "german", "order", "fits", "negative"), None, "[category]")
    category = _category(head, categories)
    fits = _fits(head["fits"], None, "the category") if "fits" in head else None
    negative = _words(head, "negative", None, "the category") if "negative" in head else ""

    # 2. Each style, with what the category says for all of them.
    if not isinstance(entries, list) or not entries:
        raise _Wrong(WHOLE, "style", "there is no style: each begins with [[style]].")
    styles: dict[str, Style] = {}
    for number, entry in enumerate(cast(list[object], entries)):
        if not isinstance(entry, dict):
            raise _Wrong(WHOLE, "style", f"style must be tables that begin with [[style]], not {shown(entry)}.")
        style = _style(cast(Table, entry), number, category, fits, negative)
        if style.id in taken or style.id in styles:
            raise _Wrong(number, "id", f"the style {style.id}: id is used by another style already.")
        styles[style.id] = style
    return StyleFile(category=category, styles=tuple(styles.values()))


def _category(head: Table, categories: Mapping[str, Category]) -> Category:
    name = _id(head, None, "the category")
    known = categories.get(name)
    if known is not None:  # a file that adds to it need not say its title again
        for key, said in (("title", known.title), ("german", known.german), ("order", known.order)):
            if head.get(key, said) != said:
                reason = f"the category {name} has the {key} {said} already: leave {key} out, or choose another id."
                raise _Wrong(None, key, reason)
        return known
    title = _text(head, "title", None, f"the category {name}")
    german = _text(head, "german", None, f"the category {name}") if "german" in head else title
    try:
        order = whole("order", head.get("order", LAST), 0, 10_000)
    except Refused as error:
        raise _Wrong(None, "order", f"the category {name}: {error.message}") from error
    return Category(id=name, title=title, german=german, order=order)


def _style(entry: Table, number: int, category: Category, fits: tuple[str, ...] | None, negative: str) -> Style:
    name = _id(entry, number, f"style {number + 1}")
    whose = f"the style {name}"
    _known(entry, ("id", "title", "german", "prompt", "negative", "fits"), number, whose)
    title = _text(entry, "title", number, whose)
    prompt = _words(entry, "prompt", number, whose)
    if prompt.count(SUBJECT) != 1:
        many = "not there" if SUBJECT not in prompt else f"there {prompt.count(SUBJECT)} times"
        raise _Wrong(number, "prompt", f"{whose}: prompt must have {SUBJECT} once; it is {many}.")
    if "fits" in entry:
        fits = _fits(entry["fits"], number, whose)
    return Style(
        id=name,
        title=title,
        german=_text(entry, "german", number, whose) if "german" in entry else title,
        prompt=prompt,
        negative=_words(entry, "negative", number, whose) if "negative" in entry else negative,
        fits=CLASSES if fits is None else fits,
        category=category,
    )


def _known(table: Table, known: Collection[str], entry: int | None, whose: str) -> None:
    for key in table:
        if key not in known:
            raise _Wrong(entry, key, f"{whose}: there is no {shown(key)}; known are {', '.join(known)}.")


def _id(table: Table, entry: int | None, whose: str) -> str:
    value = table.get("id")
    if not isinstance(value, str) or not _ID.fullmatch(value) or len(value) > 40:
        said = "is missing" if value is None else f"must be {_ID_RULE}, not {shown(value)}"
        raise _Wrong(entry, "id", f"{whose}: id {said}.")
    return value


def _text(table: Table, key: str, entry: int | None, whose: str, *, most: int = MOST_TITLE, empty: bool = False) -> str:
    if key not in table:
        raise _Wrong(entry, key, f"{whose}: {key} is missing.")
    try:
        return text(key, table[key], most=most, empty=empty).strip()
    except Refused as error:
        raise _Wrong(entry, key, f"{whose}: {error.message}") from error


def _words(table: Table, key: str, entry: int | None, whose: str) -> str:
    """A prompt or negative prompt: no braces but the subject's, and not more than a text encoder reads."""
    value = _text(table, key, entry, whose, most=MOST_TEXT, empty=key == "negative")
    rest = value.replace(SUBJECT, "") if key == "prompt" else value
    if "{" in rest or "}" in rest:
        only = f" other than {SUBJECT}" if key == "prompt" else ""
        raise _Wrong(entry, key, f"{whose}: {key} must have no braces{only}.")
    if (tokens := tokens_of(rest)) > MOST_TOKENS:
        reason = (
            f"{whose}: {key} is too long, about {tokens} tokens; {MOST_TOKENS} are allowed, of the 77 that are read."
        )
        raise _Wrong(entry, key, reason)
    return value


def _fits(value: object, entry: int | None, whose: str) -> tuple[str, ...]:
    names = cast(list[object], value) if isinstance(value, list) else []
    if not names:
        raise _Wrong(entry, "fits", f"{whose}: fits must be a list of {FITS_RULE}, not {shown(value)}.")
    found: set[str] = set()
    for name in names:
        if name == "all":
            found.update(CLASSES)
        elif isinstance(name, str) and name in GROUPS:
            found.update(GROUPS[name])
        elif isinstance(name, str) and name in CLASSES:
            found.add(name)
        else:
            raise _Wrong(entry, "fits", f"{whose}: fits has {shown(name)}, which is no class; known are {FITS_RULE}.")
    return tuple(one for one in CLASSES if one in found)


def _line_of(words: str, entry: int | None, key: str) -> int:
    """The line of a key in [category] or in the style of that number; where it has none, the line its table begins."""
    lines = list(enumerate(words.splitlines(), start=1))
    wanted = re.escape(key)
    if entry == WHOLE:
        return next((line for line, content in lines if re.match(rf"[\s\[\"]*{wanted}[\s\]\"]*", content)), 1)
    header = re.compile(r"\s*\[\s*category\s*\]" if entry is None else r"\s*\[\[\s*style\s*\]\]")
    number, seen, begins = entry or 0, -1, 1
    inside = False
    for line, content in lines:
        if content.lstrip().startswith("["):
            inside = False
            if header.match(content):
                seen += 1
                inside = seen == number
                begins = line if inside else begins
        elif inside and re.match(rf'\s*"?{wanted}"?\s*=', content):
            return line
    return begins
