"""The Jobs tab: what runs, waits and ended."""

import gradio as gr

from studio.service import Studio
from studio.ui import show
from studio.ui.access import account_of
from studio.ui.errors import told

SHOWN = 50


def build(studio: Studio, tab: gr.Tab) -> None:
    """Lays the tab out and wires it; it repaints itself every two seconds while something runs."""
    listing = gr.HTML(elem_id="jobs")
    stop = gr.Button("Cancel all that wait or run", variant="stop", interactive=False)
    timer = gr.Timer(2, active=False)

    def paint(request: gr.Request) -> tuple[str, gr.Button, gr.Timer]:
        account = account_of(request)
        live = bool(studio.active_jobs(account))
        return show.jobs(studio.jobs(account, limit=SHOWN)), gr.Button(interactive=live), gr.Timer(active=live)

    @told
    def on_stop(request: gr.Request) -> tuple[str, gr.Button, gr.Timer]:
        account = account_of(request)
        for job in reversed(studio.active_jobs(account)):  # the waiting ones first, so that none starts meanwhile
            studio.cancel(account, job.id)
        return paint(request)

    outputs = [listing, stop, timer]
    tab.select(paint, None, outputs, queue=False, show_progress="hidden", api_visibility="private")
    timer.tick(paint, None, outputs, queue=False, show_progress="hidden", api_visibility="private")
    stop.click(on_stop, None, outputs, show_progress="hidden", api_visibility="private")
