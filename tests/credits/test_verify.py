"""Whatever somebody with the file changes in plans, purchases and grants, verify tells."""

import sqlite3

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
def test_verify_finds_what_was_tampered_with(shop: Shop, script: str, fault: str) -> None:
    shop.subscribe("basic")
    shop.buy("tune")
    shop.settle(shop.hold(5), 5)
    shop.catch_up()
    assert shop.bench.faults() == []
    raw = sqlite3.connect(shop.bench.database.path, isolation_level=None)  # past all our guards
    for trigger in raw.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
        raw.execute(f"DROP TRIGGER {trigger[0]}")
    raw.execute("BEGIN")
    for statement in script.split(";"):
        raw.execute(statement)
    raw.row_factory = sqlite3.Row
    found = verify.faults(raw)
    raw.rollback()
    raw.close()
    assert any(fault in sentence for sentence in found), found
