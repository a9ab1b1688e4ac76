"""The tabs Upscale, Face and Background: pictures dropped or sent here, what is done with them, what became of each.

The three are laid out and wired alike; what each may be told is in `tool_options`, how results look in `tool_results`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from markupsafe import Markup

from studio.domain import Job, NotFound, Refused, StudioError
from studio.tools import MOST_UPLOADS
from studio.ui import tool_results, views
from studio.ui.html import html, print_of
from studio.ui.tool_options import OPTIONS, Options
from studio.ui.visit import QUEUED, QUIET, Visit, ids_of, text_of
from studio.ui.words import t
from studio.workshop import KINDS

LOOK = 1.0  # seconds between two looks while the tab is open
ACCEPTED = [".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif"]
NEWEST = 50  # jobs among which the newest of a tool is looked for


@dataclass(frozen=True, kw_only=True)
class Tool:
    """One tab's components. `sent` are ids of pictures that were sent here, `focus` is the job that is shown."""

    kind: str
    tab: gr.Tab
    files: gr.File
    sent: gr.Textbox
    tray: gr.HTML
    options: Options
    go: gr.Button
    refused: gr.HTML
    head: gr.HTML
    results: gr.HTML
    focus: gr.Textbox
    ticket: gr.Textbox
    seen: gr.State
    timer: gr.Timer

    def asked(self) -> list[Any]:
        """What `asked_for` takes: the pictures, then the settings."""
        return [self.sent, self.files, *self.options.components]

    def watched(self) -> list[Any]:
        """What `looked` fills in."""
        return [self.head, self.results, self.seen]


def laid_out() -> list[Tool]:
    """A tab for each tool; called inside of the tabs."""
    return [_tab(kind) for kind in KINDS]


def _tab(kind: str) -> Tool:
    def hidden() -> gr.Textbox:
        return gr.Textbox("", visible="hidden", show_label=False, container=False)

    with (
        gr.Tab(t(f"tab.{kind}"), id=kind, elem_id=f"tab-{kind}") as tab,
        gr.Column(elem_classes="tool", elem_id=f"tool-{kind}"),
    ):
        with gr.Column(elem_classes="tool-form"):
            tray = html(f"tray-{kind}")
            files = gr.File(
                label=t("tools.files"),
                file_count="multiple",
                file_types=ACCEPTED,
                type="filepath",
                height=190,
                elem_id=f"files-{kind}",
                elem_classes="takes-files",
            )
            options = OPTIONS[kind]()
            go = gr.Button(t(f"{kind}.go"), variant="primary", elem_classes="go", elem_id=f"go-{kind}")
            refused = html(f"refused-{kind}")
        with gr.Column(elem_classes="tool-stage"):
            head = html(f"head-{kind}")
            results = html(f"results-{kind}")
        return Tool(
            kind=kind,
            tab=tab,
            files=files,
            sent=hidden(),
            tray=tray,
            options=options,
            go=go,
            refused=refused,
            head=head,
            results=results,
            focus=hidden(),
            ticket=hidden(),
            seen=gr.State({}),
            timer=gr.Timer(LOOK, active=False),
        )


# --- wiring ----------------------------------------------------------------------------------------------------------


