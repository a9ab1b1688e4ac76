"""`tune extend | delete` and `retention list | run`: what is kept for how long, and what goes now."""

import time
from argparse import Namespace
from collections.abc import Mapping
from datetime import UTC, datetime

from studio import answers
from studio.cli.jobs import at
from studio.cli.opening import opened
from studio.cli.output import Answer, agreed, note, table
from studio.domain import Refused
from studio.retention import Due, Going, Receipt, Retention

PATIENCE = 60.0  # seconds that a command waits for a job to stop and for readers to end
SOON = 0.5  # seconds between two looks

GOES = {
    "tunes": ("the tune with its name", "tunes with their names"),
    "models": ("the model", "models"),
    "photos": ("1 photo", "photos"),
    "pictures": ("1 picture", "pictures"),
    "uploads": ("1 picture that was handed to a tool", "pictures that were handed to tools"),
    "exports": ("1 export", "exports"),
    "jobs_stopped": ("1 job that waits or runs", "jobs that wait or run"),
    "records": ("the record of consent", "records of consent"),
}
STAYS = {
    "pictures": GOES["pictures"],
    "photos": ("1 photo, which has a clock of its own", "photos, which have a clock of their own"),
    "bookings": ("1 line of the account book", "lines of the account book"),
    "jobs": ("1 job without what was asked, for the account book", "jobs without what was asked, for the account book"),
    "receipts": ("a receipt without any name", "receipts without any name"),
}
WHY = {
    "age": "30 days after training",
    "extended": "extended until then",
    "lapse": "7 days after the plan lapsed",
    "policy": "policy delete-all",
    "trained": "24 hours after training",
    "untrained": "7 days after they were handed in",
    "handed-in": "7 days after it was handed in",
    "made": "24 hours after it was made",
    "asked": "asked for",
    "restored": "deleted after the backup was made",
}


def extend(args: Namespace) -> Answer:
    """Raises NotFound and Refused."""
    with opened(args) as studio:
        tune = studio.retention.extend(args.account, args.id)
        kept = studio.counter.plan(args.account).keeps_tunes
    text = f"The model of {tune.name} is kept until {at(tune.expires_at)} (UTC)"
    return Answer(
        body=answers.of_tune(tune), text=text + (", and as long as the plan that keeps tunes." if kept else ".")
    )


def delete(args: Namespace) -> Answer:
    """Raises NotFound, Refused (no model, nobody to ask), and StudioError where the answer is no."""
    with opened(args) as studio:
        going = studio.retention.going(args.account, args.id, model_only=args.model_only)
        agreed(_told(going), yes=args.yes, must=True)
        receipt = studio.retention.delete(args.account, args.id, model_only=args.model_only)
        receipt = _seen_through(studio.retention, args.account, receipt)
    body: answers.Answer = {
        "tune": going.tune,
        "model_only": going.model_only,
        "goes": dict(going.goes),
        "stays": dict(going.stays),
        "credits": dict(going.credits),
        "receipt": answers.of_receipt(receipt),
    }
    return Answer(body=body, text=f"Deleted. Receipt {receipt.id}: {_state(receipt)}.")


def list_due(args: Namespace) -> Answer:
    with opened(args) as studio:
        due = studio.retention.due(args.account)
        soon = studio.retention.warnings(args.account)
        receipts = studio.retention.receipts(args.account)
    rows = [("GOES (UTC)", "WHAT", "OF", "WHY", "ID"), *map(_row, due)]
    parts = [table(rows) if due else "Nothing is due."]
    if receipts:
        told = [(at(one.at), _counted(one.counts, GOES), WHY.get(one.why, one.why), _state(one)) for one in receipts]
        parts.append(table([("WENT (UTC)", "WHAT", "WHY", "STATE"), *told]))
    return Answer(
        body={
            "due": [answers.of_due(one) for one in due],
            "warnings": [answers.of_due(one) for one in soon],
            "receipts": [answers.of_receipt(one) for one in receipts],
        },
        text="\n\n".join(parts),
    )


def run(args: Namespace) -> Answer:
    """Raises Refused (a time that is none)."""
    now = None if args.now is None else _moment(args.now)
    with opened(args) as studio:
        moment = int(time.time()) if now is None else now
        believed = studio.retention.is_believed(moment)
        receipts = studio.retention.sweep(now)
        pending = not studio.retention.finish()
    if not believed:
        note(
            f"{at(moment)} (UTC) is more than 48 hours after the last sweep, and the clock may be wrong: what became "
            "due since stays until another sweep agrees."
        )
    text = "\n".join(f"{at(one.at)}  {_counted(one.counts, GOES)}: {WHY.get(one.why, one.why)}" for one in receipts)
    return Answer(
        body={
            "receipts": [answers.of_receipt(one) for one in receipts],
            "believed": believed,
            "pending": pending,
        },
        text=text or "Nothing went.",
    )


def _moment(text: str) -> int:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refused(f"now is no time: {text}.", field="now", allowed="a time such as 2026-12-24T18:00") from error
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())


def _seen_through(retention: Retention, account: str, receipt: Receipt) -> Receipt:
    """The receipt once everything is erased and wiped, or as it stands after a minute."""
    deadline = time.monotonic() + PATIENCE
    while receipt.is_pending and time.monotonic() < deadline:
        time.sleep(SOON)
        retention.finish()
        receipt = next(one for one in retention.receipts(account) if one.id == receipt.id)
    return receipt


def _told(going: Going) -> str:
    what = f"The model of {going.name}" if going.model_only else f"{going.name}, with everything of it,"
    lines = [
        f"{what} is deleted and cannot be brought back.",
        f"Goes: {_counted(going.goes, GOES)}.",
        f"Stays: {_counted(going.stays, STAYS)}.",
    ]
    if any(going.credits.values()):
        lines.append(f"Comes back: {answers.in_words(going.credits)}.")
    return "\n".join(lines)


def _counted(counts: Mapping[str, int], words: Mapping[str, tuple[str, str]]) -> str:
    return ", ".join(
        one if counts[what] == 1 else f"{counts[what]} {many}" for what, (one, many) in words.items() if what in counts
    )


def _state(receipt: Receipt) -> str:
    if receipt.erased_at is None:
        return "pending: a job that works on it has not stopped yet"
    return "erased; the wipe of the database's log is pending" if receipt.is_pending else "erased and wiped"


def _row(due: Due) -> tuple[str, str, str, str, str]:
    return at(due.at), due.what, due.name or "-", WHY[due.why], due.id
