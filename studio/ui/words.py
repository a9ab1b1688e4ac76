"""Every text of the page, in every language it speaks: one TOML file each in words/.

The layout's texts are chosen by the browser (`gr.I18n`); what handlers write, by the language the browser asks for.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.i18n import I18nData

from studio.domain import StudioError

FOLDER = Path(__file__).with_name("words")
LANGUAGES = ("en", "de")
NAMED = {"field": ("form", "deal", "more", "new", "background"), "kind": ("credits",), "state": ("tune_state",)}
"""Where the names are that a sentence's parts have on the page."""


@cache
def texts(language: str) -> Mapping[str, str]:
    """The texts of a language by key: `[gallery] empty` is `gallery.empty`."""
    return dict(_flat(tomllib.loads((FOLDER / f"{language}.toml").read_text(encoding="utf-8")), ""))


def _flat(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, str):  # the rest is the list of sentences
            yield prefix + key, value


class Words:
    """The texts of one language, for what is written on the server."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._texts = texts(language)

    def __call__(self, key: str, **values: object) -> str:
        """The text of that key with its {names} filled in. Raises KeyError."""
        return self._texts[key].format(**values) if values else self._texts[key]

    def has(self, key: str) -> bool:
        return key in self._texts

    def count(self, key: str, amount: int) -> str:
        """The text for one or for several: `KEY.one`, `KEY.many`."""
        return self(f"{key}.one" if amount == 1 else f"{key}.many", n=self.number(amount))

    def number(self, value: int) -> str:
        """With the language's mark between thousands."""
        return f"{value:,}".replace(",", "." if self.language == "de" else ",")

    def decimal(self, value: float) -> str:
        """With one place after the point, or the language's comma."""
        return f"{value:.1f}".replace(".", "," if self.language == "de" else ".")

    def money(self, cents: int, currency: str) -> str:
        """A sum in hundredths: `1,024.50 USD`."""
        return f"{self.number(cents // 100)}{',' if self.language == 'de' else '.'}{cents % 100:02} {currency}"

    def seconds(self, value: float) -> str:
        """A length of time, as exact as anybody cares."""
        whole = round(value)
        if whole < 60:
            return self("time.seconds", n=whole)
        if whole < 3600:
            return self("time.minutes", n=whole // 60, s=whole % 60)
        return self("time.hours", n=whole // 3600, m=whole % 3600 // 60)

    def sentence(self, error: StudioError) -> str:
        """What went wrong, with what is allowed where the sentence itself does not say it."""
        allowed = error.allowed
        said = self.said(error.message)
        if allowed and allowed not in error.message:
            return f"{said} {self('error.allowed', allowed=self.said(allowed))}"
        return said

    def said(self, sentence: str) -> str:
        """A sentence of the studio in this language, where its file knows how to say it; else as it is."""
        for pattern, text in said(self.language):
            if found := pattern.fullmatch(sentence):
                values = {name: self._part(name, value) for name, value in found.groupdict("").items()}
                return text.format(**values).rstrip()
        return sentence

    def _part(self, group: str, value: str) -> str:
        """What was found in a sentence, in this language where its group is one of those that are said themselves."""
        if group in ("said", "day"):
            return self.said(value)
        if group == "ways":
            return "; ".join(self.said(way) for way in value.split("; "))
        if group == "thing":  # word for word: it may be the name of a file, which is nobody's sentence
            return next((text for pattern, text in said(self.language) if pattern.pattern == value), value)
        keys = (f"{table}.{value.replace('-', '_')}" for table in NAMED.get(group, ()))
        return next((self(key) for key in keys if self.has(key)), value)


@cache
def said(language: str) -> tuple[tuple[re.Pattern[str], str], ...]:
    """How a language says the studio's sentences: what they look like, and what stands for them."""
    rows = tomllib.loads((FOLDER / f"{language}.toml").read_text(encoding="utf-8")).get("said", [])
    return tuple((re.compile(row["studio"], re.DOTALL), row["here"]) for row in rows)


def language_of(accept: str) -> str:
    """The first language of an Accept-Language header, as the browser's own menu has it; English if it is not known."""
    first = re.match(r"\s*([A-Za-z]{2,3})\b", accept)
    return first[1].lower() if first and first[1].lower() in LANGUAGES else "en"


def i18n() -> gr.I18n:
    return gr.I18n(**{language: dict(texts(language)) for language in LANGUAGES})


def t(key: str) -> Any:
    """A text of the layout, which the browser fills in. Raises KeyError, so that a misspelt key is found at once."""
    if key not in texts("en"):
        raise KeyError(key)
    return I18nData(key)
