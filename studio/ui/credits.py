"""The Credits tab: what an account has, what it used this month, what there is to be had, and its account book."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from studio.domain import CREDIT_KINDS
from studio.ui import account_book, deals, office, shop
from studio.ui.ears import heard
from studio.ui.html import el, html, join, moment, print_of
from studio.ui.visit import QUIET, Visit
from studio.ui.words import t

ALL = ""
LOOK = 2.0  # seconds between two looks while the tab is open


@dataclass(frozen=True, kw_only=True)
class Credits:
    """The tab's components. `whose` is the account that is looked at (the owner may look at any), `place` the page of
    its book: `before:SEQ`, `after:SEQ`, or nothing for the newest."""

    whose: gr.Textbox
    now: gr.HTML
    kind: gr.Dropdown
    phase: gr.Dropdown
    place: gr.Textbox
    book: gr.HTML
    office: gr.HTML
    deal: gr.HTML
    seen: gr.State
    timer: gr.Timer

    def asked(self) -> list[Any]:
        """What `looked` takes, after what was seen."""
        return [self.whose, self.kind, self.phase, self.place]

    def watched(self) -> list[Any]:
        """What `looked` fills in."""
        return [self.now, self.book, self.office, self.seen]


def laid_out() -> Credits:
    now = html("credits")
    with gr.Row(elem_id="book-filters"):
        kind = gr.Dropdown([(t("gallery.all"), ALL)], value=ALL, label=t("credits.kind"), min_width=140)
        phase = gr.Dropdown([(t("gallery.all"), ALL)], value=ALL, label=t("credits.what"), min_width=140)
    book = html("book")
    office_place = html("office")
    deal = html("deal-place")
    whose, place = (gr.Textbox("", visible="hidden", show_label=False, container=False) for _ in range(2))
    return Credits(
        whose=whose,
        now=now,
        kind=kind,
        phase=phase,
        place=place,
        book=book,
        office=office_place,
        deal=deal,
        seen=gr.State({}),
        timer=gr.Timer(LOOK, active=False),
    )


def wire(tab: Credits, on: Callable[..., Any], hear: Callable[..., Any], ears: gr.HTML, notice: gr.HTML) -> None:
    """What happens when something of the tab is chosen, turned to, or done."""
    look = [tab.seen, *tab.asked()]

    # 1. It is looked at again and again while it is open; filters begin at the newest page again.
    tab.timer.tick(on(looked), look, tab.watched(), trigger_mode="once", **QUIET)

    def filtered(visit: Visit, seen: Any, whose: str, kind: str, phase: str) -> list[Any]:
        return ["", *looked(visit, seen, whose, kind, phase, "")]

    gr.on(
        [tab.kind.input, tab.phase.input], on(filtered), look[:-1], [tab.place, *tab.watched()],
        trigger_mode="always_last", **QUIET,
    )  # fmt: skip

    # 2. Pages of the book, and another account.
    def leafed(visit: Visit, data: deals.Data, seen: Any, whose: str, kind: str, phase: str, place: str) -> list[Any]:
        place = str(data.get("place") or "")[:40]
        return [place, *looked(visit, seen, whose, kind, phase, place)]

    def visited(visit: Visit, data: deals.Data, seen: Any, whose: str, kind: str, phase: str, place: str) -> list[Any]:
        whose = visit.whose(data.get("whose"))
        return [whose, "", *looked(visit, seen, whose, kind, phase, "")]

    heard(ears, "leaf", hear(leafed), look, [tab.place, *tab.watched()])
    heard(ears, "visit", hear(visited), look, [tab.whose, tab.place, *tab.watched()]).success(
        None, None, None, js="() => scrollTo({ top: 0 })", api_visibility="private"
    )

    # 3. What changes credits: said first, then done.
    def dealt(visit: Visit, data: deals.Data, seen: Any, *asked: Any) -> list[Any]:
        done = deals.done(visit, data)
        return [done.dialog, done.notice or gr.skip(), *looked(visit, seen, *asked)]

    heard(ears, "deal", hear(deals.offered), None, tab.deal)
    heard(ears, "settle", hear(dealt), look, [tab.deal, notice, *tab.watched()])


def choices(visit: Visit) -> tuple[Any, Any]:
    """What the account book can be filtered by, in the reader's language."""
    words = visit.words
    every = (words("gallery.all"), ALL)
    return (
        gr.update(choices=[every, *((words(f"credits.{kind}"), kind) for kind in CREDIT_KINDS)]),
        gr.update(choices=[every, *((words(f"phase.{phase}"), phase) for phase in account_book.PHASES)]),
    )


