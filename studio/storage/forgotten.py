"""What was deleted for good, kept as random ids alone, so that restoring an older backup does not bring it back."""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from studio.domain import Refused
from studio.rules import canonical
from studio.storage import deletions
from studio.storage.database import Tx
from studio.storage.folder import fsync_file

BEGIN = "begin"  # the first line: deletions from then on are noted


@dataclass(frozen=True, kw_only=True)
class Forgotten:
    """One deletion: of `what` (a row of `ERASERS`), with the random id it had."""

    what: str
    id: str
    at: int


@dataclass(frozen=True, kw_only=True)
class Log:
    """Every deletion since `begin`."""

    begin: int
    entries: tuple[Forgotten, ...]


def begin(log: Path, *, now: int) -> None:
    """Makes the log where there is none. Raises OSError."""
    if not log.exists():
        write(log, Log(begin=now, entries=()))


def append(log: Path, what: str, forgotten_id: str, *, now: int) -> None:
    """Notes a deletion, and waits until the note is on the disk. Raises OSError."""
    append_all(log, [(what, forgotten_id)], now=now)


def append_all(log: Path, notes: Iterable[tuple[str, str]], *, now: int) -> None:
    """Notes deletions, each by what and which, and waits until they are on the disk. Raises OSError."""
    lines: list[bytes] = []
    for what, forgotten_id in notes:
        if what not in ERASERS:
            raise ValueError(f"nobody would know how to forget a {what} again")
        lines.append(_line(Forgotten(what=what, id=forgotten_id, at=now)))
    begin(log, now=now)
    with log.open("r+b", buffering=0) as file:
        file.seek(-1, os.SEEK_END)
        torn = b"" if file.read(1) == b"\n" else b"\n"  # by a crash
        file.write(torn + b"".join(lines))
        os.fsync(file.fileno())


def write(log: Path, content: Log) -> None:
    """Writes the whole log, or leaves the one that is there. Raises OSError."""
    part = log.with_name(f"{log.name}.part")
    entries = (Forgotten(what=BEGIN, id="", at=content.begin), *content.entries)
    part.write_bytes(b"".join(map(_line, entries)))
    fsync_file(part)
    part.replace(log)


def read(log: Path) -> Log | None:
    """Every deletion noted; None where there is no such file. A line that a crash tore is no note.

    Raises Refused where the file is damaged, and OSError.
    """
    try:
        lines = log.read_bytes().split(b"\n")
    except FileNotFoundError:
        return None
    found: list[Forgotten] = []
    for number, line in enumerate(lines, start=1):
        try:
            body = cast(dict[str, Any], json.loads(line))
            found.append(Forgotten(what=str(body["what"]), id=str(body["id"]), at=int(body["at"])))
        except (ValueError, KeyError, TypeError) as error:
            if line and line.endswith(b"}"):
                raise Refused(f"{log}, line {number}: this is no note of a deletion.", field="file") from error
    if not found:
        return None
    return Log(begin=found[0].at, entries=tuple(one for one in found if one.what != BEGIN))


def merged(here: Log | None, backed_up: Log | None, *, made_at: int, now: int) -> Log:
    """What is known of deletions after a restore: what either tells. Between them there may be a gap."""
    entries = {one.id: one for log in (backed_up, here) if log for one in log.entries}
    gap = here is None or here.begin > made_at
    first = now if here is None or gap else min(here.begin, backed_up.begin if backed_up else here.begin)
    return Log(begin=first, entries=tuple(entries.values()))


def apply(tx: Tx, root: Path, log: Log) -> int:
    """Erases from a restored data folder what was deleted since; how many things there were. Raises Refused, OSError.

    A kind of deletion that this version does not know stops it: nothing that was forgotten may come back. Rows of jobs
    and tunes are out of sight then, and lose what is in them when deletions are carried out.
    """
    erased = 0
    for one in log.entries:
        if one.what not in ERASERS:
            raise Refused(
                f"forgotten.log tells of a deleted {one.what}, which this version does not know: use the newest one.",
                field="file",
            )
        erased += ERASERS[one.what](tx, root, one)
    return erased


def _picture(tx: Tx, root: Path, one: Forgotten) -> bool:
    row = tx.execute(
        "SELECT file, job.ended_at FROM picture JOIN job ON job.id = picture.job WHERE picture.id = ?", (one.id,)
    ).fetchone()
    if row is None:
        return False
    (root / "pictures" / str(row["file"])).unlink(missing_ok=True)
    if row["ended_at"] is None:  # the row tells the job what it has made already, and goes when that has ended
        tx.execute("UPDATE picture SET deleted_at = coalesce(deleted_at, ?) WHERE id = ?", (one.at, one.id))
    else:
        tx.execute("DELETE FROM picture WHERE id = ?", (one.id,))
    return True


def _job(tx: Tx, root: Path, one: Forgotten) -> int:
    deletions.hide_job(tx, one.id, now=one.at)
    rows = tx.execute("SELECT id FROM picture WHERE job = ?", (one.id,)).fetchall()
    return sum(_picture(tx, root, Forgotten(what="picture", id=row["id"], at=one.at)) for row in rows)


def _tune(tx: Tx, root: Path, one: Forgotten) -> bool:
    tx.execute("UPDATE tune SET deleted_at = coalesce(deleted_at, ?) WHERE id = ?", (one.at, one.id))
    return _model(tx, root, one)


def _model(tx: Tx, root: Path, one: Forgotten) -> bool:
    """Also where the backup is of a time before it was trained: then it is not trained again."""
    row = tx.execute("SELECT file FROM tune WHERE id = ?", (one.id,)).fetchone()
    if row is None:
        return False
    tx.execute(
        "UPDATE job SET cancel_requested = 1 "
        "WHERE ended_at IS NULL AND (tune = ?1 OR id = (SELECT job FROM tune WHERE id = ?1))",
        (one.id,),
    )
    tx.execute("UPDATE tune SET file = NULL, model_gone_at = coalesce(model_gone_at, ?) WHERE id = ?", (one.at, one.id))
    if row["file"] is not None:
        (root / "tunes" / str(row["file"])).unlink(missing_ok=True)
    return row["file"] is not None


ERASERS: Mapping[str, Callable[[Tx, Path, Forgotten], int]] = {
    "picture": _picture,
    "job": _job,
    "tune": _tune,
    "model": _model,
}
"""How each kind of thing is erased from a data folder; how many things went. What else can be deleted is a row here."""


def _line(one: Forgotten) -> bytes:
    return canonical(asdict(one)).encode() + b"\n"
