"""Takes the steps that make the tables, by sqlite-utils' migrations: each once, and recorded with what it did."""

import sqlite3
from collections.abc import Callable, Iterable

from sqlite_utils import Database, Migrations

from studio.storage.tables import SET, STEPS


def apply(connection: sqlite3.Connection, steps: Iterable[Callable[[sqlite3.Connection], None]] = STEPS) -> None:
    """Takes the steps that are left, each in a transaction, or all of them in the one that is open."""
    migrations = Migrations(SET)
    for step in steps:
        migrations(name=step.__name__)(_on_its_connection(step))
    migrations.apply(Database(connection, execute_plugins=False))


def _on_its_connection(step: Callable[[sqlite3.Connection], None]) -> Callable[[Database], None]:
    def run(db: Database, /) -> None:
        step(db.conn)

    return run
