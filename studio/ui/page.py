"""The page as a whole: its tabs, what happens when something is clicked, and what is looked at again and again."""

from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr
from markupsafe import Markup

from studio.service import Studio
from studio.ui import again, api, credits, gallery, jobs, playground, tool_api, tools, topbar, tune_api, tunes
from studio.ui.credits import Credits
from studio.ui.ears import LISTEN, heard
from studio.ui.form import NAMES
from studio.ui.gallery import Gallery
from studio.ui.html import html, print_of
from studio.ui.playground import Playground
from studio.ui.visit import QUEUED, QUIET, Visit, answering, hearing
from studio.ui.words import t
from studio.workshop import KINDS

BUSY, IDLE = 1.0, 5.0  # seconds between two looks at the jobs: while one of them runs, and while none does
TABS = ("playground", "tunes", "gallery", *KINDS, "jobs", "credits")


def build(studio: Studio) -> gr.Blocks:
    """The page's layout, wired to the studio."""
    with gr.Blocks(title="Likeness", fill_width=True, delete_cache=(3600, 86400), analytics_enabled=False) as page:
        top = html("topbar")
        with gr.Tabs(elem_id="tabs", overflow_behavior="wrap") as tabs:
            with gr.Tab(t("tab.playground"), id="playground", elem_id="tab-playground") as tab_playground:
                play = playground.laid_out(studio)
            tune_tab = tunes.laid_out(studio)
            with gr.Tab(t("tab.gallery"), id="gallery", elem_id="tab-gallery") as tab_gallery:
                shelf = gallery.laid_out()
            tool_tabs = tools.laid_out()
            with gr.Tab(t("tab.jobs"), id="jobs", elem_id="tab-jobs") as tab_jobs:
                job_list = jobs.laid_out()
            with gr.Tab(t("tab.credits"), id="credits", elem_id="tab-credits") as tab_credits:
                book = credits.laid_out()
        notice = html("notice")
        viewer = html("viewer-place")
        ears = html("ears", js_on_load=LISTEN)
        want = gr.Textbox("", visible="hidden", show_label=False, container=False)
        seen = gr.State({})
        timer = gr.Timer(BUSY)
        api.add(studio)
        tool_api.add(studio)
        tune_api.add(studio)

        def on(handler: Callable[..., Any]) -> Callable[..., Any]:
            return answering(studio, handler)

        watched = [top, play.stage, shelf.grid, job_list, timer, seen]
        _wire_opening(page, on, play, shelf, watched, viewer, want, tabs)
        timer.tick(on(looked), [play.focus, seen, *shelf.asked()], watched, trigger_mode="once", **QUIET)
        _wire_form(on, play)
        _wire_making(on, play, shelf, seen, watched)
        _wire_gallery(on, shelf)
        _wire_ears(studio, ears, play, shelf, job_list, seen, watched, notice, tabs)
        credits.wire(book, on, lambda handler: hearing(studio, handler), ears, notice)
        others = [tab_playground, tune_tab.tab, tab_gallery, tab_jobs]
        _wire_credits(page, on, book, want, [*others, *(tool.tab for tool in tool_tabs)], tab_credits)
        tools.wire(
            page, tool_tabs, on, lambda handler: hearing(studio, handler), ears, tabs, want, [*others, tab_credits]
        )
        unlike = [tab_playground, tab_gallery, tab_jobs, tab_credits, *(tool.tab for tool in tool_tabs)]
        tunes.wire(page, tune_tab, on, lambda handler: hearing(studio, handler), ears, tabs, want, notice, unlike)
        every = (tab_playground, tune_tab.tab, tab_gallery, *(tool.tab for tool in tool_tabs), tab_jobs, tab_credits)
        for name, tab in zip(TABS, every, strict=True):
            tab.select(None, None, None, js=f"() => window.likeness.opened('{name}')", api_visibility="private")
        tab_gallery.select(on(gallery.choices), None, shelf.chosen(), **QUIET)
    return page


# --- looking again and again -----------------------------------------------------------------------------------------


