"""`credits show | history | verify | purchases | subscribe | cancel | buy | refund | grant`."""

from argparse import Namespace
from typing import cast

from studio import answers
from studio.cli.jobs import at
from studio.cli.opening import opened
from studio.cli.output import Answer, agreed, table
from studio.counter import PlanOf
from studio.credits.prices import cents, money
from studio.credits.purchases import Purchase
from studio.credits.refunds import Refund
from studio.domain import CREDIT_KINDS, OWNER, CreditKind, Refused
from studio.rules import shown, whole


def show(args: Namespace) -> Answer:
    with opened(args) as studio:
        balances = studio.counter.balances(args.account)
        plan = studio.counter.plan(args.account)
    rows = [(kind, balance.posted, balance.held, balance.available) for kind, balance in balances.items()]
    held = table([("KIND", "POSTED", "HELD", "AVAILABLE"), *rows])
    return Answer(body=answers.of_balances(balances), text=f"{held}\n{_plan(plan)}")


def history(args: Namespace) -> Answer:
    with opened(args) as studio:
        entries = studio.counter.history(args.account, limit=whole("limit", args.limit, 1, 10_000))
    head = ("NO", "AT (UTC)", "WHAT", "KIND", "POSTED", "HELD", "JOB", "REASON")
    rows = [
        (one.seq, at(one.at), one.phase, one.kind, one.posted_change, one.held_change, one.job or "-", one.reason)
        for one in entries
    ]
    return Answer(
        body={"entries": [answers.of_entry(one) for one in entries]},
        text=table([head, *rows]) if rows else "Nothing is written down yet.",
    )


def verify(args: Namespace) -> Answer:
    with opened(args) as studio:
        studio.counter.balances(args.account)
        faults = studio.verify()
    text = "\n".join(faults) if faults else "The account book is sound: every sum agrees and the chain is unbroken."
    return Answer(body={"faults": faults}, text=text, code=1 if faults else 0)


def grant(args: Namespace) -> Answer:
    if args.kind not in CREDIT_KINDS:
        allowed = ", ".join(CREDIT_KINDS)
        raise Refused(f"kind must be one of {allowed}, not {shown(args.kind)}.", field="kind", allowed=allowed)
    kind = cast(CreditKind, args.kind)
    with opened(args) as studio:
        studio.counter.grant(OWNER, args.account, kind, args.amount, reason=args.reason, key=args.id)
        balances = studio.counter.balances(args.account)
    return Answer(
        body=answers.of_balances(balances),
        text=f"Granted {answers.in_words({kind: args.amount})}; {balances[kind].available} are available now.",
    )


def purchases(args: Namespace) -> Answer:
    with opened(args) as studio:
        found = studio.counter.purchases(OWNER, args.account, limit=whole("limit", args.limit, 1, 10_000))
    head = ("PURCHASE", "AT (UTC)", "WHAT", "PRICE", "CAN BE GIVEN BACK BEFORE")
    rows = [
        (
            one.id,
            at(one.bought_at),
            f"{one.what} {one.title}{' for a year' if one.annual else ''}",
            money(one.price, one.currency),
            f"given back {at(one.refunded_at)}" if one.refunded_at else at(one.refund_before),
        )
        for one in found
    ]
    return Answer(
        body={"purchases": [answers.of_purchase(one) for one in found]},
        text=table([head, *rows]) if rows else "Nothing was bought yet.",
    )


def subscribe(args: Namespace) -> Answer:
    with opened(args) as studio:
        done = studio.counter.subscribe(
            OWNER,
            args.account,
            args.plan,
            annual=args.annual,
            purchase_id=args.id,
            price=None if args.price is None else cents("price", args.price),
        )
        plan = studio.counter.plan(args.account)
    begins = {
        "now": f"begins now and gives {answers.in_words({'playground': done.gives})}",
        "later": f"begins on {at(done.change.at)}",
        "resumed": "goes on",
    }[done.change.how]
    return Answer(
        body={
            "plan": done.plan,
            "begins": done.change.how,
            "begins_at": done.change.at,
            "gives": done.gives,
            "purchase": answers.of_purchase(done.purchase) if done.purchase else None,
        },
        text=f"The plan {done.plan} {begins}.{_bought(done.purchase)}\n{_plan(plan)}",
    )


def cancel(args: Namespace) -> Answer:
    with opened(args) as studio:
        ends_at = studio.counter.cancel(OWNER, args.account)
    return Answer(body={"ends_at": ends_at}, text=f"The plan is cancelled and ends on {at(ends_at)}.")


def buy(args: Namespace) -> Answer:
    with opened(args) as studio:
        bought = studio.counter.buy(
            OWNER,
            args.account,
            args.pack,
            purchase_id=args.id,
            price=None if args.price is None else cents("price", args.price),
        )
        gives = dict(studio.prices().packs[bought.name].gives)
    return Answer(
        body={"purchase": answers.of_purchase(bought), "gives": gives},
        text=f"The pack {bought.title} gives {answers.in_words(gives)}.{_bought(bought)}",
    )


def refund(args: Namespace) -> Answer:
    with opened(args) as studio:
        will = studio.counter.would_refund(OWNER, args.purchase)
        agreed(_refund(will, "This gives back"), yes=args.yes, must=False)
        done = studio.counter.refund(OWNER, args.purchase, reason=args.reason)
    return Answer(
        body={
            "purchase": done.purchase.id,
            "takes": dict(done.takes),
            "held": dict(done.held),
            "ends_plan": done.ends_plan,
        },
        text=_refund(done, "Given back:"),
    )


def _refund(what: Refund, begin: str) -> str:
    purchase = what.purchase
    words = f"{begin} the {purchase.what} {purchase.title} ({money(purchase.price, purchase.currency)})"
    words += f" and takes back {answers.in_words(what.takes)}" if what.takes else " and takes back no credits"
    words += f"; {answers.in_words(what.held)} are held by jobs and pay for what these deliver" if what.held else ""
    return f"{words}{'; the plan ends' if what.ends_plan else ''}."


def _bought(purchase: Purchase | None) -> str:
    if purchase is None:
        return ""
    return f" Recorded as purchase {purchase.id}, {money(purchase.price, purchase.currency)}."


def _plan(plan: PlanOf) -> str:
    if plan.name is None:
        return "Plan: none."
    words = f"Plan: {plan.title}"
    words += f", {plan.credits} playground credits a month" if plan.credits is not None else ""
    words += f", refilled on {at(plan.refill_at)}" if plan.refill_at is not None else ""
    words += f", ends on {at(plan.ends_at)}" if plan.ends_at is not None else ""
    return words + (f", then {plan.then}." if plan.then else ".")
