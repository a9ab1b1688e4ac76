"""Every language says everything: the same keys, the same blanks, and the studio's own sentences."""

import ast
import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.credits.charging import remedy
from studio.credits.plans import Standing, Subscription
from studio.credits.price_list import shipped
from studio.domain import (
    CREDIT_KINDS,
    OWNER,
    CreditKind,
    ImageRequest,
    NotEnoughCredits,
    NotFound,
    Refused,
    Size,
    StudioError,
)
from studio.ui.words import LANGUAGES, Words, language_of, said, t, texts
from tests.ui.sentences import STUDIO, Said, module

UI = STUDIO / "ui"


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


def test_missing_credits_are_said_in_german_with_what_would_give_them() -> None:
    told = Words("de").sentence(NotEnoughCredits("tune_image", 4, 1, "The owner of this studio can grant them."))
    assert told == (
        "Deine Credits reichen nicht (Tune-Bilder): nötig 4, vorhanden 1, also 3 zu wenig. "
        "Der Besitzer dieses Studios kann sie gutschreiben."
    )


@pytest.mark.parametrize("account", [OWNER, "hf:1"])
@pytest.mark.parametrize("kind", CREDIT_KINDS)
@pytest.mark.parametrize("missing", [3, 300])
def test_every_way_to_credits_is_said_in_german(account: str, kind: CreditKind, missing: int) -> None:
    prices, now = shipped(), 1_793_534_400
    plan = next(iter(prices.plans.values()))
    running = Subscription(
        id=1, account=account, purchase="", plan=plan.name, credits=plan.credits, keeps_tunes=plan.keeps_tunes,
        annual=False, begins_at=now, ends_at=None,
    )  # fmt: skip
    for plans in ((), (running,)):
        standing = Standing(
            account=account, plan=None, keeps_tunes=False, subscriptions=plans, newest_refill=None, refilled=False
        )
        way = remedy(prices, kind, missing, standing, now=now)
        assert_german(Said(NotEnoughCredits(kind, missing, 0, way).message, f"{kind}, {account}"))


def assert_german(said_of: Said) -> None:
    told = Words("de").said(said_of.text)
    assert told != said_of.text, f"{said_of.place} has no row in de.toml: {said_of.text}"
    # "in" and "an" are German too; these are not.
    assert not re.search(r"\b(the|of|is|are|it|not|must|and|with|from|which)\b", told), f"{said_of.place}: {told}"


NOT_ON_THE_PAGE = {
    "cli": "commands, whose language is English",
    "doctor.py": "a command",
    "keeping.py": "backup and restore are commands",
    "storage/archive.py": "backup and restore are commands",
    "storage/backup.py": "backup and restore are commands",
    "storage/restore.py": "backup and restore are commands",
    "storage/forgotten.py": "read by restore alone",
    "imports.py": "a LoRA is taken in by `models add`",
    "import_request.py": "a LoRA is taken in by `models add`",
    "pipelines/imports.py": "a LoRA is taken in by `models add`",
    "pipelines/fetching.py": "weights are fetched by `models fetch`",
    "pipelines/hub.py": "weights are fetched by `models fetch`",
    "settings.py": "read before there is a page",
    "storage/database.py": "opened before there is a page",
    "storage/folder.py": "opened before there is a page",
    "ui/serve.py": "before there is a page",
    "credits/price_file.py": "faults of the owner's price list are told in the log",
    "credits/price_list.py": "faults of the owner's price list are told in the log",
    "styles/files.py": "faults of the owner's styles are told in the log",
    "ui/api.py": "what programs asked wrongly",
    "ui/tool_api.py": "what programs asked wrongly",
    "ui/tune_api.py": "what programs asked wrongly",
    "ui/access.py": "what browsers and programs asked wrongly, answered without a page",
    "pipelines/export/about.py": "goes into the file",
}
"""Files and folders of the studio whose sentences no page shows, and why."""

NOT_SAID = {
    "Your own.": "the purpose of a base, which `models list` tells",
    "Get the studio again.": "a part of the sentence that tells of a missing base",
    "Negative prompt: 7": "as AUTOMATIC1111 writes it",
    "Stands in for a module that torchvision no longer has.": "the docstring of a module that is made",
    "I have the right to use these photos, and everybody recognisable on them has agreed that a model of their "
    "likeness is trained.": "the statement that programs agree to; the page's is one of its texts",
    # How far a job is, which the page says by itself:
    "Loading 7.": "progress",
    "Picture 77 of 7.": "progress",
    "Step 7 of 7.": "progress",
    "Step 7 of 7, loss 7.": "progress",
    "Drawing with the tune.": "progress",
    "Writing the file.": "progress",
    "Reading the file back.": "progress",
}
"""What reads as a sentence and is shown to nobody, and why."""


def on_the_page() -> Iterator[Path]:
    for path in sorted(STUDIO.rglob("*.py")):
        name = path.relative_to(STUDIO)
        if not {name.as_posix(), *(folder.as_posix() for folder in name.parents)} & set(NOT_ON_THE_PAGE):
            yield path


def test_german_has_a_row_for_all_that_can_go_wrong_and_all_that_is_warned_of() -> None:
    told = [
        one
        for path in on_the_page()
        for said_here in (module(path).faults(), module(path).allowed(), module(path).sentences())
        for one in said_here
        if one.text not in NOT_SAID
    ]
    assert len(told) > 300
    for one in told:
        assert_german(one)


def test_the_exceptions_are_none_without_a_reason() -> None:
    assert all((STUDIO / name).exists() for name in NOT_ON_THE_PAGE)
    there = {one.text for path in on_the_page() for one in module(path).sentences()}
    assert set(NOT_SAID) <= there


@pytest.mark.parametrize(
    ("sentence", "german"),
    [
        ("Picture 3: No face was found.", "Bild 3: Es wurde kein Gesicht gefunden."),
        ("Picture 12: This picture is an animation.", "Bild 12: Dieses Bild ist eine Animation."),
        (
            "init is an animation, or several pictures in one.",
            "Das Ausgangsbild ist eine Animation oder enthält mehrere",
        ),
        ("mask.png is damaged or cut short.", "mask.png ist beschädigt"),
        ("the starter cannot paint into a mask.", "Starter kann nicht"),
        ("The training of Ada cannot be paused: it is ready.", "kann nicht angehalten werden (Stand: Fertig)."),
        ("The plan Plus begins on 1 March 2027 already.", "Der Tarif Plus beginnt schon am 1. März 2027."),
        (
            "One picture of 1024x1024 does not fit: cuda has 8.0 GB, 0.3 GB of it free. "
            "Choose a smaller size or base, or close other programs that use it.",
            "cuda hat 8.0 GB, davon sind 0.3 GB frei.",
        ),
        (
            "The export of my tune needs 4.3 GB of disk space in /data; 1.0 GB are free.",
            "Die Datei von my tune braucht",
        ),
        ("The tune cannot be drawn with on starter: size mismatch", "auf starter nicht zeichnen: size mismatch"),
        ("The base sd15 cannot be loaded from /m/sd15: no file", "sd15 lässt sich aus /m/sd15 nicht laden: no file"),
        ("There is no plan 'gold plus'.", "'gold plus' gibt es nicht."),
    ],
)
def test_sentences_within_sentences_are_said_in_german_too(sentence: str, german: str) -> None:
    assert german in Words("de").said(sentence)


def test_no_sentence_is_translated_twice() -> None:
    for language in LANGUAGES:
        patterns = [pattern.pattern for pattern, _ in said(language)]
        assert len(patterns) == len(set(patterns))


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
