"""Tables of tunes, trainings and what is made of them: steps of `studio.storage.tables`."""

import sqlite3


def m012_paused(db: sqlite3.Connection) -> None:
    """Jobs that wait until somebody resumes them, and what an attempt is worth: one that is cut off counts only where
    it brought the job no further (`advanced`), and so many of these in a row (`fruitless`) are too many."""
    db.execute("ALTER TABLE job ADD COLUMN paused INTEGER NOT NULL DEFAULT 0 CHECK (paused IN (0, 1))")
    db.execute("ALTER TABLE job ADD COLUMN advanced INTEGER NOT NULL DEFAULT 0 CHECK (advanced IN (0, 1))")
    db.execute("ALTER TABLE job ADD COLUMN fruitless INTEGER NOT NULL DEFAULT 0 CHECK (fruitless >= 0)")
    db.execute("DROP INDEX job_waiting")
    db.execute("CREATE INDEX job_waiting ON job (seq) WHERE state = 'queued' AND paused = 0")
