"""Checks the account book against itself and against the jobs: every promise of the ledger, in one snapshot."""

from studio.credits.book import ROOT, entry, entry_hash
from studio.storage.database import Tx

# Each query finds what must not be, as (what, figures); the sentence is put before what it finds.
_RULES: tuple[tuple[str, str], ...] = (
    (
        "posted is not the sum of its entries",
        """
        SELECT b.account || ' ' || b.kind AS what, b.posted AS is_, coalesce(sum(e.posted_change), 0) AS should_be
        FROM balance b LEFT JOIN entry e USING (account, kind) GROUP BY b.account, b.kind HAVING is_ <> should_be
        """,
    ),
    (
        "held is not the sum of its entries",
        """
        SELECT b.account || ' ' || b.kind AS what, b.held AS is_, coalesce(sum(e.held_change), 0) AS should_be
        FROM balance b LEFT JOIN entry e USING (account, kind) GROUP BY b.account, b.kind HAVING is_ <> should_be
        """,
    ),
    (
        "held is not the sum of its open holds",
        """
        SELECT b.account || ' ' || b.kind AS what, b.held AS is_, coalesce(sum(h.amount), 0) AS should_be
        FROM balance b LEFT JOIN hold h ON h.account = b.account AND h.kind = b.kind AND h.resolved_at IS NULL
        GROUP BY b.account, b.kind HAVING is_ <> should_be
        """,
    ),
    (
        "held is below 0 or above posted",
        "SELECT account || ' ' || kind AS what, held AS is_, posted AS should_be FROM balance "
        "WHERE held < 0 OR held > posted",
    ),
    (
        "posted is not the sum of what its grants have left",
        """
        SELECT b.account || ' ' || b.kind AS what, b.posted AS is_, coalesce(sum(g.remaining), 0) AS should_be
        FROM balance b LEFT JOIN grant g USING (account, kind) GROUP BY b.account, b.kind HAVING is_ <> should_be
        """,
    ),
    (
        "what a grant has left is not the sum of its entries",
        """
        SELECT 'grant ' || g.id AS what, g.remaining AS is_, coalesce(sum(e.posted_change), 0) AS should_be
        FROM grant g LEFT JOIN entry e ON e.grant = g.id GROUP BY g.id HAVING is_ <> should_be
        """,
    ),
    (
        "what is allocated of a grant is not the sum of the open parts",
        """
        SELECT 'grant ' || g.id AS what, g.allocated AS is_,
            coalesce((SELECT sum(p.amount) FROM hold_part p JOIN hold h ON h.id = p.hold
                      WHERE p.grant = g.id AND h.resolved_at IS NULL), 0) AS should_be
        FROM grant g WHERE is_ <> should_be
        """,
    ),
    (
        "the parts of a hold are not the whole of it",
        """
        SELECT 'hold ' || h.id AS what, h.amount AS is_, coalesce(sum(p.amount), 0) AS should_be
        FROM hold h LEFT JOIN hold_part p ON p.hold = h.id GROUP BY h.id HAVING is_ <> should_be
        """,
    ),
    (
        "captured of a hold is not the sum of its entries",
        """
        SELECT 'hold ' || h.id AS what, coalesce(h.captured, 0) AS is_,
            coalesce(-sum(e.posted_change) FILTER (WHERE e.phase = 'capture'), 0) AS should_be
        FROM hold h LEFT JOIN entry e ON e.hold = h.id GROUP BY h.id HAVING is_ <> should_be
        """,
    ),
    (
        "a hold's entries do not end at what is still held of it",
        """
        SELECT 'hold ' || h.id AS what, coalesce(sum(e.held_change), 0) AS is_,
            CASE WHEN h.resolved_at IS NULL THEN h.amount ELSE 0 END AS should_be
        FROM hold h LEFT JOIN entry e ON e.hold = h.id GROUP BY h.id HAVING is_ <> should_be
        """,
    ),
    (
        "a hold is not captured and released exactly once",
        "SELECT 'hold ' || id AS what, captured + released AS is_, amount AS should_be FROM hold "
        "WHERE resolved_at IS NOT NULL AND captured + released <> amount",
    ),
    (
        "a job has ended with an open hold, or lives without one",
        """
        SELECT 'job ' || j.id AS what, j.state AS is_, 'hold ' || h.id AS should_be
        FROM job j JOIN hold h ON h.job = j.id WHERE (j.ended_at IS NULL) <> (h.resolved_at IS NULL)
        """,
    ),
    (
        "what was captured is not what was delivered",
        """
        SELECT 'job ' || j.id AS what, h.captured AS is_,
            h.each * j.delivered - iif(h.kind = 'playground', j.spared, 0) AS should_be
        FROM job j JOIN hold h ON h.job = j.id WHERE h.resolved_at IS NOT NULL AND is_ <> should_be
        """,
    ),
    (
        "an entry crosses accounts or kinds",
        """
        SELECT 'entry ' || e.seq AS what, e.account || ' ' || e.kind AS is_, o.account || ' ' || o.kind AS should_be
        FROM entry e JOIN (SELECT 'grant' AS of, id, account, kind FROM grant
                           UNION ALL SELECT 'hold', id, account, kind FROM hold) o
            ON o.id = CASE o.of WHEN 'grant' THEN e.grant ELSE e.hold END
        WHERE is_ <> should_be
        """,
    ),
    (
        "a grant did not begin with one entry of its whole amount",
        """
        SELECT 'grant ' || g.id AS what, coalesce(sum(e.posted_change), 0) AS is_, g.amount AS should_be
        FROM grant g LEFT JOIN entry e ON e.grant = g.id AND e.posted_change > 0 GROUP BY g.id HAVING is_ <> should_be
        """,
    ),
    (
        "a grant that was taken back still has credits to spend",
        "SELECT 'grant ' || id AS what, remaining - allocated AS is_, 0 AS should_be FROM grant "
        "WHERE withdrawn_at IS NOT NULL AND remaining > allocated",
    ),
    (
        "a purchase that was given back still has credits to spend",
        """
        SELECT 'purchase ' || p.id AS what, sum(g.remaining - g.allocated) AS is_, 0 AS should_be
        FROM purchase p JOIN purchase_grant pg ON pg.purchase = p.id JOIN grant g ON g.id = pg.grant
        WHERE p.refunded_at IS NOT NULL GROUP BY p.id HAVING is_ <> should_be
        """,
    ),
    (
        "two plans of an account run at once",
        """
        SELECT a.account AS what, a.plan || ' and ' || b.plan AS is_, 'one' AS should_be
        FROM subscription a JOIN subscription b ON b.account = a.account AND b.id > a.id
            AND max(a.begins_at, b.begins_at) < min(coalesce(a.ends_at, 1 << 62), coalesce(b.ends_at, 1 << 62))
        """,
    ),
    (
        "a month was refilled twice",
        """
        SELECT account || ' ' || datetime(expires_at, 'unixepoch') AS what, count(*) AS is_, 1 AS should_be
        FROM grant WHERE source = 'plan' AND key GLOB 'refill:*' GROUP BY account, expires_at HAVING is_ > 1
        """,
    ),
    (
        "entries were cut off the end",
        """
        SELECT 'the book' AS what, coalesce((SELECT max(seq) FROM entry), 0) AS is_, seq AS should_be
        FROM sqlite_sequence WHERE name = 'entry' AND is_ <> should_be
        """,
    ),
)


def faults(tx: Tx) -> list[str]:
    """One sentence for each promise that does not hold; empty if all do. Takes one read transaction."""
    found = [
        f"{sentence}: {row['what']} has {row['is_']}, should have {row['should_be']}"
        for sentence, query in _RULES
        for row in tx.execute(query)
    ]
    prev = ROOT
    for expected, row in enumerate(tx.execute("SELECT * FROM entry ORDER BY seq"), start=1):
        if row["seq"] != expected or row["prev"] != prev or row["hash"] != entry_hash(prev, entry(row)):
            found.append(f"the chain is broken: entry {row['seq']} does not follow the one before it")
            break
        prev = row["hash"]
    return found
