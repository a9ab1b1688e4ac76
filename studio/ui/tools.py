"""The tabs Upscale, Face and Background: pictures dropped or sent here, what is done with them, what became of each.

The three are laid out and wired alike; what each may be told is in `tool_options`, how results look in `tool_results`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from studio.domain import Job, NotFound, Refused
from studio.tools import MOST_UPLOADS
from studio.ui import tool_asking, tool_results, views
from studio.ui.ears import heard
from studio.ui.html import html, print_of
from studio.ui.tool_asking import ids_in, kind_of
from studio.ui.tool_options import OPTIONS, Options
from studio.ui.visit import QUEUED, QUIET, Visit, ids_of, text_of
from studio.ui.words import t
from studio.workshop import KINDS

LOOK = 1.0  # seconds between two looks while the tab is open
ACCEPTED = [".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif"]
NEWEST = 50  # jobs among which the newest of a tool is looked for


@dataclass(frozen=True, kw_only=True)
class Tool:
    """One tab's components. `sent` are ids of pictures that were sent here, `left` says which files were left out,
    `focus` is the job that is shown."""

    kind: str
    tab: gr.Tab
    files: gr.File
    sent: gr.Textbox
    tray: gr.HTML
    folder: gr.HTML
    left: gr.HTML
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
            folder = html(f"folder-{kind}")
            left = html(f"left-{kind}")
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
            folder=folder,
            left=left,
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
    boxes = [box for tool in tools for box in (tool.sent, tool.tray, tool.left)]

    # 1. Pictures that are sent here, and taken away again; and what is left out of what is handed in.
    def sent(visit: Visit, data: Mapping[str, object], *held: str) -> list[Any]:
        def more(before: str) -> list[str]:
            return list(dict.fromkeys([*ids_in(before), *ids_of(data)]))

        return [*put(visit, tools, kind_of(data), held, more), gr.Tabs(selected=kind_of(data))]

    def unsent(visit: Visit, data: Mapping[str, object], *held: str) -> list[Any]:
        gone = set(ids_of(data))
        return put(visit, tools, kind_of(data), held, lambda before: [id for id in ids_in(before) if id not in gone])

    def left_out(visit: Visit, data: Mapping[str, object]) -> list[Any]:
        kind, said = kind_of(data), tool_asking.left_out(visit, data)
        return [said if tool.kind == kind else gr.skip() for tool in tools]

    held = [tool.sent for tool in tools]
    heard(ears, "send", hear(sent), held, [*boxes, tabs])
    heard(ears, "unsend", hear(unsent), held, boxes)
    heard(ears, "left_out", hear(left_out), None, [tool.left for tool in tools])

    # 2. A tool's job that is looked at, from the list of jobs; or what is left of one, done again.
    def shown(job: Job) -> list[Any]:
        kind = job.request.kind
        return [*(job.id if tool.kind == kind else gr.skip() for tool in tools), gr.Tabs(selected=kind)]

    def chosen(visit: Visit, data: Mapping[str, object]) -> list[Any]:
        return shown(visit.studio.job(visit.account, text_of(data, "job")))

    def again(visit: Visit, data: Mapping[str, object]) -> list[Any]:
        return shown(visit.studio.workshop.again(visit.account, text_of(data, "job")))

    focused_on = [*(tool.focus for tool in tools), tabs]
    heard(ears, "look_tool", hear(chosen), None, focused_on)
    heard(ears, "tool_again", hear(again), None, focused_on)


def put(
    visit: Visit, tools: Sequence[Tool], kind: str, held: Sequence[str], now: Callable[[str], list[str]]
) -> list[Any]:
    """What is sent to each tool, its tray, and what was left out: for the tool of that kind it is `now(before)`."""
    found: list[Any] = []
    for tool, before in zip(tools, held, strict=True):
        if tool.kind != kind:
            found += [gr.skip()] * 3
            continue
        ids = now(before)
        kept, more = ids[:MOST_UPLOADS], len(ids) - MOST_UPLOADS
        left = tool_asking.too_many(visit.words, more) if more > 0 else Markup("")
        found += [",".join(kept), tool_results.tray(visit, kind, kept), left]
    return found


def _wire_one(page: gr.Blocks, tool: Tool, on: Callable[..., Any], want: gr.Textbox, others: Sequence[gr.Tab]) -> None:
    def label(visit: Visit, *asked: Any) -> Any:
        return tool_asking.labelled(visit, tool.kind, tool.options, *asked)

    def run(visit: Visit, ticket: str, *asked: Any) -> Iterator[list[Any]]:
        yield from tool_asking.asked_for(visit, tool.kind, tool.options, ticket, *asked)

    def folder(visit: Visit) -> Markup:
        return tool_asking.folder(visit, tool.kind)

    def look(visit: Visit, focus: str, seen: Any) -> list[Any]:
        return looked(visit, tool.kind, focus, seen)

    # 1. The price follows what is handed in and how.
    changes = [tool.files.change, tool.sent.change, *(one.change for one in tool.options.components)]
    gr.on(changes, on(label), tool.asked(), tool.go, trigger_mode="always_last", **QUIET)
    page.load(on(label), tool.asked(), tool.go, **QUIET)
    page.load(on(folder), None, tool.folder, **QUIET)

    # 2. A click on the button: taken in, queued, and then looked at.
    watched = [tool.focus, tool.seen]
    tool.go.click(
        on(run),
        [tool.ticket, *tool.asked()],
        [tool.focus, tool.refused, tool.files, tool.sent, tool.tray],
        js=f"(ticket, ...asked) => [window.likenessTools.ticket('{tool.kind}'), ...asked]",
        trigger_mode="once",
        **QUEUED,
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
