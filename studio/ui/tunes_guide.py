"""The guide beside the tunes: which photos make a good one, drawn, and what to try when the pictures look wrong."""

from collections.abc import Sequence

from markupsafe import Markup

from studio.ui.html import el, icon
from studio.ui.tunes_drawings import drawn
from studio.ui.words import Words

GOOD = ("close", "half", "light", "side")
BAD = ("sunglasses", "several", "dark", "far", "cut", "same")
WRONG = ("alike", "stiff", "clothes", "wax", "sides", "smudge", "faces")
MATTERS = ("couples", "pets", "things")


def shown(words: Words) -> Markup:
    """The guide, folded: photos with drawn examples, what to do about pictures, couples, pets and things."""
    photos = el(
        "div",
        el("p", words("guide.photos")),
        _examples(words, GOOD, good=True),
        _examples(words, BAD, good=False),
        el("p", words("guide.change")),
    )
    rows = [el("tr", el("th", words(f"wrong.{one}"), scope="row"), el("td", words(f"cure.{one}"))) for one in WRONG]
    wrong = el(
        "div",
        el("table", *rows),
        class_="table cures",
        tabindex=0,
        role="region",
        aria_label=words("guide.wrong_title"),
    )
    others = [el("p", el("strong", words(f"matter.{one}")), " ", words(f"matter_text.{one}")) for one in MATTERS]
    return el(
        "div",
        _fold(words("guide.photos_title"), photos),
        _fold(words("guide.wrong_title"), el("div", el("p", words("guide.wrong")), wrong)),
        _fold(words("guide.others_title"), el("div", *others)),
        class_="guide",
    )


def _fold(title: str, inside: Markup) -> Markup:
    return el("details", el("summary", icon("right"), title), inside, class_="fold")


def _examples(words: Words, names: Sequence[str], *, good: bool) -> Markup:
    sign = "check" if good else "close"
    cells = [
        el(
            "li",
            drawn(name),
            el("span", icon(sign), words(f"example.{name}"), class_="verdict good" if good else "verdict blocking"),
        )
        for name in names
    ]
    return el("ul", *cells, class_="examples")
