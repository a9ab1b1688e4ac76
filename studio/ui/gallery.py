"""The Gallery tab: everything that was made, newest first; filtered, marked, deleted and brought back, downloaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from studio.domain import NotFound
from studio.ui import tool_results, views
from studio.ui.html import button, el, html, icon, join
from studio.ui.visit import Visit, ids_of, text_of
from studio.ui.words import Words, t
from studio.workshop import KINDS

PER_PAGE = 48
ALL = ""
MOST_TUNES = 200  # that are offered to filter by


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """The tab's components. `place` says which page is shown: `before:ID`, `after:ID`, or nothing for the newest."""

    text: gr.Textbox
    kind: gr.Dropdown
    base: gr.Dropdown
    style: gr.Dropdown
    tune: gr.Dropdown
    favourites: gr.Checkbox
    place: gr.Textbox
    grid: gr.HTML

    def asked(self) -> list[Any]:
        """What `shown` takes."""
        return [self.text, self.kind, self.base, self.style, self.tune, self.favourites, self.place]

    def chosen(self) -> list[Any]:
        """What `choices` fills in."""
        return [self.kind, self.base, self.style, self.tune]


def laid_out() -> Gallery:
    with gr.Row(elem_id="filters"):
        text = gr.Textbox(
            "", label=t("gallery.text"), placeholder=t("gallery.text_hint"), scale=3, min_width=180, elem_id="find"
        )
        kind = gr.Dropdown([(t("gallery.all"), ALL)], value=ALL, label=t("gallery.kind"), min_width=120)
        base = gr.Dropdown([(t("gallery.all"), ALL)], value=ALL, label=t("gallery.base"), min_width=120)
        style = gr.Dropdown([(t("gallery.all"), ALL)], value=ALL, label=t("gallery.style"), min_width=120)
        tune = gr.Dropdown([(t("gallery.all"), ALL)], value=ALL, label=t("gallery.tune"), min_width=120)
        favourites = gr.Checkbox(False, label=t("gallery.favourites"), min_width=120, elem_id="only-favourites")
    grid = html("gallery")
    place = gr.Textbox("", visible="hidden", show_label=False, container=False)
    return Gallery(
        text=text, kind=kind, base=base, style=style, tune=tune, favourites=favourites, place=place, grid=grid
    )


def shown(visit: Visit, text: str, kind: str, base: str, style: str, tune: str, favourites: bool, place: str) -> Markup:
    """The page of the gallery at this place, with the way to the next ones."""
    words = visit.words
    way, _, id = str(place or "").partition(":")
    given: dict[str, Any] = {
        "text": str(text or "")[:200],
        "kind": kind or None,
        "base": base or None,
        "style": style or None,
        "tune": tune or None,
        "favourites": bool(favourites),
    }
    try:
        page = visit.studio.gallery.page(
            visit.account,
            **given,
            limit=PER_PAGE,
            before=id if way == "before" else None,
            after=id if way == "after" else None,
        )
    except NotFound:  # erased meanwhile: from the beginning again
        page = visit.studio.gallery.page(visit.account, **given, limit=PER_PAGE)
    if not page.pictures and way == "before":  # all of the last page was deleted: the one that is the last now
        page = visit.studio.gallery.page(visit.account, **given, limit=PER_PAGE, after="")
    if not page.pictures:
        if any(given.values()):
            return views.empty(words, "gallery.nothing", "picture")
        action = button(words("gallery.go"), data_tab="playground", class_="quiet")
        return views.empty(words, "gallery.empty", "picture", action)
    grid = views.pictures(words, page.pictures, list_id="shelf")
    return join(_picked(words), grid, _pager(words, page))


def _picked(words: Words) -> Markup:
    """What can be done with the selected pictures; the page's script shows it and fills in how many they are."""

    def act(key: str, drawn: str, do: str) -> Markup:
        return button(words(key), icon_name=drawn, data_picked=do, class_="quiet")

    return el(
        "div",
        el("span", "", class_="count", data_one=words("picked.one"), data_many=words("picked.many"), role="status"),
        act("picked.star", "star", "star"),
        act("picked.zip", "download", "zip"),
        *(
            button(words(f"{kind}.send"), icon_name=tool_results.ICON_OF[kind], data_send_picked=kind, class_="quiet")
            for kind in KINDS
        ),
        act("picked.bin", "trash", "bin"),
        act("picked.all", "check", "all"),
        act("picked.none", "close", "none"),
        class_="picked",
        id="picked",
        hidden=True,
    )


