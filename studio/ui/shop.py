"""Plans and packs that there are to be had, and what things cost."""

from collections.abc import Sequence

from markupsafe import Markup

from studio.counter import Pack, Plan
from studio.domain import OWNER
from studio.ui import deals
from studio.ui.html import el, join
from studio.ui.visit import Visit


def shown(visit: Visit, account: str) -> Markup:
    """Plans, packs and the price table. For the owner with what records a purchase for the account looked at."""
    words, prices = visit.words, visit.studio.prices()
    running = visit.studio.counter.plan(account)
    plans = [_plan(visit, account, one, running.name) for one in prices.plans.values() if one.offered]
    packs = [_pack(visit, account, one) for one in prices.packs.values() if one.offered]
    house = None
    if account == visit.account == OWNER and running.name != deals.HOUSE:
        house = deals.opener(words("deal.house.open"), what="house", whose=account)
    return join(
        el("h2", words("shop.title")),
        el("p", words("shop.owner" if visit.account == OWNER else "shop.ask"), class_="hint"),
        el("div", *plans, *packs, class_="offers"),
        house,
        el("h2", words("credits.prices")),
        _prices(visit),
    )


def _plan(visit: Visit, account: str, plan: Plan, running: str | None) -> Markup:
    words, currency = visit.words, visit.studio.prices().currency
    sums: list[Markup] = []
    if plan.monthly is not None:
        sums.append(el("p", words("shop.monthly", price=words.money(plan.monthly, currency))))
    if plan.annual is not None:
        a_month = words.money(round(plan.annual / 12), currency)
        sums.append(el("p", words("shop.annual", price=words.money(plan.annual, currency), a_month=a_month)))
    acts: list[Markup] = []
    if visit.account == OWNER:
        acts.append(deals.opener(words("shop.by_month"), what="subscribe", item=plan.name, whose=account))
        if plan.annual is not None:
            acts.append(deals.opener(words("shop.by_year"), what="subscribe", item=plan.name, whose=account, on="1"))
    return el(
        "section",
        el("h3", plan.title, el("span", words("shop.yours"), class_="state done") if plan.name == running else None),
        el("strong", words("plan.credits", n=words.number(plan.credits))),
        *(sums or [el("p", words("shop.no_price"), class_="hint")]),
        el("p", words("plan.keeps" if plan.keeps_tunes else "plan.keeps_not"), class_="hint"),
        el("div", *acts, class_="acts") if acts else None,
        class_="card",
    )


def _pack(visit: Visit, account: str, pack: Pack) -> Markup:
    words = visit.words
    gives = deals.in_words(words, pack.gives)
    price = words("shop.no_price") if pack.price is None else words.money(pack.price, visit.studio.prices().currency)
    act = deals.opener(words("shop.record"), what="buy", item=pack.name, whose=account)
    return el(
        "section",
        el("h3", pack.title),
        el("strong", gives),
        el("p", price, class_="hint" if pack.price is None else None),
        el("p", words("shop.lasting"), class_="hint"),
        el("div", act, class_="acts") if visit.account == OWNER else None,
        class_="card",
    )


def _prices(visit: Visit) -> Markup:
    words, prices = visit.words, visit.studio.prices()
    starts = [1, *(most + 1 for most in prices.steps[:-1])]
    bands = [words("credits.steps", first=first, last=last) for first, last in zip(starts, prices.steps, strict=True)]
    sizes = table(
        [words("credits.size"), *bands],
        [[str(size).replace("x", " × "), *map(str, row)] for size, row in prices.image],
        caption=words("credits.pictures"),
        class_="numbers",
    )
    tools = table(
        [words("credits.tool"), words("credits.price")],
        [
            *([words(f"tool.{name}"), words.count("credit.playground", cost)] for name, cost in prices.tools.items()),
            [words("tool.training"), words.count("credit.tune", prices.training)],
            [words("tool.avatar"), words.count("credit.tune_image", prices.avatar)],
        ],
        caption=words("credits.tools"),
    )
    return el("div", sizes, tools, class_="tables")


def table(head: Sequence[str], rows: Sequence[Sequence[object]], *, caption: str, class_: str | None = None) -> Markup:
    """A table that scrolls by itself where it is wide, by keyboard too; each cell knows the name of its column."""
    body = [el("tr", *(el("td", cell, data_label=name) for name, cell in zip(head, row, strict=True))) for row in rows]
    whole = el(
        "table",
        el("caption", caption),
        el("thead", el("tr", *(el("th", name, scope="col") for name in head))),
        el("tbody", *body),
        class_=class_,
    )
    return el("div", whole, class_="table", tabindex=0, role="region", aria_label=caption)
