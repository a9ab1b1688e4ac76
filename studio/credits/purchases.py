"""What was bought: recorded by the owner, since the studio takes no payments itself, with its price and its grants."""

import sqlite3
from dataclasses import dataclass
from typing import Literal

from studio.credits import ledger
from studio.credits.price_file import MOST_MONEY
from studio.credits.prices import Pack, Plan, Prices, money
from studio.domain import OWNER, Conflict, CreditKind, NotFound, Refused
from studio.rules import job_id as checked_id
from studio.rules import new_id, whole
from studio.storage.database import NEWEST, Tx

DAY = 86_400


@dataclass(frozen=True, kw_only=True)
class Purchase:
    """A pack or a plan that was bought at `bought_at`; `price` in hundredths of `currency`, None where none was set.

    It can be given back before `refund_before`.
    """

    seq: int
    id: str
    account: str
    what: Literal["pack", "plan"]
    name: str
    title: str
    annual: bool
    price: int | None
    currency: str
    recorded_by: str
    recorded_at: int
    bought_at: int
    refund_before: int
    refunded_at: int | None
    refunded_by: str | None
    refund_reason: str | None


def get(tx: Tx, purchase_id: str) -> Purchase:
    """The purchase, whoever's it is. Raises Refused (no UUID), NotFound."""
    row = tx.execute("SELECT * FROM purchase WHERE id = ?", (checked_id(purchase_id, field="purchase"),)).fetchone()
    if row is None:
        raise NotFound("There is no such purchase.", field="purchase")
    return _purchase(row)


def newest(tx: Tx, account: str | None = None, *, limit: int = 100, before: int | None = None) -> list[Purchase]:
    """A page of an account's purchases, or of everybody's, newest first; the next is what comes `before` a seq."""
    rows = tx.execute(
        "SELECT * FROM purchase WHERE (?1 IS NULL OR account = ?1) AND seq < ?2 ORDER BY seq DESC LIMIT ?3",
        (account, NEWEST if before is None else before, limit),
    )
    return [_purchase(row) for row in rows]


def buy(
    tx: Tx,
    prices: Prices,
    account: str,
    pack_name: str,
    *,
    by: str,
    now: int,
    purchase_id: str | None = None,
    price: int | None = None,
) -> Purchase:
    """Records that a pack was bought and gives its credits. `price` (hundredths) is what was agreed, else the list's.

    The same id again is the same purchase. Raises Refused, NotFound (account), Conflict (the id of another purchase).
    """
    only_the_owner(by)
    pack = prices.pack(pack_name)
    again = known(tx, purchase_id, account, pack, annual=False)
    if again is not None:
        return again
    bought = record(
        tx, prices, account, pack, by=by, now=now, bought_at=now, purchase_id=purchase_id,
        price=pack.price if price is None else price,
    )  # fmt: skip
    for kind, amount in pack.gives.items():
        give(tx, bought, kind, amount, key=f"pack:{bought.id}:{kind}", source="pack", now=now)
    return bought


def only_the_owner(by: str) -> None:
    """Raises Refused for anybody else: the studio takes no payments, so somebody must say that one was made."""
    if by != OWNER:
        raise Refused(
            "Purchases, plans and refunds are recorded by the owner of this studio: ask there.",
            field="account",
            allowed="the owner",
        )


def known(tx: Tx, purchase_id: str | None, account: str, item: Pack | Plan, *, annual: bool) -> Purchase | None:
    """The purchase that was recorded under this id before. Raises Refused (no UUID), Conflict (another purchase)."""
    if purchase_id is None:
        return None
    try:
        found = get(tx, checked_id(purchase_id))
    except NotFound:
        return None
    if (found.account, found.what, found.name, found.annual) != (account, _what(item), item.name, annual):
        raise Conflict("This id already belongs to another purchase.", field="id", allowed="a new UUID")
    return found


def record(
    tx: Tx,
    prices: Prices,
    account: str,
    item: Pack | Plan,
    *,
    by: str,
    now: int,
    bought_at: int,
    purchase_id: str | None,
    price: int | None,
    annual: bool = False,
) -> Purchase:
    """Writes a purchase down; `bought_at` is when it begins to count. Raises Refused, NotFound (account)."""
    if tx.execute("SELECT 1 FROM account WHERE id = ?", (account,)).fetchone() is None:
        raise NotFound("There is no such account.", field="account")
    if price is not None:
        whole("price", price, 0, MOST_MONEY)
    made = new_id() if purchase_id is None else checked_id(purchase_id)
    tx.execute(
        """
        INSERT INTO purchase
            (id, account, what, name, title, annual, price, currency,
             recorded_by, recorded_at, bought_at, refund_before)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """,
        (
            made, account, _what(item), item.name, item.title, annual, price, prices.currency, by, now, bought_at,
            bought_at + prices.refund_days * DAY,
        ),
    )  # fmt: skip
    return get(tx, made)


def give(
    tx: Tx,
    purchase: Purchase,
    kind: CreditKind,
    amount: int,
    *,
    key: str,
    source: str,
    now: int,
    expires_at: int | None = None,
) -> None:
    """Grants credits that come of a purchase; the account book says of which, and at what price."""
    made = ledger.grant(
        tx,
        purchase.account,
        kind,
        amount,
        key=key,
        source=source,
        reason=f"{purchase.what} {purchase.title}, {money(purchase.price, purchase.currency)}, "
        f"recorded by {purchase.recorded_by} as {purchase.id}",
        now=now,
        expires_at=expires_at,
        priority=ledger.PACK_LATER if source == "pack" else ledger.PLAN_FIRST,
    )
    tx.execute(
        "INSERT INTO purchase_grant (grant, purchase, account, kind) VALUES (?, ?, ?, ?)",
        (made, purchase.id, purchase.account, kind),
    )


def mark_refunded(tx: Tx, purchase: Purchase, *, by: str, reason: str, now: int) -> None:
    """Notes that a purchase was given back. Raises Conflict where it was already."""
    changed = tx.execute(
        "UPDATE purchase SET refunded_at = ?, refunded_by = ?, refund_reason = ? WHERE id = ? AND refunded_at IS NULL",
        (now, by, reason, purchase.id),
    )
    if changed.rowcount != 1:
        raise Conflict("This purchase was already given back.", field="purchase")


def _what(item: Pack | Plan) -> Literal["pack", "plan"]:
    return "pack" if isinstance(item, Pack) else "plan"


def _purchase(row: sqlite3.Row) -> Purchase:
    return Purchase(
        seq=row["seq"],
        id=row["id"],
        account=row["account"],
        what=row["what"],
        name=row["name"],
        title=row["title"],
        annual=bool(row["annual"]),
        price=row["price"],
        currency=row["currency"],
        recorded_by=row["recorded_by"],
        recorded_at=row["recorded_at"],
        bought_at=row["bought_at"],
        refund_before=row["refund_before"],
        refunded_at=row["refunded_at"],
        refunded_by=row["refunded_by"],
        refund_reason=row["refund_reason"],
    )
