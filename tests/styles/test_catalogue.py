"""Styles are found by words, category and class, and take in what was asked for."""

import json
from pathlib import Path

import pytest

from studio.cli.main import main
from studio.domain import Refused
from studio.styles import Styles, read_styles, style_of
from studio.styles.style import tokens_of

STYLES = read_styles()


def ids(found: object) -> list[str]:
    assert isinstance(found, list)
    return [style.id for style in found]


# --- what a prompt becomes ---


@pytest.mark.parametrize(
    ("asked", "made"),
    [
        ("sks person", "portrait of sks person, toon style"),
        ("an old man", "portrait of an old man, toon style"),
        ("portrait of an old man", "portrait of an old man, toon style"),
        ("A photo of a cat", "A photo of a cat, toon style"),
        ("a portraitist at work", "portrait of a portraitist at work, toon style"),
        (" a cat, ", "portrait of a cat, toon style"),
        ("a cat.", "portrait of a cat, toon style"),
        ("...", "portrait of ..., toon style"),
        ("a {subject} sign", "portrait of a {subject} sign, toon style"),
    ],
)
def test_the_subject_stands_where_the_style_has_it(asked: str, made: str) -> None:
    assert STYLES["toon"].apply(asked, "")[0] == made


def test_the_askers_negative_comes_before_the_styles() -> None:
    style = STYLES["tintype"]
    assert style.negative
    assert style.apply("a man", " hat ")[1] == f"hat, {style.negative}"
    assert style.apply("a man", "")[1] == style.negative
    assert STYLES["toon"].apply("a man", "hat")[1] == "hat"


def test_tokens_are_counted_high_rather_than_low() -> None:
    assert tokens_of("sks man") == 2
    assert tokens_of("a man, 1920s") == 8
    assert tokens_of("Rindfleischetikettierung") >= 4
    assert tokens_of("日本語") >= 6


# --- finding ---


def test_a_word_of_the_title_comes_before_one_of_the_prompt() -> None:
    found = ids(STYLES.find("watercolor"))
    assert found == ids(STYLES.find("WaterColor "))
    assert "gouache" not in found
    assert ids(STYLES.find("noir"))[0] == "film-noir"
    kitchen = STYLES.find("kitchen")
    titled = ["kitchen" in style.title.lower() for style in kitchen]
    assert titled == sorted(titled, reverse=True) and True in titled and False in titled


def test_every_word_must_be_there() -> None:
    assert ids(STYLES.find("paris café")) == ids(STYLES.find("cafe paris")) == ["paris-cafe"]
    assert STYLES.find("paris volcano") == []


def test_styles_are_found_in_german_too_with_and_without_umlauts() -> None:
    assert "christmas-market" in ids(STYLES.find("weihnacht"))
    assert "ink-wash" in ids(STYLES.find("malerei"))
    assert ids(STYLES.find("öl")) == ["oil-impasto"]
    assert "musket" not in STYLES and "day-of-the-dead" in ids(STYLES.find("tag der toten"))


def test_a_short_word_is_looked_for_at_the_beginning_of_words_alone() -> None:
    found = ids(STYLES.find("art"))
    assert "art-deco" in found
    assert "couple-picnic" not in found and "birthday" not in found, "part, party"


def test_category_and_class_narrow_what_is_found() -> None:
    dogs = STYLES.find(class_name="dog")
    assert "agility-course" in ids(dogs) and "job-doctor" not in ids(dogs)
    assert "agility-course" not in ids(STYLES.find(class_name="cat"))
    sports = STYLES.find(category="sports")
    assert {style.category.title for style in sports} == {"Sports"}
    assert ids(sports) == ids(STYLES.find(category="sport")) == ids(STYLES.find(category="Sports"))
    assert ids(STYLES.find("surf", category="sports", class_name="dog")) == ["surfing"]


@pytest.mark.parametrize(
    ("asked", "field"), [({"category": "nope"}, "category"), ({"class_name": "horse"}, "class_name")]
)
def test_an_unknown_category_or_class_is_refused_with_those_there_are(asked: dict[str, str], field: str) -> None:
    with pytest.raises(Refused) as refused:
        STYLES.find(**asked)
    assert refused.value.field == field
    assert ("film" if field == "category" else "couple") in (refused.value.allowed or "")


def test_an_unknown_style_is_refused_with_those_most_like_it() -> None:
    with pytest.raises(Refused) as refused:
        style_of(STYLES, "cubist")
    allowed = refused.value.allowed or ""
    assert allowed.startswith("cubism, ") and "storybook" in allowed
    assert allowed.endswith(f"and {len(STYLES) - 8} more")
    with pytest.raises(Refused) as refused:
        style_of(Styles([STYLES["toon"]]), "cubist")
    assert refused.value.allowed == "toon"


# --- the command ---


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("STUDIO_DATA", str(tmp_path))

    def run(*words: str) -> tuple[int, str, str]:
        code = main(["styles", "list", *words])
        done = capsys.readouterr()
        return code, done.out, done.err

    return run


def test_the_list_has_category_title_and_fits(listed) -> None:
    code, out, err = listed()
    assert (code, err) == (0, "")
    assert "Film and era looks (film)\n" in out
    (noir,) = [line for line in out.splitlines() if line.startswith("  film-noir ")]
    assert noir.endswith("people, couple, pets") or noir.endswith("people, pets, couple")


def test_the_list_can_be_narrowed(listed) -> None:
    code, out, _ = listed("--category", "pets", "--class", "cat", "--search", "royal", "--json")
    body = json.loads(out)
    (style,) = body["styles"]
    assert (code, style["id"], style["category"], style["fits"]) == (0, "pet-royal", "Pets", ["dog", "cat"])
    assert "{subject}" in style["prompt"] and body["left_out"] == []
    assert listed("--search", "no such thing") == (0, "No style is like that.\n", "")
    code, _, err = listed("--class", "horse")
    assert code == 2 and "horse" in err and "couple" in err


def test_an_operators_file_is_listed_and_a_bad_one_is_told(
    listed, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = tmp_path / "styles"
    own.mkdir()
    style = '[[style]]\nid = "lobby"\ntitle = "Lobby"\nprompt = "{subject} here"\n'
    good = '[category]\nid = "house"\ntitle = "House"\n' + style
    (own / "good.toml").write_text(good)
    (own / "bad.toml").write_text(good.replace("{subject}", "nobody").replace("lobby", "hall"))
    code, out, _ = listed("--category", "house", "--json")
    body = json.loads(out)
    assert (code, [style["id"] for style in body["styles"]]) == (0, ["lobby"])
    (told,) = body["left_out"]
    assert "bad.toml, line 7: the style hall: prompt must have {subject} once" in told
    assert told in caplog.text
