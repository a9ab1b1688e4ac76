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


def m014_avatars(db: sqlite3.Connection) -> None:
    """Finds the pictures that were drawn with a tune; of one tune they are few, so their prompts may stand in it."""
    db.execute("ALTER TABLE picture ADD COLUMN tune TEXT")
    db.execute(
        "UPDATE picture SET tune = (SELECT json_extract(request, '$.tune') FROM job WHERE job.id = picture.job) "
        "WHERE kind = 'image'"
    )
    db.execute(
        "CREATE INDEX picture_tune ON picture "
        "(account, tune, seq, kind, base, style, favourite, searchable, deleted_at) "
        "WHERE deleted_at IS NULL AND tune IS NOT NULL"
    )


def m015_spared(db: sqlite3.Connection) -> None:
    """What is not charged of a job's delivered pictures, in playground credits: a tool found nothing to work on."""
    db.execute("ALTER TABLE job ADD COLUMN spared INTEGER NOT NULL DEFAULT 0 CHECK (spared >= 0)")