def wire(
    page: gr.Blocks,
    tools: Sequence[Tool],
    on: Callable[..., Any],
    hear: Callable[..., Any],
    ears: gr.HTML,
    tabs: gr.Tabs,
    want: gr.Textbox,
    others: Sequence[gr.Tab],
) -> None:
    """What happens in the three tabs, and how pictures and jobs come to them from elsewhere on the page."""
    for tool in tools:
        _wire_one(page, tool, on, want, [*others, *(one.tab for one in tools if one is not tool)])
    events: Any = ears
    boxes = [box for tool in tools for box in (tool.sent, tool.tray)]

    # 1. Pictures that are sent here, and taken away again.
    def sent(visit: Visit, data: Mapping[str, object], *held: str) -> list[Any]:
        kind = _kind_of(data)
        found: list[Any] = []
        for tool, before in zip(tools, held, strict=True):
            if tool.kind != kind:
                found += [gr.skip(), gr.skip()]
                continue
            ids = list(dict.fromkeys([*_ids(before), *ids_of(data)]))[:MOST_UPLOADS]
            found += [",".join(ids), tool_results.tray(visit, kind, ids)]
        return [*found, gr.Tabs(selected=kind)]

    def unsent(visit: Visit, data: Mapping[str, object], *held: str) -> list[Any]:
        kind, gone = _kind_of(data), set(ids_of(data))
        found: list[Any] = []
        for tool, before in zip(tools, held, strict=True):
            ids = [one for one in _ids(before) if one not in gone]
            found += [",".join(ids), tool_results.tray(visit, kind, ids)] if tool.kind == kind else [gr.skip()] * 2
        return found

    held = [tool.sent for tool in tools]
    events.send(hear(sent), held, [*boxes, tabs], **QUEUED)
    events.unsend(hear(unsent), held, boxes, **QUEUED)

    # 2. A tool's job that is looked at, from the list of jobs.
    def chosen(visit: Visit, data: Mapping[str, object]) -> list[Any]:
        job = visit.studio.job(visit.account, text_of(data, "job"))
        kind = job.request.kind
        return [*(job.id if tool.kind == kind else gr.skip() for tool in tools), gr.Tabs(selected=kind)]

    events.look_tool(hear(chosen), None, [*(tool.focus for tool in tools), tabs], **QUEUED)


def _wire_one(page: gr.Blocks, tool: Tool, on: Callable[..., Any], want: gr.Textbox, others: Sequence[gr.Tab]) -> None:
    def label(visit: Visit, *asked: Any) -> Any:
        return labelled(visit, tool, *asked)

    def run(visit: Visit, ticket: str, *asked: Any) -> list[Any]:
        return asked_for(visit, tool, ticket, *asked)

    def look(visit: Visit, focus: str, seen: Any) -> list[Any]:
        return looked(visit, tool.kind, focus, seen)

    # 1. The price follows what is handed in and how.
    changes = [tool.files.change, tool.sent.change, *(one.change for one in tool.options.components)]
    gr.on(changes, on(label), tool.asked(), tool.go, trigger_mode="always_last", **QUIET)
    page.load(on(label), tool.asked(), tool.go, **QUIET)

    # 2. A click on the button: taken in, queued, and then looked at.
    watched = [tool.focus, tool.seen]
    tool.go.click(
        on(run),
        [tool.ticket, *tool.asked()],
        [tool.focus, tool.refused],
        js=f"(ticket, ...asked) => [window.likenessTools.ticket('{tool.kind}'), ...asked]",
        trigger_mode="once",
        show_progress="minimal",
        api_visibility="private",
    ).success(None, None, None, js=f"() => window.likenessTools.asked('{tool.kind}')", api_visibility="private").then(
        on(look), watched, tool.watched(), **QUIET
    )

    # 3. Looked at again and again while the tab is the one that is open.
    tool.timer.tick(on(look), watched, tool.watched(), trigger_mode="once", **QUIET)
    tool.focus.change(on(look), watched, tool.watched(), **QUIET)
    page.load(on(look), watched, tool.watched(), **QUIET)
    page.load(
        lambda tab: gr.Timer(active=tab == tool.kind), want, tool.timer, js="() => window.likeness.wanted()", **QUIET
    )
    tool.tab.select(on(look), watched, tool.watched(), **QUIET)
    tool.tab.select(lambda: gr.Timer(active=True), None, tool.timer, **QUIET)
    gr.on([tab.select for tab in others], lambda: gr.Timer(active=False), None, tool.timer, **QUIET)


# --- handlers --------------------------------------------------------------------------------------------------------


