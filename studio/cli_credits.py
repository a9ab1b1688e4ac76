"""`credits show | history | verify | grant`."""

from argparse import Namespace
from typing import cast

from studio import answers
from studio.cli_jobs import at
from studio.cli_output import Answer, table
from studio.cli_studio import opened
from studio.domain import CREDIT_KINDS, CreditKind, Refused
from studio.rules import shown, whole


def show(args: Namespace) -> Answer:
    with opened(args) as studio:
        balances = studio.balances(args.account)
    rows = [(kind, balance.posted, balance.held, balance.available) for kind, balance in balances.items()]
    return Answer(body=answers.of_balances(balances), text=table([("KIND", "POSTED", "HELD", "AVAILABLE"), *rows]))


def history(args: Namespace) -> Answer:
    with opened(args) as studio:
        entries = studio.history(args.account, limit=whole("limit", args.limit, 1, 10_000))
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
        studio.balances(args.account)
        faults = studio.verify()
    text = "\n".join(faults) if faults else "The account book is sound: every sum agrees and the chain is unbroken."
    return Answer(body={"faults": faults}, text=text, code=1 if faults else 0)


def grant(args: Namespace) -> Answer:
    if args.kind not in CREDIT_KINDS:
        allowed = ", ".join(CREDIT_KINDS)
        raise Refused(f"kind must be one of {allowed}, not {shown(args.kind)}.", field="kind", allowed=allowed)
    kind = cast(CreditKind, args.kind)
    with opened(args) as studio:
        studio.grant(args.account, kind, args.amount, reason=args.reason, key=args.id)
        balances = studio.balances(args.account)
    return Answer(
        body=answers.of_balances(balances),
        text=f"Granted {answers.in_words({kind: args.amount})}; {balances[kind].available} are available now.",
    )
