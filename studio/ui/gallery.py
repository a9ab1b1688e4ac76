"""The Gallery tab: everything made, newest first, a page at a time."""

from typing import Any

import gradio as gr

from studio.domain import Picture
from studio.service import Studio
from studio.ui import show
from studio.ui.access import account_of
from studio.ui.errors import told

PAGE = 24
EMPTY = "No pictures yet. What you make in the Playground is kept here."


def page_of(studio: Studio, account: str, before: str | None) -> tuple[list[Picture], str | None]:
    """A page of pictures, and from where the next one goes on (None: there is none)."""
    found = studio.pictures(account, limit=PAGE + 1, before=before)
    return found[:PAGE], found[PAGE - 1].id if len(found) > PAGE else None


def build(studio: Studio, tab: gr.Tab) -> None:
    """Lays the tab out and wires it. Pages turned to are remembered as the ids they start before."""
    grid = gr.HTML(elem_id="gallery")
    turned = gr.State([None])  # where each page up to the shown one starts
    with gr.Row():
        newer = gr.Button("Newer", interactive=False, elem_id="newer")
        older = gr.Button("Older", interactive=False, elem_id="older")

    def shown(starts: list[str | None], request: gr.Request) -> tuple[Any, ...]:
        pictures, following = page_of(studio, account_of(request), starts[-1])
        return (
            show.pictures(pictures, EMPTY),
            starts,
            gr.Button(interactive=len(starts) > 1),
            gr.Button(interactive=following is not None),
        )

    @told
    def first(request: gr.Request) -> tuple[Any, ...]:
        return shown([None], request)

    @told
    def forth(starts: list[str | None], request: gr.Request) -> tuple[Any, ...]:
        _, following = page_of(studio, account_of(request), starts[-1])
        return shown([*starts, following] if following else starts, request)

    @told
    def back(starts: list[str | None], request: gr.Request) -> tuple[Any, ...]:
        return shown(starts[:-1] or [None], request)

    outputs = [grid, turned, newer, older]
    tab.select(first, None, outputs, show_progress="hidden", api_visibility="private")
    older.click(forth, turned, outputs, show_progress="hidden", api_visibility="private")
    newer.click(back, turned, outputs, show_progress="hidden", api_visibility="private")
