"""Looks through an account's pictures: newest first, by page and filter, as fast for a hundred thousand as for ten."""

from collections.abc import Sequence
from dataclasses import dataclass

from studio.domain import NotFound, Picture
from studio.storage import pictures
from studio.storage.database import Tx

# Every column that is filtered by stands in this index, so that the large rows are read for the page alone.
_SHOWN = "picture INDEXED BY picture_shown"


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which pictures: of a kind, a base, a style, marked as favourite, with all the words of `text` in their prompt."""

    text: str = ""
    kind: str | None = None
    base: str | None = None
    style: str | None = None
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
    where, values = _where(account, sieve)

    # 1. Which ones: by the index alone.
    if before is not None:
        found = _seqs(tx, f"{where} AND seq < ?", (*values, _seq(tx, account, before)), "DESC", limit)
    elif after is not None:
        start = _seq(tx, account, after) if after else 0
        found = _seqs(tx, f"{where} AND seq > ?", (*values, start), "ASC", limit)[::-1]
        if after and len(found) < limit:  # the first page, where it has grown since
            found = _seqs(tx, where, values, "DESC", limit)
    else:
        found = _seqs(tx, where, values, "DESC", limit)

    # 2. How many there are, and how many of them are newer than the page.
    newest = found[0] if found else 0
    total, first = tx.execute(
        f"SELECT count(*), count(*) FILTER (WHERE seq > ?) FROM {_SHOWN} WHERE {where}", (newest, *values)
    ).fetchone()

    # 3. The page's own rows.
    marks = ", ".join("?" * len(found))
    rows = tx.execute(f"SELECT * FROM picture WHERE seq IN ({marks}) ORDER BY seq DESC", found)
    return Page(pictures=[pictures.picture_of(row) for row in rows], first=first if found else 0, total=total)


def choices(tx: Tx, account: str) -> Choices:
    """What an account's pictures can be filtered by, in the order of the alphabet."""

    def of(column: str) -> tuple[str, ...]:
        rows = tx.execute(
            f"SELECT DISTINCT {column} FROM {_SHOWN} WHERE account = ? AND deleted_at IS NULL "
            f"AND {column} IS NOT NULL ORDER BY {column}",
            (account,),
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


def _where(account: str, sieve: Filter) -> tuple[str, tuple[object, ...]]:
    terms: list[str] = ["account = ?", "deleted_at IS NULL"]
    values: list[object] = [account]
    for column in ("kind", "base", "style"):
        if getattr(sieve, column) is not None:
            terms.append(f"{column} = ?")
            values.append(getattr(sieve, column))
    if sieve.favourites:
        terms.append("favourite = 1")
    for word in sieve.text.casefold().split():
        terms.append("instr(searchable, ?) > 0")
        values.append(word)
    return " AND ".join(terms), tuple(values)


def _seqs(tx: Tx, where: str, values: Sequence[object], order: str, limit: int) -> list[int]:
    rows = tx.execute(f"SELECT seq FROM {_SHOWN} WHERE {where} ORDER BY seq {order} LIMIT ?", (*values, limit))
    return [row[0] for row in rows]


def _seq(tx: Tx, account: str, picture_id: str) -> int:
    # Deleted ones count: the page after one must be found though it was deleted meanwhile.
    row = tx.execute("SELECT seq FROM picture WHERE id = ? AND account = ?", (picture_id, account)).fetchone()
    if row is None:
        raise NotFound("There is no such picture.", field="id")
    return int(row["seq"])