def labelled(visit: Visit, tool: Tool, sent: str, files: Any, *values: Any) -> Any:
    """What the button says: what it does, and what that costs for the pictures that are here."""
    words = visit.words
    count = len(_ids(sent)) + len(files or [])
    plain = gr.update(value=words(f"{tool.kind}.go"))
    if not count:
        return plain
    try:
        scale = tool.options.fields(*values).get("scale")
        charges = visit.studio.workshop.quote(tool.kind, count, scale=scale if isinstance(scale, int) else None)
    except StudioError:  # it is told when the button is pressed
        return plain
    cost = ", ".join(words.count(f"credit.{charge.kind}", charge.amount) for charge in charges)
    what = words.count(f"{tool.kind}.go_for", count)
    return gr.update(value=words("tools.for_price", what=what, price=cost))


def asked_for(visit: Visit, tool: Tool, ticket: str, sent: str, files: Any, *values: Any) -> list[Any]:
    """Takes the pictures in and queues what can be done. Gives the job to be shown, and what was said of each that
    could not be read; the others are done all the same."""
    workshop, account = visit.studio.workshop, visit.account
    taken: list[str] = []
    wrong: list[StudioError] = []
    try:
        # 1. What is wrong with all of it.
        fields = tool.options.fields(*values)
        behind = (
            values[tool.options.behind] if tool.options.behind is not None and fields.get("on") == "picture" else None
        )
        workshop.check(tool.kind, fields, behind=behind is not None)
        pictures = _ids(sent)
        paths = [Path(file) for file in files or []]
        if not pictures and not paths:
            raise Refused("There is no picture yet: drop some here.", field="files", allowed=f"1 to {MOST_UPLOADS}")

        # 2. The pictures, one after the other.
        for hand_in in [
            *((lambda id=id: workshop.take_picture(account, id)) for id in pictures),
            *((lambda path=path: workshop.take_in(account, path)) for path in paths),
        ]:
            try:
                taken.append(hand_in().upload)
            except (Refused, NotFound) as error:
                wrong.append(error)
        if not taken:
            return [gr.skip(), tool_results.refusals(visit, wrong)]

        # 3. The job.
        ground = workshop.take_in(account, Path(behind), field="behind").upload if behind else None
        job = workshop.submit(account, tool.kind, fields, taken, behind=ground, job_id=ticket or None)
    except StudioError as error:
        workshop.drop(account, taken)
        return [gr.skip(), tool_results.refusals(visit, [error])]
    return [job.id, tool_results.refusals(visit, wrong, others=len(taken))]


def looked(visit: Visit, kind: str, focus: Any, seen: Any) -> list[Any]:
    """The job that is shown and what became of each of its pictures, where that is other than what was seen."""
    before = seen if isinstance(seen, dict) else {}
    job = focused(visit, kind, focus)
    if job is None:
        head, results = Markup(""), views.empty(visit.words, f"{kind}.empty", "picture")
    else:
        pieces = visit.studio.workshop.pieces(visit.account, job.id)
        head, results = tool_results.head(visit, job, pieces), tool_results.pieces(visit, job, pieces)
    now = {"head": print_of(head), "results": print_of(results)}
    return [
        head if now["head"] != before.get("head") else gr.skip(),
        results if now["results"] != before.get("results") else gr.skip(),
        now,
    ]


def focused(visit: Visit, kind: str, focus: Any) -> Job | None:
    """The job asked for, if it is there and of that tool; else the tool's newest."""
    if isinstance(focus, str) and focus:
        try:
            job = visit.studio.job(visit.account, focus)
        except (NotFound, Refused):
            job = None
        if job is not None and job.request.kind == kind:
            return job
    newest = visit.studio.jobs(visit.account, limit=NEWEST)
    return next((job for job in newest if job.request.kind == kind), None)


def _ids(sent: Any) -> list[str]:
    return [one for one in str(sent or "").split(",") if one][:MOST_UPLOADS]


def _kind_of(data: Mapping[str, object]) -> str:
    kind = text_of(data, "tool")
    if kind not in KINDS:
        raise Refused("tool must be one of those shown.", field="tool", allowed=", ".join(KINDS))
    return kind