def looked(visit: Visit, seen: Any, whose: str, kind: str, phase: str, place: str) -> list[Any]:
    """Everything the tab shows, where it is other than what was seen; and what is seen now."""
    before = seen if isinstance(seen, dict) else {}
    account = visit.whose(whose)
    pieces = {
        "now": _now(visit, account),
        "book": account_book.shown(visit, account, kind, phase, place),
        "office": office.shown(visit, account),
    }
    now = {name: print_of(piece) for name, piece in pieces.items()}
    return [*(piece if now[name] != before.get(name) else gr.skip() for name, piece in pieces.items()), now]


def _now(visit: Visit, account: str) -> Markup:
    return join(
        _whose(visit, account),
        _balances(visit, account),
        el("div", _plan(visit, account), _month(visit, account), class_="cols"),
        shop.shown(visit, account),
        el("h2", visit.words("credits.history"), id="account-book"),
    )


def _whose(visit: Visit, account: str) -> Markup | None:
    """Says whose account it is, where it is another's."""
    if account == visit.account:
        return None
    back = el("button", visit.words("credits.own"), type="button", data_do="visit", data_whose="", class_="quiet")
    return el("p", visit.words("credits.whose", account=account), back, class_="whose")


def _balances(visit: Visit, account: str) -> Markup:
    words = visit.words
    balances = visit.studio.counter.balances(account)
    cards = [
        el(
            "div",
            el("span", words(f"credits.{kind}"), class_="name"),
            el("strong", words.number(balances[kind].available), data_available=kind),
            el(
                "span",
                words("credits.of", posted=words.number(balances[kind].posted), held=words.number(balances[kind].held)),
                class_="hint",
                data_posted=balances[kind].posted,
                data_held=balances[kind].held,
            ),
            class_="balance",
        )
        for kind in CREDIT_KINDS
    ]
    return join(el("h2", words("credits.balances")), el("div", *cards, class_="balances"))


def _plan(visit: Visit, account: str) -> Markup:
    words, plan = visit.words, visit.studio.counter.plan(account)
    lines: list[tuple[str, object]] = []
    if plan.credits is not None:
        lines.append(("includes", words("plan.credits", n=words.number(plan.credits))))
    if plan.refill_at is not None:
        lines.append(("refill", moment(plan.refill_at)))
    if plan.ends_at is not None:
        lines.append(("ends", moment(plan.ends_at)))
    if plan.then is not None:
        lines.append(("then", plan.then.capitalize()))
    if plan.name is not None:
        lines.append(("tunes", words("plan.keeps" if plan.keeps_tunes else "plan.keeps_not")))
    told = {deals.HOUSE: "credits.house", None: "credits.no_plan"}.get(plan.name)
    may_cancel = plan.credits is not None and (plan.ends_at is None or plan.then is not None)
    return el(
        "section",
        el("h3", words("credits.plan")),
        el("strong", plan.title if plan.name else words("plan.none")),
        el("p", words(told), class_="hint") if told else None,
        el("dl", *(join(el("dt", words(f"plan.{key}")), el("dd", value)) for key, value in lines)) if lines else None,
        deals.opener(words("deal.cancel.open"), what="cancel", whose=account) if may_cancel else None,
        class_="card plan",
        data_plan=plan.name or "",
    )


def _month(visit: Visit, account: str) -> Markup:
    """This month's use, a bar for each day: playground credits, and the other kinds where there was any use."""
    words, month = visit.words, visit.studio.counter.month(account)
    plots: list[Markup] = []
    for kind, days in month.spent.items():
        total, most = sum(days), max(days)
        if not total and kind != "playground":
            continue
        said = words("month.total", spent=words.count(f"credit.{kind}", total), kind=words(f"credits.{kind}"))
        bars = [
            el(
                "span",
                style=f"height:{max(100 * spent // most, 3) if spent else 0}%",
                title=words("month.day", day=day, spent=words.count(f"credit.{kind}", spent)),
                class_="today" if day == month.today else None,
            )
            for day, spent in enumerate(days, start=1)
        ]
        plots += [
            el(
                "p",
                el("span", said),
                el("span", words("month.most", n=words.number(most)), class_="hint") if most else None,
            ),
            el("div", *bars, class_="bars", role="img", aria_label=said),
            el("p", *(el("span", day) for day in (1, 8, 15, 22, len(days))), class_="days hint", aria_hidden="true"),
        ]
    return el("section", el("h3", words("month.title")), *plots, class_="card month")
