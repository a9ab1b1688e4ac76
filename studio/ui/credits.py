"""The Credits tab: balances, what things cost, and the account book."""

import gradio as gr

from studio import answers
from studio.rules import MOST_STEPS
from studio.service import Studio
from studio.ui import show
from studio.ui.access import account_of

SIZES = ((512, 512), (512, 768), (512, 1024), (768, 768), (768, 1024), (1024, 1024))
STEPS = (50, 100, MOST_STEPS)
SHOWN = 100


def price_table(studio: Studio) -> str:
    """Playground credits of one picture by size and steps."""
    rows = [
        (
            f"{width} x {height}",
            *(studio.quote({"width": width, "height": height, "steps": steps})[0].amount for steps in STEPS),
        )
        for width, height in SIZES
    ]
    return show.table(("One picture", *(f"up to {steps} steps" for steps in STEPS)), rows, "")


def build(studio: Studio, tab: gr.Tab) -> None:
    """Lays the tab out and wires it."""
    gr.HTML("<h2>Balances</h2>")
    balances = gr.HTML()
    gr.HTML(
        "<p class='hint'>You are on the house plan: every charge is written down, and nothing is refused.</p>"
        f"<h2>Prices</h2>{price_table(studio)}<h2>Account book</h2>"
    )
    book = gr.HTML(elem_id="book")

    def paint(request: gr.Request) -> tuple[str, str]:
        account = account_of(request)
        entries = [answers.of_entry(entry) for entry in studio.history(account, limit=SHOWN)]
        return show.balances(answers.of_balances(studio.balances(account))), show.history(entries)

    tab.select(paint, None, [balances, book], queue=False, show_progress="hidden", api_visibility="private")
