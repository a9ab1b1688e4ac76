"""Purchases, which everybody sees his own of, and for the owner every account: what is to be done about them."""

from markupsafe import Markup

from studio.counter import Account, Purchase
from studio.domain import CREDIT_KINDS, OWNER
from studio.ui import deals
from studio.ui.html import button, el, join, moment
from studio.ui.shop import table
from studio.ui.visit import Visit

MOST = 50  # purchases, and accounts


def shown(visit: Visit, account: str) -> Markup:
    """The purchases of the account looked at, and the accounts."""
    return join(_purchases(visit, account), _accounts(visit, account) if visit.account == OWNER else None)


def _purchases(visit: Visit, account: str) -> Markup:
    words = visit.words
    bought = visit.studio.counter.purchases(visit.account, account, limit=MOST)
    title = el("h2", words("office.purchases"))
    if not bought:
        return join(title, el("p", words("office.nothing_bought"), class_="hint"))
    head = [words("credits.when"), words("credits.what"), words("credits.price"), words("office.until"), ""]
    rows = [_purchase(visit, one) for one in bought]
    return join(title, table(head, rows, caption=words("office.purchases"), class_="ledger"), _rest(visit, len(bought)))


def _purchase(visit: Visit, one: Purchase) -> list[object]:
    words = visit.words
    what = words("office.year", title=one.title) if one.annual else one.title
    price = words("shop.no_price") if one.price is None else words.money(one.price, one.currency)
    if one.refunded_at is not None:
        return [moment(one.bought_at), what, price, join(words("office.back"), " ", moment(one.refunded_at)), None]
    give_back = None
    if visit.account == OWNER and visit.studio.counter.clock() < one.refund_before:
        give_back = deals.opener(words("office.give_back"), what="refund", item=one.id, whose=one.account)
    return [moment(one.bought_at), what, price, moment(one.refund_before), give_back]


def _accounts(visit: Visit, account: str) -> Markup:
    words = visit.words
    head = [words("office.account"), words("credits.plan"), *(words(f"credits.{kind}") for kind in CREDIT_KINDS), ""]
    rows = [_account(visit, one, account) for one in visit.studio.counter.accounts(visit.account, limit=MOST)]
    find = el(
        "form",
        el(
            "label",
            el("span", words("office.find")),
            el("input", name="whose", required=True, maxlength=100, autocomplete="off"),
            class_="field",
        ),
        el("button", words("office.open"), type="submit", class_="quiet"),
        data_send="visit",
        class_="line find",
    )
    return join(
        el("h2", words("office.accounts")),
        table(head, rows, caption=words("office.accounts"), class_="ledger"),
        _rest(visit, len(rows)),
        find,
    )


def _account(visit: Visit, one: Account, looked_at: str) -> list[object]:
    words = visit.words
    look = button(words("office.open"), data_do="visit", data_whose=one.id, class_="quiet")
    grant = deals.opener(words("deal.grant.open"), what="grant", whose=one.id)
    return [
        el("strong", one.id) if one.id == looked_at else one.id,
        one.plan.capitalize() if one.plan else words("plan.none"),
        *(words.number(one.balances[kind].available) for kind in CREDIT_KINDS),
        el("span", look if one.id != looked_at else None, grant, class_="acts"),
    ]


def _rest(visit: Visit, count: int) -> Markup | None:
    """Says that there are older ones, where the list is full."""
    return el("p", visit.words("office.newest", n=MOST), class_="hint") if count == MOST else None
