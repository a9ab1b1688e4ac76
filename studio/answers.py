"""Jobs, pictures and credits as the JSON objects that commands and the API answer with."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from studio.domain import Charge, CreditKind, Job, Picture, Tune

if TYPE_CHECKING:  # a price is told without loading the database
    from studio.credits.book import Balance, Entry
    from studio.credits.purchases import Purchase
    from studio.storage.deletions import Receipt
    from studio.storage.retention import Due

Answer = dict[str, object]


def of_charges(charges: Sequence[Charge]) -> Answer:
    """`price` and `kind` are the first charge's (0 and null where it costs nothing); `charges` has all: a
    super-resolved avatar costs of two kinds."""
    return {
        "price": charges[0].amount if charges else 0,
        "kind": charges[0].kind if charges else None,
        "charges": [
            {"kind": charge.kind, "each": charge.each, "count": charge.count, "amount": charge.amount}
            for charge in charges
        ],
    }


def charged(job: Job) -> dict[CreditKind, int]:
    """What an ended job has cost, by kind: its price for every picture delivered, less what was spared. Nothing while
    it is held."""
    return {
        charge.kind: charge.each * job.delivered - (job.spared if charge.kind == "playground" else 0)
        if job.ended
        else 0
        for charge in job.charges
    }


def of_job(job: Job) -> Answer:
    """Everything about a job but its pictures."""
    return {
        "id": job.id,
        "kind": job.request.kind,
        "state": job.state,
        **of_charges(job.charges),
        "charged": charged(job),
        "request": job.request.to_json(),
        "pictures": job.request.pictures,
        "delivered": job.delivered,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "ended_at": job.ended_at,
        "seconds": round(job.seconds, 3),
        "step": job.step,
        "steps": job.steps,
        "message": job.message,
        "seconds_left": job.seconds_left,
        "warnings": list(job.warnings),
        "cancel_requested": job.cancel_requested,
        "error": job.error,
        "field": job.error_field,
        "allowed": job.error_allowed,
    }


def of_picture(picture: Picture, path: str | None = None) -> Answer:
    """A picture; `path` is where a command put it."""
    return {
        "id": picture.id,
        **({} if path is None else {"path": path}),
        "seed": picture.seed,
        "width": picture.width,
        "height": picture.height,
    }


def of_tune(tune: Tune) -> Answer:
    """A tune; `expires_at` is when its model goes, null while there is none."""
    return {
        "id": tune.id,
        "name": tune.name,
        "class": tune.class_name,
        "base": tune.base,
        "state": tune.state,
        "policy": tune.policy,
        "job": tune.job,
        "created_at": tune.created_at,
        "trained_at": tune.trained_at,
        "expires_at": tune.expires_at,
        "styles_left": list(tune.styles_left),
    }


def of_due(due: "Due") -> Answer:
    """Something that will go, and when."""
    return {"what": due.what, "id": due.id, "name": due.name, "at": due.at, "why": due.why}


def of_receipt(receipt: "Receipt") -> Answer:
    """That something was deleted; `wiped_at` is null while the wipe of the database's log is pending."""
    return {
        "id": receipt.id,
        "at": receipt.at,
        "why": receipt.why,
        "counts": dict(receipt.counts),
        "erased_at": receipt.erased_at,
        "wiped_at": receipt.wiped_at,
        "pending": receipt.is_pending,
    }


def of_making(job: Job, pictures: Sequence[Answer]) -> Answer:
    """What a command that makes pictures answers with."""
    return {
        "job": job.id,
        "price": of_charges(job.charges)["price"],
        "seconds": round(job.seconds, 3),
        "pictures": list(pictures),
        "warnings": list(job.warnings),
    }


def of_balances(balances: "Mapping[CreditKind, Balance]") -> Answer:
    return {
        kind: {"posted": balance.posted, "held": balance.held, "available": balance.available}
        for kind, balance in balances.items()
    }


def of_entry(entry: "Entry") -> Answer:
    return {
        "seq": entry.seq,
        "at": entry.at,
        "phase": entry.phase,
        "kind": entry.kind,
        "posted": entry.posted_change,
        "held": entry.held_change,
        "job": entry.job,
        "reason": entry.reason,
    }


def of_purchase(purchase: "Purchase") -> Answer:
    """`price` is exact to the cent, as a text; null where none was set."""
    return {
        "id": purchase.id,
        "account": purchase.account,
        "what": purchase.what,
        "name": purchase.name,
        "annual": purchase.annual,
        "price": None if purchase.price is None else f"{purchase.price // 100}.{purchase.price % 100:02}",
        "currency": purchase.currency,
        "recorded_by": purchase.recorded_by,
        "bought_at": purchase.bought_at,
        "refund_before": purchase.refund_before,
        "refunded_at": purchase.refunded_at,
    }


def in_words(amounts: Mapping[CreditKind, int]) -> str:
    """`4 playground credits`, `1 tune-image credit and 2 playground credits`, `no credits`."""
    words = (
        f"{amount} {kind.replace('_', '-')} credit{'' if amount == 1 else 's'}" for kind, amount in amounts.items()
    )
    return " and ".join(words) or "no credits"
