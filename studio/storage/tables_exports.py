"""The table of exports: a step of `studio.storage.tables`."""

import sqlite3


def m013_exports(db: sqlite3.Connection) -> None:
    """Files of tunes that were proven and wait to be fetched. Nothing personal stands in it: names are the tune's."""
    db.execute(
        """
        CREATE TABLE export (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            job TEXT NOT NULL UNIQUE REFERENCES job (id),
            account TEXT NOT NULL REFERENCES account,
            tune TEXT NOT NULL,
            format TEXT NOT NULL,
            file TEXT NOT NULL UNIQUE,
            bytes INTEGER NOT NULL CHECK (bytes > 0),
            sha256 TEXT NOT NULL,
            made_at INTEGER NOT NULL,
            expires_at INTEGER NOT NULL
        ) STRICT
        """
    )
    db.execute("CREATE INDEX export_of_tune ON export (tune, seq)")
    db.execute("CREATE INDEX export_due ON export (expires_at)")
