"""The Credits tab: balances, what things cost, and the account book."""

from collections.abc import Sequence
from datetime import UTC, datetime

import gradio as gr
from markupsafe import Markup

from studio.domain import CREDIT_KINDS
from studio.ui.html import el, html, join
from studio.ui.visit import Visit
from studio.ui.words import Words

MOST_ENTRIES = 100
HOUSE = "house"


def laid_out() -> gr.HTML:
    return html("credits")


def shown(visit: Visit) -> Markup:
    """Everything there is to know about an account's credits."""
    return join(_balances(visit), _prices(visit), _history(visit))


def _balances(visit: Visit) -> Markup:
    words = visit.words
    balances = visit.studio.counter.balances(visit.account)
    cards = [
        el(
            "div",
            el("span", words(f"credits.{kind}"), class_="name"),
            el("strong", words.number(balances[kind].available)),
            el("span", words("credits.held", n=words.number(balances[kind].held)), class_="hint"),
            class_="balance",
        )
        for kind in CREDIT_KINDS
    ]
    plan = visit.studio.counter.plan(visit.account).name
    told = words("credits.house") if plan == HOUSE else words("credits.plan", plan=plan or words("credits.no_plan"))
    return join(el("h2", words("credits.balances")), el("div", *cards, class_="balances"), el("p", told, class_="hint"))


def _prices(visit: Visit) -> Markup:
    words, prices = visit.words, visit.studio.prices()
    starts = [1, *(most + 1 for most in prices.steps[:-1])]
    bands = [words("credits.steps", first=first, last=last) for first, last in zip(starts, prices.steps, strict=True)]
    sizes = _table(
        [words("credits.size"), *bands],
        [[str(size).replace("x", " × "), *map(str, row)] for size, row in prices.image],
        numbers=True,
        caption=words("credits.pictures"),
    )
    tools = _table(
        [words("credits.tool"), words("credits.price")],
        [
            *([words(f"tool.{name}"), words.count("credit.playground", cost)] for name, cost in prices.tools.items()),
            [words("tool.training"), words.count("credit.tune", prices.training)],
            [words("tool.avatar"), words.count("credit.tune_image", prices.avatar)],
        ],
        caption=words("credits.tools"),
    )
    return join(el("h2", words("credits.prices")), el("div", sizes, tools, class_="tables"))


def _history(visit: Visit) -> Markup:
    words = visit.words
    entries = visit.studio.counter.history(visit.account, limit=MOST_ENTRIES)
    title = el("h2", words("credits.history"))
    if not entries:
        return join(title, el("p", words("credits.no_history"), class_="hint"))
    rows = [
        [
            _moment(entry.at),
            words(f"phase.{entry.phase}"),
            words(f"credits.{entry.kind}"),
            _signed(words, entry.posted_change),
            _signed(words, entry.held_change),
            entry.reason,
        ]
        for entry in entries
    ]
    head = [words(f"credits.{key}") for key in ("when", "what", "kind", "posted", "held_change", "why")]
    return join(title, _table(head, rows, caption=words("credits.history_caption", n=MOST_ENTRIES)))


def _table(head: list[str], rows: Sequence[Sequence[object]], *, caption: str, numbers: bool = False) -> Markup:
    top = el("tr", *(el("th", name, scope="col") for name in head))
    body = [el("tr", *(el("td", cell) for cell in row)) for row in rows]
    table = el(
        "table",
        el("caption", caption),
        el("thead", top),
        el("tbody", *body),
        class_="numbers" if numbers else None,
    )
    # Wide tables are scrolled by themselves, by keyboard too.
    return el("div", table, class_="table", tabindex=0, role="region", aria_label=caption)


def _moment(at: int) -> Markup:
    moment = datetime.fromtimestamp(at, UTC)
    return el("time", f"{moment:%Y-%m-%d %H:%M} UTC", datetime=moment.isoformat())


def _signed(words: Words, change: int) -> str:
    return f"{'+' if change > 0 else '−'}{words.number(abs(change))}" if change else ""
