"""Whether the database file is sound, and whether the SQLite that Python brings can be trusted with it."""

import sqlite3

from studio.storage.database import Tx

VERSION = sqlite3.sqlite_version


def faults(tx: Tx) -> list[str]:
    """What SQLite's own checks find wrong with the file, a line each; empty where nothing is."""
    damaged = [str(row[0]) for row in tx.execute("PRAGMA integrity_check(20)") if row[0] != "ok"]
    dangling = [
        f"a row of {row[0]} names one of {row[2]} that is not there" for row in tx.execute("PRAGMA foreign_key_check")
    ]
    return damaged + dangling[:20]


def has_wal_reset_race(version: tuple[int, int, int] = sqlite3.sqlite_version_info) -> bool:
    """Whether this SQLite may damage the file when two processes write and tidy the log at the very same moment.

    Mended in 3.51.3, 3.50.7 and 3.44.6 (https://sqlite.org/wal.html, "The WAL-Reset Bug").
    """
    mended_branch = {(3, 44): 6, (3, 50): 7}.get(version[:2])
    return version < (3, 51, 3) and (mended_branch is None or version[2] < mended_branch)
