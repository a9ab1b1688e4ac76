"""A file of styles is read as a whole or refused with one sentence; an operator's files add to those of the studio."""

from pathlib import Path

import pytest

from studio.domain import Refused
from studio.styles import read_styles
from studio.styles.catalogue import FOLDER
from studio.styles.files import MOST_BYTES, read_file
from studio.styles.style import GROUPS
from studio.tunes import CLASSES

HEAD = '[category]\nid = "house"\ntitle = "House styles"\n'
STYLE = '\n[[style]]\nid = "lobby"\ntitle = "Lobby"\nprompt = "{subject} in our lobby, bright photo"\n'


def a_file(folder: Path, words: str, name: str = "house.toml") -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(words, encoding="utf-8")
    return file


def test_an_operators_file_adds_a_category_behind_those_of_the_studio(tmp_path: Path) -> None:
    a_file(tmp_path / "styles", HEAD + STYLE)
    styles = read_styles(tmp_path / "styles")
    assert styles.troubles == ()
    assert list(styles)[-1] == "lobby"
    lobby = styles["lobby"]
    assert lobby.apply("a man", "") == ("a man in our lobby, bright photo", "")
    assert (lobby.titled("de"), lobby.category.titled("de")) == ("Lobby", "House styles"), "without German: as it is"
    assert "dog" in lobby.fits, "without fits: everything"


def test_an_operators_file_can_add_to_a_category_of_the_studio(tmp_path: Path) -> None:
    a_file(tmp_path, '[category]\nid = "headshots"\nfits = ["woman"]\nnegative = "hat"\n' + STYLE)
    lobby = read_styles(tmp_path)["lobby"]
    assert lobby.category.title == "Professional headshots"
    assert (lobby.fits, lobby.negative) == (("woman",), "hat")


def test_the_guides_example_is_a_good_file(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "guide-styles.md").read_text(encoding="utf-8")
    example = guide.split("```toml\n")[1].split("```")[0]
    styles = read_styles(a_file(tmp_path, example).parent)
    assert styles.troubles == ()
    assert styles["our-bar-dogs"].fits == ("dog",)
    assert all(f"`{one}`" in guide for one in (*CLASSES, *GROUPS, "all"))


def test_without_a_folder_there_are_the_studios_styles(tmp_path: Path) -> None:
    assert list(read_styles(tmp_path / "none")) == list(read_styles())


def test_a_style_may_say_other_than_its_category(tmp_path: Path) -> None:
    said = HEAD + 'fits = ["people"]\nnegative = "hat"\n' + STYLE + 'fits = ["pets", "object"]\nnegative = ""\n'
    (style,) = read_file(a_file(tmp_path, said), {}, ()).styles
    assert (style.fits, style.negative) == (("dog", "cat", "object"), "")


LONG = "{subject}, " + "a very long walk in the green park, " * 12