def looked(visit: Visit, focus: str, seen: Any, *asked: Any) -> list[Any]:
    """Everything that may have changed by itself: bar, stage, gallery, jobs, timer, and what was seen now.

    What has not changed since it was last seen is left alone, so that a page at rest moves nothing.
    """
    before: Mapping[str, Any] = seen if isinstance(seen, dict) else {}
    active = visit.studio.active_jobs(visit.account)
    newest_job = visit.studio.jobs(visit.account, limit=1)
    newest_picture = visit.studio.gallery.newest(visit.account, limit=1)
    moved = [(one.id, one.state, one.step, one.delivered, one.cancel_requested, one.seconds_left) for one in active]
    # Lists that are long are only put together where something has moved.
    mark = str((moved, [(one.id, one.state) for one in newest_job]))
    newest = newest_picture[0].id if newest_picture else ""
    now: dict[str, Any] = {"mark": mark, "newest": newest, "pace": BUSY if active else IDLE}
    top, stage = topbar.shown(visit), playground.stage(visit, focus)
    now["top"], now["stage"] = print_of(top), print_of(stage)
    jobs_moved = mark != before.get("mark")
    first_page = not asked or not asked[-1]
    return [
        top if now["top"] != before.get("top") else gr.skip(),
        stage if now["stage"] != before.get("stage") else gr.skip(),
        gallery.shown(visit, *asked) if asked and first_page and newest != before.get("newest") else gr.skip(),
        jobs.shown(visit) if jobs_moved else gr.skip(),
        gr.Timer(now["pace"]) if now["pace"] != before.get("pace") else gr.skip(),
        now,
    ]


def _wire_opening(
    page: gr.Blocks,
    on: Callable[..., Any],
    play: Playground,
    shelf: Gallery,
    watched: list[Any],
    viewer: gr.HTML,
    want: gr.Textbox,
    tabs: gr.Tabs,
) -> None:
    """What is filled in when the page opens: what the browser looked at last, the tab that its address names."""

    def opened(visit: Visit, focus: str, kept: str, *asked: Any) -> list[Any]:
        pieces = [gallery.viewer(visit), playground.painter(visit), playground.restore_from(visit)]
        form = {"style": playground.style_choices(visit), "seed": gr.update(value=None)} | again.as_it_was(visit, kept)
        return [*looked(visit, focus, {}, *asked), *pieces, focus, *_in_order(form)]

    def price(visit: Visit, *priced: Any) -> Any:
        return playground.label(visit, *priced)

    page.load(
        on(opened),
        [play.focus, play.ticket, *shelf.asked()],
        [*watched, viewer, play.form.painter, play.restore_from, play.focus, *play.form.all()],
        js="(focus, kept, ...asked) => [window.likeness.focus(), window.likeness.kept(), ...asked]",
        **QUIET,
    ).then(None, None, None, js="() => window.likeness.ready()", api_visibility="private")
    page.load(on(price), _priced(play), play.generate, **QUIET)
    page.load(on(gallery.choices), None, shelf.chosen(), **QUIET)
    page.load(
        lambda tab: gr.Tabs(selected=tab) if tab in TABS else gr.skip(),
        want,
        tabs,
        js="() => window.likeness.wanted()",
        **QUIET,
    )


# --- the Playground --------------------------------------------------------------------------------------------------


def _priced(play: Playground) -> list[Any]:
    form = play.form
    return [form.size, form.landscape, form.width, form.height, form.count, form.steps, form.super_resolution]


def _wire_form(on: Callable[..., Any], play: Playground) -> None:
    """The price that follows the sliders, and the fields that follow base and size."""
    form, priced = play.form, _priced(play)
    changes = [one.change for one in priced]
    gr.on(changes, on(playground.label), priced, play.generate, trigger_mode="always_last", **QUIET)
    form.random.input(None, form.random, form.seed, js="on => window.likeness.seeded(on)", **QUIET)
    form.seed.input(None, form.seed, form.random, js="seed => seed === null || seed === ''", **QUIET)

    form.size.input(on(playground.size_chosen), form.size, [form.landscape, form.width, form.height], **QUIET)
    form.landscape.input(on(playground.turned), form.landscape, form.size, **QUIET)

    def base_chosen(visit: Visit, base: str) -> list[Any]:
        return _in_order(playground.base_chosen(visit, base))

    form.base.input(on(base_chosen), form.base, form.all(), **QUIET)
    play.focus.change(None, play.focus, None, js="id => window.likeness.look(id)", api_visibility="private")


def _in_order(updates: Mapping[str, Any]) -> list[Any]:
    return [updates.get(name, gr.skip()) for name in NAMES]


def _wire_making(on: Callable[..., Any], play: Playground, shelf: Gallery, seen: gr.State, watched: list[Any]) -> None:
    """A click on Generate: queued or refused, and then looked at."""
    play.generate.click(
        on(playground.generate),
        [play.ticket, *play.form.all()],
        [play.focus, play.refused, play.stage],
        js=f"(ticket, ...form) => window.likeness.asking({list(NAMES)}, form)",
        trigger_mode="once",
        **QUEUED,
    ).success(None, play.refused, None, js="refused => window.likeness.asked(refused)", api_visibility="private").then(
        on(looked), [play.focus, seen, *shelf.asked()], watched, **QUIET
    )


