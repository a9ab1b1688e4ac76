"""Every language says everything: the same keys, the same blanks, and the studio's own sentences."""

import ast
import re
import string
from pathlib import Path

import pytest

from studio.domain import ImageRequest, NotEnoughCredits, NotFound, Refused, Size, StudioError
from studio.ui.words import LANGUAGES, Words, language_of, said, t, texts

UI = Path(__file__).resolve().parents[2] / "studio" / "ui"


def blanks(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_the_same_texts_with_the_same_blanks(language: str) -> None:
    english, other = texts("en"), texts(language)
    assert set(other) == set(english)
    assert {key for key in english if blanks(english[key]) != blanks(other[key])} == set()
    assert all(text.strip() for text in other.values())


def test_german_is_not_english() -> None:
    same = {key for key, text in texts("de").items() if text == texts("en")[key]}
    alike = {"Prompt", "Seed", "Guidance", "Scheduler", "Tune", "Tunes", "Plan: {plan}", "Credits"}
    assert {
        key
        for key in same
        if texts("en")[key] not in alike
        and not re.fullmatch(r"[^a-z]*({\w+}[^a-z]*)*s?|.*\{n\} (s|min|h).*", texts("en")[key])
    } <= {"picture.seed_is"}


def test_every_key_that_the_page_names_exists() -> None:
    keys = texts("en")
    named = set[str]()
    for path in UI.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and re.fullmatch(r"[a-z_]+\.[a-z_.]+", node.value)
            ):
                named.add(node.value)
    named -= {
        name
        for name in named
        if name.endswith((".css", ".js", ".db", ".lock", ".toml", ".log", ".csv", ".zip", ".ready"))
    }
    assert named
    missing = {key for key in named if key not in keys and f"{key}.one" not in keys and f"{key}.title" not in keys}
    assert {key for key in missing if not key.startswith(("studio.", "window.", "http.", "websocket."))} == set()


def test_a_misspelt_key_is_found_when_the_page_is_built() -> None:
    with pytest.raises(KeyError):
        t("tab.playgrund")


@pytest.mark.parametrize(
    ("accept", "language"),
    [
        ("de-DE,de;q=0.9,en;q=0.8", "de"),
        ("en-GB,de;q=0.9", "en"),
        ("fr,de", "en"),
        ("", "en"),
        ("DE", "de"),
        ("\x00", "en"),
    ],
)
def test_the_language_is_the_browsers_first(accept: str, language: str) -> None:
    assert language_of(accept) == language


def refused(make: object) -> StudioError:
    with pytest.raises(StudioError) as caught:
        make()  # type: ignore[operator]
    return caught.value


REFUSED = [
    lambda: ImageRequest(prompt=" "),
    lambda: ImageRequest(prompt="x" * 3000),
    lambda: ImageRequest(prompt="a\x07"),
    lambda: ImageRequest(prompt=7),  # type: ignore[arg-type]
    lambda: ImageRequest(prompt="a", steps=151),
    lambda: ImageRequest(prompt="a", steps="50"),  # type: ignore[arg-type]
    lambda: ImageRequest(prompt="a", guidance=99.0),
    lambda: ImageRequest(prompt="a", super_resolution="x"),  # type: ignore[arg-type]
    lambda: Size(width=513, height=512),
]


@pytest.mark.parametrize("make", REFUSED)
def test_what_a_form_can_get_wrong_is_said_in_german(make: object) -> None:
    error = refused(make)
    told = Words("de").sentence(error)
    assert told != Words("en").sentence(error)
    assert not re.search(r"\b(must|has|is|not|characters|allowed|whole)\b", told), told
    assert Words("en").sentence(error).startswith(error.message)


def test_a_field_has_the_name_that_the_form_gives_it() -> None:
    assert Words("de").sentence(refused(lambda: ImageRequest(prompt="a", steps=0))) == (
        "Schritte muss eine ganze Zahl von 1 bis 150 sein, nicht 0."
    )


def test_missing_credits_are_said_in_german() -> None:
    told = Words("de").sentence(NotEnoughCredits("playground", 4, 1))
    assert told == "Das kostet 4 Credits (playground); 1 sind da, 3 fehlen."


def test_a_sentence_that_nobody_has_translated_stays_as_it_is() -> None:
    assert Words("de").sentence(StudioError("The moon is full.")) == "The moon is full."


def test_what_is_allowed_is_added_once() -> None:
    words = Words("en")
    assert words.sentence(Refused("x must be 1 or 2.", allowed="1 or 2")) == "x must be 1 or 2."
    assert words.sentence(NotFound("No.", allowed="an id")) == "No. Allowed: an id."


def test_a_sentence_cannot_smuggle_blanks_in() -> None:
    error = Refused("prompt must be a text, not {n.__class__}.", field="prompt")
    assert Words("de").sentence(error) == "Prompt muss ein Text sein, nicht {n.__class__}."


def test_the_blanks_of_translated_sentences_are_those_that_are_found() -> None:
    for language in LANGUAGES:
        for pattern, text in said(language):
            assert blanks(text) <= set(pattern.groupindex), text


@pytest.mark.parametrize(
    ("seconds", "said_as"),
    [(0.4, "0 s"), (59.4, "59 s"), (60, "1 min 0 s"), (3599, "59 min 59 s"), (7260, "2 h 1 min")],
)
def test_lengths_of_time_are_as_exact_as_anybody_cares(seconds: float, said_as: str) -> None:
    assert Words("en").seconds(seconds) == said_as


def test_one_and_many_and_thousands() -> None:
    assert Words("en").count("credit.playground", 1) == "1 credit"
    assert Words("de").count("credit.playground", 12345) == "12.345 Credits"