FAULTS = [
    ("bad TOML", HEAD + '\n[[style]]\nid = "lobby\n', 6, "no TOML"),
    ("an unknown table", '[categories]\nid = "x"\n' + STYLE, 1, "categories"),
    ("no category", STYLE, 1, "[category] is missing"),
    ("no style", HEAD, 1, "no style"),
    ("an unknown key of the category", HEAD + 'colour = "red"\n' + STYLE, 4, "colour"),
    ("a category without a title", '[category]\nid = "house"\n' + STYLE, 1, "title is missing"),
    ("an order that is none", HEAD + 'order = "first"\n' + STYLE, 4, "order must be a whole number"),
    ("another title for a known category", '[category]\nid = "film"\ntitle = "Movies"\n' + STYLE, 3, "title"),
    ("an unknown key", HEAD + STYLE + 'promt = "x"\n', 9, "the style lobby: there is no 'promt'"),
    ("the old placeholder", HEAD + STYLE.replace("{subject}", "{prompt}"), 8, "braces"),
    ("no placeholder", HEAD + STYLE.replace("{subject} ", ""), 8, "{subject} once; it is not there"),
    ("two placeholders", HEAD + STYLE.replace("our", "{subject}"), 8, "it is there 2 times"),
    ("a placeholder in the negative", HEAD + STYLE + 'negative = "{subject}"\n', 9, "negative must have no braces"),
    ("no prompt", HEAD + STYLE.replace("prompt", "#"), 5, "the style lobby: prompt is missing"),
    ("an empty prompt", HEAD + '\n[[style]]\nid = "lobby"\ntitle = "L"\nprompt = " "\n', 8, "prompt is empty"),
    ("a number for a title", HEAD + STYLE.replace('"Lobby"', "7"), 7, "title must be a text"),
    ("a title too long", HEAD + STYLE.replace("Lobby", "L" * 61), 7, "61 characters"),
    ("a prompt too long", HEAD + STYLE.replace("{subject} in our lobby, bright photo", LONG), 8, "too long"),
    ("a negative too long", HEAD + STYLE + f'negative = "{"grain, " * 40}"\n', 9, "negative is too long"),
    ("an id with a space", HEAD + STYLE.replace('"lobby"', '"the lobby"'), 6, "id must be small letters"),
    ("no id", HEAD + STYLE.replace('id = "lobby"\n', ""), 5, "style 1: id is missing"),
    ("an id twice", HEAD + STYLE + STYLE, 11, "the style lobby: id is used"),
    ("an id of the studio", HEAD + STYLE.replace("lobby", "film-noir"), 6, "the style film-noir: id is used"),
    ("an unknown class", HEAD + STYLE + 'fits = ["man", "horse"]\n', 9, "'horse', which is no class"),
    ("fits that is a text", HEAD + STYLE + 'fits = "man"\n', 9, "fits must be a list"),
    ("fits that is empty", HEAD + STYLE + "fits = []\n", 9, "fits must be a list"),
    ("a style that is no table", HEAD + 'style = ["lobby"]\n', 4, "there is no 'style'"),
    (
        "the second of two",
        HEAD + STYLE + STYLE.replace("lobby", "hall").replace("{subject} ", ""),
        13,
        "the style hall",
    ),
]


@pytest.mark.parametrize(("words", "line", "said"), [fault[1:] for fault in FAULTS], ids=[fault[0] for fault in FAULTS])
def test_a_fault_is_told_with_file_line_style_and_field_and_the_rest_loads(
    tmp_path: Path, words: str, line: int, said: str
) -> None:
    file = a_file(tmp_path, words)
    a_file(tmp_path, HEAD.replace("house", "zoo") + STYLE.replace("lobby", "hall"), "zoo.toml")
    styles = read_styles(tmp_path)
    (trouble,) = styles.troubles
    assert trouble.message.startswith(f"{file}, line {line}: "), trouble.message
    assert said in trouble.message
    assert "\n" not in trouble.message and len(trouble.message) < 400
    assert "lobby" not in styles, "nothing of a file with a fault is taken"
    assert "hall" in styles and "film-noir" in styles


def test_a_file_that_is_no_utf8_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "house.toml"
    file.write_bytes(b'[category]\nid = "house"\ntitle = "Caf\xe9"\n')
    (trouble,) = read_styles(tmp_path).troubles
    assert trouble.message == f"{file}, line 3: this is not UTF-8."


def test_a_file_that_cannot_be_read_or_is_far_too_large_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.toml").mkdir()
    (tmp_path / "b.toml").write_text("#" * (MOST_BYTES + 1))
    first, second = read_styles(tmp_path).troubles
    assert "a.toml cannot be read" in first.message
    assert f"b.toml has more than {MOST_BYTES} bytes" in second.message


def test_what_is_left_out_stands_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    a_file(tmp_path, HEAD)
    read_styles(tmp_path)
    assert "house.toml, line 1" in caplog.text


def test_a_fault_in_a_file_of_the_studio_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="line 1"):
        read_file(a_file(tmp_path, HEAD), {}, ())
    assert len(list(FOLDER.glob("*.toml"))) >= 18