def _pager(words: Words, page: Any) -> Markup:
    first, last = page.pictures[0].id, page.pictures[-1].id
    said = words(
        "gallery.position",
        first=words.number(page.first + 1),
        last=words.number(page.first + len(page.pictures)),
        total=words.number(page.total),
    )

    def way(key: str, place: str, drawn: str | None, off: bool) -> Markup:
        return button(
            words(key), icon_name=drawn, show_label=drawn is None, data_do="turn", data_place=place, disabled=off
        )

    return el(
        "nav",
        way("gallery.newest", "", None, page.first == 0),
        way("gallery.newer", f"after:{first}", "left", page.first == 0),
        el("span", said, role="status"),
        way("gallery.older", f"before:{last}", "right", page.is_last),
        way("gallery.oldest", "after:", None, page.is_last),
        class_="pager",
        aria_label=words("gallery.pages"),
    )


def choices(visit: Visit) -> tuple[Any, Any, Any, Any]:
    """What there is to filter by: kinds, bases, styles, tunes."""
    words, found = visit.words, visit.studio.gallery.choices(visit.account)
    titles = {one.id: one.titled(words.language) for one in visit.studio.styles()}
    bases = visit.base_titles()
    every = (words("gallery.all"), ALL)
    trained = [one for one in visit.studio.tuning.all(visit.account, limit=MOST_TUNES) if one.trained_at is not None]
    return (
        gr.update(choices=[every, *((words(f"kind.{one}"), one) for one in found.kinds)]),
        gr.update(choices=[every, *((bases.get(one, one), one) for one in found.bases)]),
        gr.update(choices=[every, *((titles.get(one, one), one) for one in found.styles)]),
        gr.update(choices=[every, *((one.name, one.id) for one in trained)]),
    )


def of_tune(visit: Visit, data: Mapping[str, object]) -> list[Any]:
    """The filters set to the pictures of one tune, and the way to them. Raises NotFound."""
    tune = visit.studio.tuning.get(visit.account, text_of(data, "tune"))
    *others, tunes = choices(visit)
    return [*(one | {"value": ALL} for one in others), tunes | {"value": tune.id}, gr.Tabs(selected="gallery")]


def place_of(visit: Visit, data: Mapping[str, object]) -> str:
    """The page that was turned to."""
    del visit
    place = data.get("place")
    return place if isinstance(place, str) and len(place) < 60 else ""


# --- marking, deleting, bringing back --------------------------------------------------------------------------------


def star(visit: Visit, data: Mapping[str, object]) -> Markup:
    """Marks pictures as favourites, or takes the mark away, and says so."""
    ids, on = ids_of(data), bool(data.get("on"))
    visit.studio.gallery.mark(visit.account, ids, favourite=on)
    return _notice(visit.words.count("notice.starred" if on else "notice.unstarred", len(ids)))


def bin(visit: Visit, data: Mapping[str, object]) -> Markup:
    """Deletes pictures, and offers to bring them back."""
    ids = ids_of(data)
    visit.studio.gallery.delete(visit.account, ids)
    undo = button(visit.words("notice.undo"), data_do="unbin", data_ids=",".join(ids), class_="quiet")
    return _notice(visit.words.count("notice.deleted", len(ids)), undo)


def unbin(visit: Visit, data: Mapping[str, object]) -> Markup:
    """Brings deleted pictures back."""
    ids = ids_of(data)
    visit.studio.gallery.restore(visit.account, ids)
    return _notice(visit.words.count("notice.restored", len(ids)))


def _notice(text: str, action: Markup | None = None) -> Markup:
    return el("p", el("span", text), action, class_="notice", role="status")


def viewer(visit: Visit) -> Markup:
    """The window that a picture opens in; the page's script fills it."""
    words = visit.words

    def act(do: str, drawn: str) -> Markup:
        return button(words(f"picture.{do}"), icon_name=drawn, data_do=do, data_ids="", class_="quiet")

    head = el(
        "header",
        button(words("viewer.previous"), icon_name="left", show_label=False, data_go="-1"),
        button(words("viewer.next"), icon_name="right", show_label=False, data_go="1"),
        el("span", class_="grow"),
        button(words("viewer.close"), icon_name="close", show_label=False, data_close=True),
    )
    side = el(
        "div",
        el("dl", class_="recipe"),
        el(
            "div",
            act("reuse", "again"),
            act("vary", "vary"),
            act("seed", "seed"),
            act("start", "picture"),
            act("star", "star"),
            el("a", icon("download"), el("span", words("picture.download")), download=True, class_="quiet download"),
            *tool_results.send_to(words),
            button(words("picture.copy"), icon_name="copy", data_copy=words("picture.copied"), class_="quiet"),
            act("bin", "trash"),
            class_="acts",
        ),
        class_="side",
    )
    picture = el("figure", el("img", alt="", src=""))
    said = el("div", class_="told-here")  # what lies outside of an open dialog cannot be clicked
    return el(
        "dialog", head, el("div", picture, side, class_="body"), said, id="viewer", aria_label=words("viewer.title")
    )
