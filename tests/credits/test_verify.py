"""Whatever somebody with the file changes in plans, purchases and grants, verify tells."""

import sqlite3
from pathlib import Path

import pytest

from studio.credits import verify
from tests.credits.shop import Shop

OVERLAP = """
    INSERT INTO purchase (id, account, what, name, title, annual, currency, recorded_by, recorded_at, bought_at,
        refund_before) SELECT 'x', account, what, name, title, annual, currency, recorded_by, recorded_at, bought_at,
        refund_before FROM purchase WHERE what = 'plan';
    INSERT INTO subscription (account, purchase, plan, credits, keeps_tunes, annual, begins_at, ends_at)
        SELECT account, 'x', 'business', 6000, 1, 0, begins_at + 1, begins_at + 2 FROM subscription
"""


def tampered(path: Path, script: str) -> list[str]:
    """What verify finds after somebody who has the file has changed it, past all guards."""
    raw = sqlite3.connect(path, isolation_level=None)
    raw.row_factory = sqlite3.Row
    for trigger in raw.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
        raw.execute(f"DROP TRIGGER {trigger[0]}")
    raw.execute("BEGIN")
    for statement in script.split(";"):
        raw.execute(statement)
    found = verify.faults(raw)
    raw.rollback()
    raw.close()
    return found


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        ("UPDATE entry SET reason = 'a gift' WHERE seq = 1", "the chain is broken: entry 1"),
        ("UPDATE entry SET at = at + 1 WHERE seq = 2", "the chain is broken: entry 2"),
        ("UPDATE balance SET posted = posted + 1 WHERE posted = 10", "posted is not the sum of its entries"),
        ("UPDATE balance SET held = held - 1 WHERE held = 8", "held is not the sum of its open holds"),
        ("UPDATE grant SET remaining = remaining - 1", "what a grant has left is not the sum of its entries"),
        ("UPDATE grant SET allocated = allocated - 1", "what is allocated of a grant"),
        ("UPDATE job SET state = 'failed', ended_at = 0", "a job has ended with an open hold"),
        ("UPDATE hold SET captured = 0, released = 8, resolved_at = 0", "held is not the sum of its open holds"),
    ],
)
def test_verify_finds_what_was_tampered_with_in_the_book(shop: Shop, script: str, fault: str) -> None:
    shop.bench.grant(10)
    shop.hold(8)
    assert shop.bench.faults() == []
    found = tampered(shop.bench.database.path, script)
    assert any(fault in sentence for sentence in found), found


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        ("UPDATE entry SET kind = 'tune' WHERE grant = 1", "an entry crosses accounts or kinds: entry 1 has client"),
        ("UPDATE entry SET account = 'owner' WHERE hold = 1", "an entry crosses accounts or kinds"),
        ("UPDATE grant SET amount = amount + 1", "a grant did not begin with one entry of its whole amount"),
        ("UPDATE grant SET withdrawn_at = 1", "a grant that was taken back still has credits to spend"),
        ("UPDATE purchase SET refunded_at = 1, refunded_by = '', refund_reason = ''", "a purchase that was given back"),
        (OVERLAP, "two plans of an account run at once: client has basic and business"),
        ("UPDATE grant SET key = 'refill:again', expires_at = (SELECT expires_at FROM grant WHERE source = 'plan'), "
         "source = 'plan' WHERE source = 'pack' AND kind = 'tune'", "a month was refilled twice"),
        ("DELETE FROM entry WHERE seq = (SELECT max(seq) FROM entry)", "entries were cut off the end: the book has 4"),
    ],
)  # fmt: skip
def test_verify_finds_what_was_tampered_with_in_plans_and_purchases(shop: Shop, script: str, fault: str) -> None:
    shop.subscribe("basic")
    shop.buy("tune")
    shop.settle(shop.hold(5), 5)
    shop.catch_up()
    assert shop.bench.faults() == []
    found = tampered(shop.bench.database.path, script)
    assert any(fault in sentence for sentence in found), found
