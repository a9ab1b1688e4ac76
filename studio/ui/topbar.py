"""The bar above the tabs: the name, what runs, what is left on the account, and light or dark."""

from markupsafe import Markup

from studio.domain import CREDIT_KINDS
from studio.ui import views
from studio.ui.deals import HOUSE
from studio.ui.html import button, el, icon
from studio.ui.visit import Visit

MARK = Markup(
    '<svg class="mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false"><circle cx="16" cy="16" r="15"/>'
    '<path d="M16 8.2a4.9 4.9 0 1 1 0 9.8 4.9 4.9 0 0 1 0-9.8zM7.3 25.4c1.4-3.9 4.8-6 8.7-6s7.3 2.1 8.7 6"/></svg>'
)


def shown(visit: Visit) -> Markup:
    """The bar as it stands, with what keeps the queue from being worked where something does."""
    words = visit.words
    trouble = visit.studio.trouble
    banner = None
    if trouble is not None:
        banner = el("p", words("top.trouble", why=words.sentence(trouble)), class_="trouble", role="alert")
    bar = el(
        "div",
        el("h1", MARK, el("span", "Likeness"), class_="brand"),
        el("span", class_="grow"),
        _jobs(visit),
        _balance(visit),
        button(words("top.dark"), icon_name="moon", show_label=False, data_dark=True, class_="chip round"),
        class_="bar-top",
    )
    return el("div", bar, banner)


def _jobs(visit: Visit) -> Markup:
    words = visit.words
    active = visit.studio.active_jobs(visit.account)
    running = next((job for job in active if job.state == "running"), None)
    if not active:
        return el("button", icon("clock"), el("span", words("top.idle"), class_="wide"), type="button",
                  data_tab="jobs", class_="chip", title=words("top.jobs"))  # fmt: skip
    said = words.count("top.active", len(active))
    done = f" · {views.percent(running)} %" if running is not None and running.steps else ""
    return el(
        "button",
        el("span", class_="spin", aria_hidden="true"),
        el("span", said, el("span", done, class_="wide")),
        type="button",
        data_tab="jobs",
        class_="chip live",
        title=words("top.jobs"),
    )


def _balance(visit: Visit) -> Markup:
    words = visit.words
    balances = visit.studio.counter.balances(visit.account)
    if visit.studio.counter.plan(visit.account).name == HOUSE:
        said = words("top.house")
        full = words("credits.house")
    else:
        said = words.count("credit.playground", balances["playground"].available)
        full = ", ".join(words.count(f"credit.{kind}", balances[kind].available) for kind in CREDIT_KINDS)
    return el("button", icon("coin"), el("span", said), type="button", data_tab="credits", class_="chip", title=full)
