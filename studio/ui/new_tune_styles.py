"""The styles of a new tune's first avatars: eight are chosen beforehand, all others are found by words and shelf."""

from collections.abc import Sequence

from markupsafe import Markup

from studio.styles import Style
from studio.tunes import MOST_STYLES
from studio.ui.form import bases_here
from studio.ui.html import button, el
from studio.ui.visit import Visit
from studio.ui.words import Words


def ids_in(text: object) -> list[str]:
    """The chosen styles as the page keeps them: ids with commas between."""
    found = str(text or "")[:4000].split(",")
    return list(dict.fromkeys(one for one in found if one))[:MOST_STYLES]


def usual(visit: Visit, class_name: str, base: str) -> list[str]:
    """The eight that a base is asked for where nobody chose others."""
    info = bases_here(visit.studio).get(base)
    return list(info.eights.get(class_name, ())) if info else []


def chosen(visit: Visit, text: object, class_name: str, base: str) -> list[str]:
    """What stays chosen when class or base change: one's own choice as far as it fits, else the usual eight."""
    held = ids_in(text)
    info = bases_here(visit.studio).get(base)
    untouched = not held or any(
        set(held) == set(eight) for one in bases_here(visit.studio).values() for eight in one.eights.values()
    )
    if untouched or info is None:
        return usual(visit, class_name, base)
    fitting = {one.id for one in visit.studio.styles(class_name=class_name)}
    return [one for one in held if one in fitting]


def shown(visit: Visit, held: Sequence[str], class_name: str) -> Markup:
    """What is chosen, a search, the shelves, and all styles that fit the class. The page's script finds among them."""
    words = visit.words
    fitting = visit.studio.styles(class_name=class_name)
    return el(
        "div",
        el("div", _counted(words, len(held)), class_="line"),
        _search(words),
        _shelves(words, fitting),
        el("div", *(_chip(words, one, one.id in held) for one in in_order(fitting, held)), class_="chips all"),
        el("p", words("new.no_style"), class_="hint none", hidden=True),
        class_="picker",
        data_most=MOST_STYLES,
    )


def in_order(styles: Sequence[Style], held: Sequence[str]) -> list[Style]:
    """Those that are chosen first, as they were chosen."""
    by_id = {one.id: one for one in styles}
    return [*(by_id[id] for id in held if id in by_id), *(one for one in styles if one.id not in held)]


def _counted(words: Words, count: int) -> Markup:
    return el("span", words("new.styles_chosen", n=count, most=MOST_STYLES), class_="chosen", role="status",
              data_says=words("new.styles_chosen", n="#", most=MOST_STYLES))  # fmt: skip


def _search(words: Words) -> Markup:
    return el(
        "input",
        type="search",
        data_find_style=True,
        placeholder=words("new.find_style"),
        aria_label=words("new.find_style"),
        autocomplete="off",
    )


def _shelves(words: Words, styles: Sequence[Style]) -> Markup:
    categories = {one.category.id: one.category for one in styles}
    every = button(words("gallery.all"), data_shelf="", aria_pressed="true", class_="chip")
    held = button(words("new.only_chosen"), data_shelf="*", aria_pressed="false", class_="chip")
    others = [
        button(one.titled(words.language), data_shelf=id, aria_pressed="false", class_="chip")
        for id, one in categories.items()
    ]
    return el("div", every, held, *others, class_="chips shelves", role="group", aria_label=words("new.shelves"))


def _chip(words: Words, style: Style, on: bool) -> Markup:
    title, shelf = style.titled(words.language), style.category.titled(words.language)
    return button(
        title,
        data_style=style.id,
        data_shelf_of=style.category.id,
        data_words=f"{style.title} {style.german} {style.category.title} {style.category.german}".lower(),
        aria_pressed="true" if on else "false",
        title=shelf,
        class_="chip",
    )
