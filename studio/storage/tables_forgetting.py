"""The step that makes the tables of forgetting: what hangs together, what is to be erased, and the receipts."""

import sqlite3


def m011_forgetting(db: sqlite3.Connection) -> None:
    """What must be known to erase a likeness wholly, and to tell afterwards that it was.

    `job.forgotten_at`: the job is out of sight, and its row stays without content, for the account book. `job_input`
    says which uploads a job needs; `upload_copy` which picture of the gallery an upload is a copy of, also after the
    upload is gone; `upload_cached` where the page's cache has what an upload was made of. A row of `deletion` is a list
    of things to erase (`work`, `warm`) and then, without them, the receipt. `sweep` has when was last looked.
    """
    db.execute("ALTER TABLE job ADD COLUMN forgotten_at INTEGER")
    db.execute("ALTER TABLE job ADD COLUMN tune TEXT GENERATED ALWAYS AS (json_extract(request, '$.tune')) VIRTUAL")
    db.execute("CREATE INDEX job_of_tune ON job (tune) WHERE tune IS NOT NULL")
    db.execute("ALTER TABLE tune ADD COLUMN model_gone_at INTEGER")
    db.execute(
        """
        CREATE TABLE job_input (
            job TEXT NOT NULL REFERENCES job (id),
            upload TEXT NOT NULL,
            PRIMARY KEY (job, upload)
        ) STRICT, WITHOUT ROWID
        """
    )
    db.execute("CREATE INDEX job_of_upload ON job_input (upload)")
    db.execute(
        "INSERT INTO job_input SELECT DISTINCT job.id, found.value FROM job, json_tree(job.request) found "
        "WHERE found.type = 'text' AND found.value IN (SELECT id FROM upload)"
    )
    db.execute(
        """
        CREATE TABLE upload_copy (
            upload TEXT NOT NULL,
            picture TEXT NOT NULL,
            PRIMARY KEY (upload, picture)
        ) STRICT, WITHOUT ROWID
        """
    )
    db.execute("CREATE INDEX copy_of_picture ON upload_copy (picture)")
    db.execute(
        """
        CREATE TABLE upload_cached (
            path TEXT NOT NULL,
            upload TEXT NOT NULL,
            PRIMARY KEY (upload, path)
        ) STRICT, WITHOUT ROWID
        """
    )
    db.execute(
        """
        CREATE TABLE deletion (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            account TEXT NOT NULL REFERENCES account,
            why TEXT NOT NULL,
            counts TEXT NOT NULL CHECK (json_valid(counts)),
            at INTEGER NOT NULL,
            work TEXT CHECK (work IS NULL OR json_valid(work)),
            warm TEXT,
            erased_at INTEGER,
            wiped_at INTEGER,
            CHECK ((work IS NULL) = (erased_at IS NOT NULL)),
            CHECK (wiped_at IS NULL OR erased_at IS NOT NULL)
        ) STRICT
        """
    )
    db.execute("CREATE INDEX deletion_of_account ON deletion (account, seq)")
    db.execute("CREATE INDEX deletion_unfinished ON deletion (seq) WHERE wiped_at IS NULL OR warm IS NOT NULL")
    db.execute("CREATE TABLE sweep (one INTEGER PRIMARY KEY CHECK (one = 1), seen INTEGER NOT NULL) STRICT")
