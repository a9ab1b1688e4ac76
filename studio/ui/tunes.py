"""The Tunes tab: all tunes, a new one, and a tune's own page; one of the three is seen at a time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from studio.domain import NotFound, Refused, StudioError, Tune
from studio.service import Studio
from studio.ui import (
    new_tune,
    tunes_downloads,
    tunes_grid,
    tunes_guide,
    tunes_keeping,
    tunes_more,
    tunes_one,
    tunes_pictures,
)
from studio.ui.ears import heard
from studio.ui.html import button, el, html, join, print_of
from studio.ui.new_tune import NewTune
from studio.ui.tunes_grid import NEW
from studio.ui.tunes_more import More
from studio.ui.visit import QUIET, Visit, text_of
from studio.ui.words import t

LOOK = 1.0  # seconds between two looks while the tab is open
PARTS = ("grid", "head", "pictures", "rest")


@dataclass(frozen=True, kw_only=True)
class Tunes:
    """The tab's components. `place` says what is seen: a page of the grid, `new`, or a tune's id."""

    tab: gr.Tab
    place: gr.Textbox
    grid: gr.HTML
    new_head: gr.HTML
    new: NewTune
    head: gr.HTML
    more: More
    pictures: gr.HTML
    rest: gr.HTML
    window: gr.HTML
    seen: gr.State
    timer: gr.Timer

    def watched(self) -> list[Any]:
        """What `looked` fills in."""
        return [*(getattr(self, part) for part in PARTS), self.seen]


def laid_out(studio: Studio) -> Tunes:
    """The tab; called inside of the tabs."""
    with gr.Tab(t("tab.tunes"), id="tunes", elem_id="tab-tunes") as tab:
        with gr.Column(elem_id="tunes-all"):
            grid = html("tunes-grid")
        with gr.Column(elem_id="tunes-new"):
            new_head = html("new-head")
            new = new_tune.laid_out(studio)
        with gr.Column(elem_id="tunes-one"):
            head = html("tune-head")
            more = tunes_more.laid_out()
            pictures = html("tune-pictures")
            rest = html("tune-rest")
        window = html("tune-window")
        place = gr.Textbox("", visible="hidden", show_label=False, container=False)
        # In here too: whatever else stood among the tabs would be counted as one, and move their names.
        seen, timer = gr.State({}), gr.Timer(LOOK, active=False)
    return Tunes(
        tab=tab,
        place=place,
        grid=grid,
        new_head=new_head,
        new=new,
        head=head,
        more=more,
        pictures=pictures,
        rest=rest,
        window=window,
        seen=seen,
        timer=timer,
    )


# --- handlers --------------------------------------------------------------------------------------------------------


def tune_at(visit: Visit, place: Any) -> Tune | None:
    """The tune whose page is seen; None where none is."""
    if not isinstance(place, str) or place == NEW or tunes_grid.page_at(place) is not None:
        return None
    try:
        return visit.studio.tuning.get(visit.account, place)
    except (NotFound, Refused):
        return None


def looked(visit: Visit, place: Any, seen: Any) -> list[Any]:
    """What is seen at that place, where it is other than what was seen."""
    before: Mapping[str, Any] = seen if isinstance(seen, dict) else {}
    tune = tune_at(visit, place)
    if tune is not None:
        rest = join(tunes_downloads.shown(visit, tune), tunes_keeping.shown(visit, tune))
        now = {"head": tunes_one.shown(visit, tune), "pictures": tunes_pictures.shown(visit, tune), "rest": rest}
    elif place == NEW:
        now = {}
    else:
        now = {"grid": tunes_grid.shown(visit, tunes_grid.page_at(place) or "")}
    prints = {part: print_of(markup) for part, markup in now.items()}
    # What is not seen keeps its place in what was seen, and is shown anew when it is come back to.
    return [
        *(now[part] if prints.get(part, before.get(part)) != before.get(part) else gr.skip() for part in PARTS),
        {**before, **prints},
    ]


def place_of(visit: Visit, asked: Any) -> str:
    """The place that is asked for, where there is such a one; else the grid."""
    if asked == NEW or tunes_grid.page_at(asked) is not None:
        return asked
    tune = tune_at(visit, asked)
    return tune.id if tune else ""


def arrived(visit: Visit, place: Any, seen: Any) -> list[Any]:
    """What the form for more pictures asks at a place that was just come to, and what is seen there."""
    return [*tunes_more.fitted(visit, tune_at(visit, place)), *looked(visit, place, seen)]


def chosen(visit: Visit, place: Any, base: Any) -> list[Any]:
    """What another base changes in the form for more pictures."""
    return tunes_more.chosen(visit, tune_at(visit, place), base)


def new_head(visit: Visit) -> Markup:
    """The way back, the title, and the guide."""
    words = visit.words
    back = button(words("tunes.all"), icon_name="left", data_do="tune_open", data_place="", class_="quiet")
    return join(el("div", back, el("h2", words("tunes.new")), class_="line"), tunes_guide.shown(words))


def done(visit: Visit, what: str, data: Mapping[str, object]) -> Markup:
    """Pauses or resumes a training, asks for the first pictures that are left or for a file, keeps a tune longer; says
    what came of it where that is not seen anyway. Raises StudioError."""
    tuning, tune = visit.studio.tuning, text_of(data, "tune")
    if what == "tune_export":
        tunes_downloads.ask(visit, data)
        return Markup("")
    if what == "tune_extend":
        return told(visit.words("tunes.extended", name=visit.studio.retention.extend(visit.account, tune).name))
    if what == "tune_rest":
        jobs = tuning.first_avatars(visit.account, tune)
        return told(visit.words.count("tunes.asked", len(jobs)))
    found = tuning.pause(visit.account, tune) if what == "tune_pause" else tuning.resume(visit.account, tune)
    return told(visit.words(f"tune_done.{what.removeprefix('tune_')}", name=found.name))


def told(text: str) -> Markup:
    return el("p", el("span", text), class_="notice", role="status")


# --- wiring ----------------------------------------------------------------------------------------------------------


def wire(
    page: gr.Blocks,
    tab: Tunes,
    on: Callable[..., Any],
    hear: Callable[..., Any],
    ears: gr.HTML,
    tabs: gr.Tabs,
    want: gr.Textbox,
    notice: gr.HTML,
    others: Sequence[gr.Tab],
) -> None:
    """What happens in the tab, and how one comes to it from elsewhere on the page."""
    more = tab.more
    look = [tab.place, tab.seen]

    # 1. Going from one place to another. Only who is told to go there writes the place; all else follows from it.
    def went(visit: Visit, data: Mapping[str, object]) -> list[Any]:
        return [place_of(visit, text_of(data, "place")), gr.Tabs(selected="tunes")]

    heard(ears, "tune_open", hear(went), None, [tab.place, tabs])
    # A view is seen when it has been filled in: nothing moves under the hand of who is about to click.
    tab.place.change(on(arrived), look, [*more.form.all(), *tab.watched()], **QUIET).then(
        None, tab.place, None, js="place => window.likenessTunes.show(place)", api_visibility="private"
    )
    page.load(on(place_of), tab.place, tab.place, js="() => window.likenessTunes.wanted()", **QUIET)
    page.load(on(looked), look, tab.watched(), **QUIET)
    page.load(on(new_head), None, tab.new_head, **QUIET)
    new_tune.wire(page, tab.new, on, hear, ears, tab.place)

    # 2. More pictures, for the price that is said.
    page.load(on(tunes_more.label), more.form.priced(), more.go, **QUIET)
    changes = [one.change for one in more.form.priced()]
    gr.on(changes, on(tunes_more.label), more.form.priced(), more.go, trigger_mode="always_last", **QUIET)
    liked = [getattr(more.form, name) for name in tunes_more.LIKED]
    more.form.base.input(on(chosen), [tab.place, more.form.base], liked, **QUIET)
    more.go.click(
        on(tunes_more.ask),
        [tab.place, more.ticket, *more.form.all()],
        more.refused,
        js="(place, ticket, ...asked) => [place, window.likenessTunes.ticket('more'), ...asked]",
        trigger_mode="once",
        show_progress="minimal",
        api_visibility="private",
    ).success(
        None, more.refused, None, js="refused => window.likenessTunes.asked('more', refused)", api_visibility="private"
    ).then(on(looked), look, tab.watched(), **QUIET)

    # 3. What is done with a tune.
    for what in ("tune_pause", "tune_resume", "tune_rest", "tune_export", "tune_extend"):

        def act(visit: Visit, data: Mapping[str, object], *seen: Any, what: str = what) -> list[Any]:
            said = done(visit, what, data)
            return [said, *looked(visit, *seen)]

        heard(ears, what, hear(act), look, [notice, *tab.watched()])

    def ended(visit: Visit, data: Mapping[str, object], seen: Any) -> list[Any]:
        try:
            place = tunes_keeping.deleted(visit, data)
        except StudioError as error:
            return [tunes_keeping.window(visit, data, error), gr.skip(), gr.skip(), *[gr.skip()] * len(tab.watched())]
        said = told(visit.words("doom_model.done" if place else "doom_all.done"))
        return [Markup(""), said, place, *looked(visit, place, seen)]

    heard(ears, "tune_doom", hear(tunes_keeping.window), None, tab.window)
    heard(ears, "tune_delete", hear(ended), tab.seen, [tab.window, notice, tab.place, *tab.watched()])

    # 4. Looked at again and again while the tab is the one that is open.
    tab.timer.tick(on(looked), look, tab.watched(), trigger_mode="once", **QUIET)
    page.load(
        lambda name: gr.Timer(active=name == "tunes"), want, tab.timer, js="() => window.likeness.wanted()", **QUIET
    )
    tab.tab.select(on(looked), look, tab.watched(), **QUIET)
    tab.tab.select(lambda: gr.Timer(active=True), None, tab.timer, **QUIET)
    gr.on([one.select for one in others], lambda: gr.Timer(active=False), None, tab.timer, **QUIET)