# --- the Gallery -----------------------------------------------------------------------------------------------------


def _wire_gallery(on: Callable[..., Any], shelf: Gallery) -> None:
    """Filters begin at the newest page again."""

    def filtered(visit: Visit, *asked: Any) -> tuple[str, Markup]:
        return "", gallery.shown(visit, *[*asked[:-1], ""])

    chosen = [one.input for one in shelf.chosen()[:-1]]
    changes = [shelf.text.change, *chosen, shelf.tune.change, shelf.favourites.input]
    gr.on(
        changes, on(filtered), shelf.asked(), [shelf.place, shelf.grid], trigger_mode="always_last", **QUIET
    )  # fmt: skip


# --- Credits ---------------------------------------------------------------------------------------------------------


def _wire_credits(
    page: gr.Blocks, on: Callable[..., Any], book: Credits, want: gr.Textbox, others: list[gr.Tab], own: gr.Tab
) -> None:
    """The tab is looked at again and again while it is the one that is open."""
    look = [book.seen, *book.asked()]
    page.load(on(credits.looked), look, book.watched(), **QUIET)
    page.load(on(credits.choices), None, [book.kind, book.phase], **QUIET)
    page.load(
        lambda tab: gr.Timer(active=tab == "credits"), want, book.timer, js="() => window.likeness.wanted()", **QUIET
    )
    own.select(on(credits.looked), look, book.watched(), **QUIET)
    own.select(lambda: gr.Timer(active=True), None, book.timer, **QUIET)
    gr.on([tab.select for tab in others], lambda: gr.Timer(active=False), None, book.timer, **QUIET)


# --- what the page's script tells ------------------------------------------------------------------------------------


def _wire_ears(
    studio: Studio,
    ears: gr.HTML,
    play: Playground,
    shelf: Gallery,
    job_list: gr.HTML,
    seen: gr.State,
    watched: list[Any],
    notice: gr.HTML,
    tabs: gr.Tabs,
) -> None:
    # 1. What goes into the form.
    for name in ("reuse", "vary", "seed", "start", "reuse_job", "restore"):
        heard(
            ears,
            name,
            hearing(studio, _into_form(getattr(again, name))),
            None,
            [*play.form.all(), notice, tabs],
        ).success(None, None, None, js=f"() => window.likeness.filled('{name}')", api_visibility="private")

    # 2. What changes pictures: said, and shown wherever they stand.
    for name in ("star", "bin", "unbin"):
        heard(
            ears,
            name,
            hearing(studio, _on_pictures(getattr(gallery, name))),
            [play.focus, *shelf.asked()],
            [notice, play.stage, shelf.grid, job_list],
        )

    # 3. Jobs: cancelled, or looked at in the Playground.
    def halted(visit: Visit, data: Mapping[str, object], focus: str, before: Any, *asked: Any) -> list[Any]:
        playground.halt(visit, data)
        return looked(visit, focus, before, *asked)

    def chosen(visit: Visit, data: Mapping[str, object]) -> tuple[Any, Any, Any]:
        job = playground.focused(visit, data.get("job"))
        return job.id if job else "", playground.stage(visit, job.id if job else ""), gr.Tabs(selected="playground")

    heard(ears, "halt", hearing(studio, halted), [play.focus, seen, *shelf.asked()], watched)
    heard(ears, "look", hearing(studio, chosen), None, [play.focus, play.stage, tabs])

    # 4. Pages of the gallery.
    def turned(visit: Visit, data: Mapping[str, object], *asked: Any) -> tuple[str, Markup]:
        place = gallery.place_of(visit, data)
        return place, gallery.shown(visit, *[*asked[:-1], place])

    heard(ears, "tune_gallery", hearing(studio, gallery.of_tune), None, [*shelf.chosen(), tabs])
    heard(ears, "turn", hearing(studio, turned), shelf.asked(), [shelf.place, shelf.grid]).then(
        None, None, None, js="() => window.likeness.turned()", api_visibility="private"
    )


def _into_form(handler: Callable[..., tuple[dict[str, Any], Markup]]) -> Callable[..., list[Any]]:
    def run(visit: Visit, data: Mapping[str, object]) -> list[Any]:
        updates, said = handler(visit, data)
        return [*_in_order(updates), said, gr.Tabs(selected="playground")]

    return run


def _on_pictures(handler: Callable[..., Markup]) -> Callable[..., list[Any]]:
    def run(visit: Visit, data: Mapping[str, object], focus: str, *asked: Any) -> list[Any]:
        said = handler(visit, data)
        return [said, playground.stage(visit, focus), gallery.shown(visit, *asked), jobs.shown(visit)]

    return run
