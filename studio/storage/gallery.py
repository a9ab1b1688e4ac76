"""Looks through an account's pictures: newest first, by page and filter, as fast for a hundred thousand as for ten."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from studio.domain import NotFound, Picture
from studio.storage import pictures
from studio.storage.database import NEWEST, Tx

_SIGN = re.compile(r"[%_\\]")  # what means something to LIKE


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which pictures: of a kind, a base, a style, a tune (its id), marked as favourite, with all the words of `text` in
    their prompt."""

    text: str = ""
    kind: str | None = None
    base: str | None = None
    style: str | None = None
    tune: str | None = None
    favourites: bool = False


@dataclass(frozen=True, kw_only=True)
class Page:
    """Some of the pictures that a filter lets through: `total` of them there are, `first` of them are newer."""

    pictures: Sequence[Picture]
    first: int
    total: int

    @property
    def is_last(self) -> bool:
        return self.first + len(self.pictures) >= self.total


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What there is to filter by: what at least one picture has."""

    kinds: tuple[str, ...]
    bases: tuple[str, ...]
    styles: tuple[str, ...]


def page(
    tx: Tx, account: str, sieve: Filter, *, limit: int, before: str | None = None, after: str | None = None
) -> Page:
    """The newest pictures; those next older than the picture `before`; or those next newer than `after` (with `""`:
    the oldest of all). The page is full wherever there are enough.

    Raises NotFound where `before` or `after` is no picture of the account.
    """
    # 1. Which ones, and how many there are on both sides of them: one walk along an index, so that of the long rows
    #    only the page's own are read.
    found, newer, older = _found(tx, account, sieve, limit, before, after)

    # 2. The page's own rows.
    marks = ", ".join("?" * len(found))
    rows = tx.execute(f"SELECT * FROM picture WHERE seq IN ({marks}) ORDER BY seq DESC", found)
    return Page(pictures=[pictures.picture_of(row) for row in rows], first=newer, total=newer + len(found) + older)


def choices(tx: Tx, account: str) -> Choices:
    """What an account's pictures can be filtered by, in the order of the alphabet."""

    def of(column: str) -> tuple[str, ...]:
        # From one value to the next by the column's index, and not past all the pictures.
        nearest = f"SELECT min({column}) FROM picture WHERE account = :account AND deleted_at IS NULL AND {column} >"
        rows = tx.execute(
            f"""
            WITH RECURSIVE found (value) AS (
                {nearest} '' UNION ALL SELECT ({nearest} found.value) FROM found WHERE found.value IS NOT NULL
            )
            SELECT value FROM found WHERE value IS NOT NULL
            """,
            {"account": account},
        )
        return tuple(row[0] for row in rows)

    return Choices(kinds=of("kind"), bases=of("base"), styles=of("style"))


def mark(tx: Tx, account: str, ids: Sequence[str], *, favourite: bool) -> None:
    """Marks pictures as favourites, or takes the mark away: all of them or, with NotFound, none."""
    for picture_id in ids:
        changed = tx.execute(
            "UPDATE picture SET favourite = ? WHERE id = ? AND account = ? AND deleted_at IS NULL",
            (int(favourite), picture_id, account),
        )
        if changed.rowcount != 1:
            raise NotFound("There is no such picture.", field="id")


def _found(
    tx: Tx, account: str, sieve: Filter, limit: int, before: str | None, after: str | None
) -> tuple[list[int], int, int]:
    """The page's seqs, newest first, and how many are newer and older than those."""
    where, values = _where(account, sieve)
    # Prompts are long: the index that has them is only walked where they are asked for, or the few of one tune.
    index = "picture_tune" if sieve.tune is not None else "picture_words" if sieve.text.split() else "picture_newest"
    those = f"FROM picture INDEXED BY {index} WHERE {where}"

    def seqs(more: str, value: int, order: str) -> list[int]:
        rows = tx.execute(f"SELECT seq {those} AND seq {more} ? ORDER BY seq {order} LIMIT ?", (*values, value, limit))
        return [row[0] for row in rows]

    def count(more: str, value: int) -> int:
        return int(tx.execute(f"SELECT count(*) {those} AND seq {more} ?", (*values, value)).fetchone()[0])

    if before is not None:
        start = _seq(tx, account, before)
        found = seqs("<", start, "DESC")
        return found, count(">=", start), count("<", found[-1]) if len(found) == limit else 0
    if after is not None:
        start = _seq(tx, account, after) if after else 0
        found = seqs(">", start, "ASC")[::-1]
        if len(found) == limit:
            return found, count(">", found[0]), count("<=", start) if after else 0
        if not after:
            return found, 0, 0
    found = seqs("<", NEWEST, "DESC")  # also where fewer than a page are newer than `after`
    return found, 0, count("<", found[-1]) if len(found) == limit else 0


def _where(account: str, sieve: Filter) -> tuple[str, tuple[object, ...]]:
    terms: list[str] = ["account = ?", "deleted_at IS NULL"]
    values: list[object] = [account]
    for column in ("kind", "base", "style", "tune"):
        if getattr(sieve, column) is not None:
            terms.append(f"{column} = ?")
            values.append(getattr(sieve, column))
    if sieve.favourites:
        terms.append("favourite = 1")
    for word in dict.fromkeys(sieve.text.casefold().split()):
        # In half the time that instr takes. That it ignores the case of English letters does not matter here.
        terms.append(r"searchable LIKE ? ESCAPE '\'")
        values.append(f"%{_SIGN.sub(_literal, word)}%")
    return " AND ".join(terms), tuple(values)


def _literal(sign: re.Match[str]) -> str:
    return f"\\{sign[0]}"


def _seq(tx: Tx, account: str, picture_id: str) -> int:
    # Deleted ones count: the page after one must be found though it was deleted meanwhile.
    row = tx.execute("SELECT seq FROM picture WHERE id = ? AND account = ?", (picture_id, account)).fetchone()
    if row is None:
        raise NotFound("There is no such picture.", field="id")
    return int(row["seq"])
