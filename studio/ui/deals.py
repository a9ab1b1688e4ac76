"""What changes credits by hand: said in a window before it is done, and done when the owner says so.

Every function is an endpoint that anybody may call with anything: who may do what is for the service to say.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from markupsafe import Markup

from studio.counter import Pack, Plan, cents, only_the_owner
from studio.domain import CREDIT_KINDS, CreditKind, Refused, StudioError
from studio.rules import new_id, shown
from studio.ui.html import button, el, moment
from studio.ui.visit import Visit, text_of
from studio.ui.words import Words

HOUSE = "house"
BEGINS = {"now": "deal.subscribe.now", "later": "deal.subscribe.later", "resumed": "deal.subscribe.resumed"}
Data = Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class Done:
    """What became of a deal: nothing is left of its window and a notice says so, or the window says what is wrong."""

    dialog: Markup
    notice: Markup | None


@dataclass(frozen=True, kw_only=True)
class Deal:
    """One way to change credits: what it will do, the fields it asks for, and how it is done. `do` returns what the
    notice says."""

    will: Callable[[Visit, Data], Markup]
    fields: Callable[[Visit, Data], list[Markup]]
    do: Callable[[Visit, Data], str]


def opener(label: str, **data: str) -> Markup:
    """A button that opens the window of a deal."""
    given: dict[str, Any] = {f"data_{key}": value for key, value in data.items()}
    return button(f"{label} …", data_do="deal", class_="quiet", **given)


def offered(visit: Visit, data: Data) -> Markup:
    """The window of a deal: what it will do, and the question whether to. Raises StudioError."""
    return _dialog(visit, {**data, "id": new_id()}, None)


def done(visit: Visit, data: Data) -> Done:
    """Does what the window said. What is refused is said in the window, with everything that was filled in."""
    try:
        said = _deal(visit, data).do(visit, data)
    except StudioError as error:
        return Done(dialog=_dialog(visit, data, error), notice=None)
    return Done(dialog=Markup(""), notice=el("p", el("span", said), class_="notice", role="status"))


def in_words(words: Words, amounts: Mapping[CreditKind, int]) -> str:
    """`1 tune credit, 64 tune-image credits`."""
    return ", ".join(words.count(f"credit.{kind}", amount) for kind, amount in amounts.items())


def _deal(visit: Visit, data: Data) -> Deal:
    what = data.get("what")
    if not isinstance(what, str) or what not in DEALS:
        raise Refused(f"There is nothing like {shown(what)} to do.", field="what", allowed=", ".join(DEALS))
    if what not in OWN:
        only_the_owner(visit.account)
    return DEALS[what]


def _dialog(visit: Visit, data: Data, error: StudioError | None) -> Markup:
    words, deal, what = visit.words, _deal(visit, data), text_of(data, "what")
    try:
        will = el("p", deal.will(visit, data))
    except StudioError as refused:
        # It cannot be done at all, so there is nothing to agree to.
        if error is None:
            raise
        will = None
        error = refused
    hidden = [
        el("input", type="hidden", name=name, value=data.get(name) or "")
        for name in ("what", "item", "whose", "on", "id")
    ]
    form = el(
        "form",
        el("h2", words(f"deal.{what}.title", account=_whose(visit, data))),
        will,
        *hidden,
        *(deal.fields(visit, data) if will else ()),
        el("p", words.sentence(error), class_="fault", role="alert") if error else None,
        el(
            "div",
            el("span", class_="grow"),
            button(words("deal.keep"), data_close=True, class_="quiet"),
            el("button", words(f"deal.{what}.do"), type="submit", class_="quiet go") if will else None,
            class_="line",
        ),
        data_send="settle",
        method="dialog",
    )
    return el("dialog", form, id="deal", class_="window", aria_label=words(f"deal.{what}.title", account=""))


# --- what each of them needs -----------------------------------------------------------------------------------------


def _whose(visit: Visit, data: Data) -> str:
    return visit.whose(data.get("whose"))


def _filled(words: Words, key: str, **values: object) -> Markup:
    """A sentence with elements in it: times that the browser writes as its own clock has them."""
    return Markup(words(key)).format(**values)


def _input(words: Words, data: Data, name: str, *, value: str = "", info: str | None = None, **more: object) -> Markup:
    """A field of the form with its name, and what was filled in before."""
    given = data.get(name)
    return el(
        "label",
        el("span", words(f"deal.{name}")),
        el("input", name=name, value=given if isinstance(given, str) else value, autocomplete="off", **more),
        el("span", info, class_="hint") if info else None,
        class_="field",
    )


def _price(visit: Visit, data: Data, listed: int | None) -> Markup:
    currency = visit.studio.prices().currency
    value = "" if listed is None else f"{listed // 100}.{listed % 100:02}"
    info = visit.words("deal.price_info", currency=currency)
    return _input(visit.words, data, "price", value=value, info=info, inputmode="decimal", maxlength=12)


def _reason(visit: Visit, data: Data) -> Markup:
    return _input(visit.words, data, "reason", required=True, maxlength=200)


def _paid(data: Data) -> int | None:
    """What was paid in hundredths; None where nothing was filled in. Raises Refused."""
    words = text_of(data, "price").strip()
    return cents("price", words) if words else None


def _plan(visit: Visit, data: Data) -> Plan:
    return visit.studio.prices().plan(text_of(data, "item"))


def _pack(visit: Visit, data: Data) -> Pack:
    return visit.studio.prices().pack(text_of(data, "item"))


# --- plans -----------------------------------------------------------------------------------------------------------


def _will_subscribe(visit: Visit, data: Data) -> Markup:
    words, plan = visit.words, _plan(visit, data)
    would = visit.studio.counter.would_subscribe(
        visit.account, _whose(visit, data), plan.name, annual=bool(data.get("on"))
    )
    return _filled(
        words,
        BEGINS[would.change.how],
        plan=plan.title,
        gives=words.count("credit.playground", would.gives),
        credits=words.number(plan.credits),
        at=moment(would.change.at),
    )


def _subscribe_fields(visit: Visit, data: Data) -> list[Markup]:
    plan = _plan(visit, data)
    return [_price(visit, data, plan.annual if data.get("on") else plan.monthly)]


def _subscribe(visit: Visit, data: Data) -> str:
    account = _whose(visit, data)
    visit.studio.counter.subscribe(
        visit.account, account, text_of(data, "item"), annual=bool(data.get("on")),
        purchase_id=text_of(data, "id"), price=_paid(data),
    )  # fmt: skip
    return visit.words("deal.subscribe.done", plan=_plan(visit, data).title, account=account)


def _will_be_house(visit: Visit, data: Data) -> Markup:
    del data
    return el("span", visit.words("deal.house.will"))


def _house(visit: Visit, data: Data) -> str:
    visit.studio.counter.subscribe(visit.account, _whose(visit, data), HOUSE)
    return visit.words("deal.house.done")


def _will_cancel(visit: Visit, data: Data) -> Markup:
    plan = visit.studio.counter.plan(_whose(visit, data))
    if plan.credits is None:
        raise Refused("There is no plan to cancel.", field="plan", allowed="an account with a plan")
    return el("span", visit.words("deal.cancel.will", plan=plan.title))


def _cancel(visit: Visit, data: Data) -> str:
    visit.studio.counter.cancel(visit.account, _whose(visit, data))
    return visit.words("deal.cancel.done")


# --- packs, refunds, grants ------------------------------------------------------------------------------------------


def _will_buy(visit: Visit, data: Data) -> Markup:
    pack = _pack(visit, data)
    return el("span", visit.words("deal.buy.will", pack=pack.title, gives=in_words(visit.words, pack.gives)))


def _buy(visit: Visit, data: Data) -> str:
    account = _whose(visit, data)
    bought = visit.studio.counter.buy(
        visit.account, account, text_of(data, "item"), purchase_id=text_of(data, "id"), price=_paid(data)
    )
    return visit.words("deal.buy.done", pack=bought.title, account=account)


def _will_refund(visit: Visit, data: Data) -> Markup:
    words = visit.words
    will = visit.studio.counter.would_refund(visit.account, text_of(data, "item"))
    price = will.purchase.price
    sentences = [
        _filled(
            words,
            "deal.refund.will",
            title=will.purchase.title,
            at=moment(will.purchase.bought_at),
            price=words("shop.no_price") if price is None else words.money(price, will.purchase.currency),
        ),
        words("deal.refund.takes", credits=in_words(words, will.takes)) if will.takes else words("deal.refund.nothing"),
        words("deal.refund.held", credits=in_words(words, will.held)) if will.held else None,
        words("deal.refund.ends") if will.ends_plan else None,
    ]
    return Markup(" ").join(one for one in sentences if one)


def _refund(visit: Visit, data: Data) -> str:
    refund = visit.studio.counter.refund(visit.account, text_of(data, "item"), reason=text_of(data, "reason"))
    taken = in_words(visit.words, refund.takes) or visit.words("deal.refund.no_credits")
    return visit.words("deal.refund.done", title=refund.purchase.title, credits=taken)


def _will_grant(visit: Visit, data: Data) -> Markup:
    return el("span", visit.words("deal.grant.will", account=_whose(visit, data)))


def _grant_fields(visit: Visit, data: Data) -> list[Markup]:
    words = visit.words
    options = [
        el("option", words(f"credits.{kind}"), value=kind, selected=kind == data.get("kind")) for kind in CREDIT_KINDS
    ]
    chosen = el("label", el("span", words("deal.kind")), el("select", *options, name="kind"), class_="field")
    amount = _input(words, data, "amount", required=True, inputmode="numeric", maxlength=12)
    return [chosen, amount, _reason(visit, data)]


def _grant(visit: Visit, data: Data) -> str:
    account, kind, words = _whose(visit, data), text_of(data, "kind"), text_of(data, "amount").strip()
    amount = int(words) if re.fullmatch(r"[0-9]{1,12}", words, re.ASCII) else words
    if kind not in CREDIT_KINDS:
        raise Refused(f"There is no kind of credit {shown(kind)}.", field="kind", allowed=", ".join(CREDIT_KINDS))
    visit.studio.counter.grant(
        visit.account, account, kind, cast(int, amount), reason=text_of(data, "reason"), key=text_of(data, "id")
    )
    return visit.words("deal.grant.done", credits=in_words(visit.words, {kind: cast(int, amount)}), account=account)


DEALS: Mapping[str, Deal] = {
    "subscribe": Deal(will=_will_subscribe, fields=_subscribe_fields, do=_subscribe),
    "house": Deal(will=_will_be_house, fields=lambda visit, data: [], do=_house),
    "cancel": Deal(will=_will_cancel, fields=lambda visit, data: [], do=_cancel),
    "buy": Deal(will=_will_buy, fields=lambda visit, data: [_price(visit, data, _pack(visit, data).price)], do=_buy),
    "refund": Deal(will=_will_refund, fields=lambda visit, data: [_reason(visit, data)], do=_refund),
    "grant": Deal(will=_will_grant, fields=_grant_fields, do=_grant),
}

OWN = ("cancel",)
"""What everybody may do about his own account; the rest is the owner's."""
