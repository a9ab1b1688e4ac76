"""The tables, as a list of steps that is only ever added to. Which were taken is kept in the database itself."""

import sqlite3

from studio.storage.tables_exports import m013_exports
from studio.storage.tables_forgetting import m011_forgetting
from studio.storage.tables_tunes import m012_paused, m014_avatars, m015_spared


def pending(db: sqlite3.Connection) -> bool:
    """Whether steps are left to take. Needs no sqlite-utils, whose import takes longer than most commands do."""
    kept = db.execute("SELECT 1 FROM sqlite_schema WHERE name = '_sqlite_migrations'").fetchone()
    if kept is None:
        return True
    taken = {row[0] for row in db.execute("SELECT name FROM _sqlite_migrations WHERE migration_set = ?", (SET,))}
    return any(step.__name__ not in taken for step in STEPS)


def m001_accounts(db: sqlite3.Connection) -> None:
    """Who has how many credits of each kind. `held` is the part of `posted` that is promised to jobs."""
    db.execute(
        """
        CREATE TABLE account (
            id TEXT PRIMARY KEY,
            plan TEXT,
            created_at INTEGER NOT NULL
        ) STRICT
        """
    )
    db.execute(
        """
        CREATE TABLE balance (
            account TEXT NOT NULL REFERENCES account,
            kind TEXT NOT NULL CHECK (kind IN ('playground', 'tune', 'tune_image')),
            posted INTEGER NOT NULL DEFAULT 0,
            held INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (account, kind),
            CHECK (0 <= held AND held <= posted)
        ) STRICT
        """
    )


def m002_jobs(db: sqlite3.Connection) -> None:
    """What is asked for, runs, and ended. `asked` tells the same id sent again from another request."""
    db.execute(
        """
        CREATE TABLE job (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            account TEXT NOT NULL REFERENCES account,
            kind TEXT NOT NULL,
            request TEXT NOT NULL CHECK (json_valid(request)),
            asked TEXT NOT NULL,
            charges TEXT NOT NULL CHECK (json_valid(charges)),
            pictures INTEGER NOT NULL CHECK (pictures >= 0),
            delivered INTEGER NOT NULL DEFAULT 0 CHECK (delivered >= 0 AND delivered <= pictures),
            state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
            attempt INTEGER NOT NULL DEFAULT 0,
            worker TEXT,
            cancel_requested INTEGER NOT NULL DEFAULT 0 CHECK (cancel_requested IN (0, 1)),
            step INTEGER NOT NULL DEFAULT 0,
            steps INTEGER NOT NULL DEFAULT 0,
            message TEXT NOT NULL DEFAULT '',
            seconds_left INTEGER,
            preview TEXT,
            warnings TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(warnings)),
            error TEXT,
            error_field TEXT,
            error_allowed TEXT,
            created_at INTEGER NOT NULL,
            started_at INTEGER,
            ended_at INTEGER,
            seconds REAL NOT NULL DEFAULT 0,
            CHECK ((state = 'running') = (worker IS NOT NULL)),
            CHECK ((state IN ('queued', 'running')) = (ended_at IS NULL))
        ) STRICT
        """
    )
    db.execute("CREATE INDEX job_waiting ON job (seq) WHERE state = 'queued'")
    db.execute("CREATE INDEX job_running ON job (seq) WHERE state = 'running'")
    db.execute("CREATE INDEX job_of_account ON job (account, seq)")


def m003_ledger(db: sqlite3.Connection) -> None:
    """The account book. The pairs of foreign keys see to it that no entry crosses accounts or kinds."""
    db.execute(
        """
        CREATE TABLE grant (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            account TEXT NOT NULL,
            kind TEXT NOT NULL,
            amount INTEGER NOT NULL CHECK (amount > 0),
            remaining INTEGER NOT NULL,
            allocated INTEGER NOT NULL DEFAULT 0,
            source TEXT NOT NULL,
            priority INTEGER NOT NULL,
            key TEXT NOT NULL UNIQUE,
            created_at INTEGER NOT NULL,
            expires_at INTEGER,
            UNIQUE (id, account, kind),
            FOREIGN KEY (account, kind) REFERENCES balance (account, kind),
            CHECK (0 <= allocated AND allocated <= remaining AND remaining <= amount)
        ) STRICT
        """
    )
    db.execute("CREATE INDEX grant_left ON grant (account, kind, expires_at) WHERE remaining > 0")
    db.execute(
        """
        CREATE TABLE hold (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            account TEXT NOT NULL,
            kind TEXT NOT NULL,
            job TEXT NOT NULL REFERENCES job (id),
            each INTEGER NOT NULL CHECK (each > 0),
            amount INTEGER NOT NULL CHECK (amount > 0),
            captured INTEGER,
            released INTEGER,
            created_at INTEGER NOT NULL,
            resolved_at INTEGER,
            UNIQUE (job, kind),
            UNIQUE (id, account, kind),
            FOREIGN KEY (account, kind) REFERENCES balance (account, kind),
            CHECK ((resolved_at IS NULL) = (captured IS NULL) AND (resolved_at IS NULL) = (released IS NULL)),
            CHECK (captured >= 0 AND released >= 0 AND captured + released = amount)
        ) STRICT
        """
    )
    db.execute("CREATE INDEX hold_open ON hold (account, kind) WHERE resolved_at IS NULL")
    db.execute(
        """
        CREATE TABLE hold_part (
            id INTEGER PRIMARY KEY,
            account TEXT NOT NULL,
            kind TEXT NOT NULL,
            hold INTEGER NOT NULL,
            grant INTEGER NOT NULL,
            amount INTEGER NOT NULL CHECK (amount > 0),
            UNIQUE (hold, grant),
            FOREIGN KEY (hold, account, kind) REFERENCES hold (id, account, kind),
            FOREIGN KEY (grant, account, kind) REFERENCES grant (id, account, kind)
        ) STRICT
        """
    )
    db.execute("CREATE INDEX hold_part_of_grant ON hold_part (grant)")
    db.execute(
        """
        CREATE TABLE entry (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            account TEXT NOT NULL,
            kind TEXT NOT NULL,
            phase TEXT NOT NULL,
            posted_change INTEGER NOT NULL,
            held_change INTEGER NOT NULL,
            grant INTEGER,
            hold INTEGER,
            job TEXT,
            key TEXT,
            reason TEXT NOT NULL,
            at INTEGER NOT NULL,
            prev TEXT NOT NULL,
            hash TEXT NOT NULL UNIQUE,
            FOREIGN KEY (account, kind) REFERENCES balance (account, kind),
            FOREIGN KEY (grant, account, kind) REFERENCES grant (id, account, kind),
            FOREIGN KEY (hold, account, kind) REFERENCES hold (id, account, kind),
            CHECK (
                (phase = 'grant' AND posted_change > 0 AND held_change = 0 AND grant IS NOT NULL)
                OR (phase = 'hold' AND posted_change = 0 AND held_change > 0 AND hold IS NOT NULL)
                OR (phase = 'capture' AND posted_change < 0 AND held_change = posted_change
                    AND grant IS NOT NULL AND hold IS NOT NULL)
                OR (phase = 'release' AND posted_change = 0 AND held_change < 0 AND hold IS NOT NULL)
                OR (phase IN ('expire', 'refund') AND posted_change < 0 AND held_change = 0 AND grant IS NOT NULL)
                OR (phase = 'correct' AND posted_change <> 0 AND held_change = 0 AND grant IS NOT NULL)
            )
        ) STRICT
        """
    )
    db.execute("CREATE INDEX entry_of_account ON entry (account, seq)")
    db.execute("CREATE INDEX entry_of_grant ON entry (grant) WHERE grant IS NOT NULL")
    db.execute("CREATE INDEX entry_of_hold ON entry (hold) WHERE hold IS NOT NULL")
    db.execute("CREATE INDEX entry_of_key ON entry (key) WHERE key IS NOT NULL")
    db.execute("CREATE UNIQUE INDEX refunded_once ON entry (grant) WHERE phase = 'refund'")
    # Nothing written is ever changed. The third trigger is for INSERT OR REPLACE, which deletes without DELETE's
    # triggers on a connection that has not turned recursive triggers on.
    for when, condition in (
        ("UPDATE ON entry", ""),
        ("DELETE ON entry", ""),
        ("INSERT ON entry", "WHEN EXISTS (SELECT 1 FROM entry WHERE seq = NEW.seq)"),
    ):
        verb = when.split()[0].lower()
        db.execute(
            f"CREATE TRIGGER entry_no_{verb} BEFORE {when} {condition} "
            "BEGIN SELECT RAISE(ABORT, 'the ledger is only ever added to'); END"
        )


def m004_pictures(db: sqlite3.Connection) -> None:
    """What was made, newest last by `seq`, and what was handed in to be worked on."""
    db.execute(
        """
        CREATE TABLE picture (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            job TEXT NOT NULL REFERENCES job (id),
            "index" INTEGER NOT NULL CHECK ("index" >= 0),
            account TEXT NOT NULL REFERENCES account,
            file TEXT NOT NULL UNIQUE,
            width INTEGER NOT NULL CHECK (width > 0),
            height INTEGER NOT NULL CHECK (height > 0),
            seed INTEGER,
            recipe TEXT NOT NULL CHECK (json_valid(recipe)),
            kind TEXT NOT NULL,
            base TEXT,
            style TEXT,
            created_at INTEGER NOT NULL,
            favourite INTEGER NOT NULL DEFAULT 0 CHECK (favourite IN (0, 1)),
            deleted_at INTEGER,
            UNIQUE (job, "index")
        ) STRICT
        """
    )
    db.execute("CREATE INDEX picture_newest ON picture (account, seq) WHERE deleted_at IS NULL")
    db.execute(
        """
        CREATE TABLE upload (
            id TEXT PRIMARY KEY,
            account TEXT NOT NULL REFERENCES account,
            file TEXT NOT NULL UNIQUE,
            created_at INTEGER NOT NULL
        ) STRICT
        """
    )


def m005_deleted_pictures(db: sqlite3.Connection) -> None:
    """Finds the few pictures that wait to be erased among all that are kept."""
    db.execute("CREATE INDEX picture_deleted ON picture (deleted_at) WHERE deleted_at IS NOT NULL")


def m006_purchases(db: sqlite3.Connection) -> None:
    """What was bought, which grants came of it, and the plans that run or ran. `price` is in hundredths.

    `account.plan` and `keeps_tunes` are what was noted last; `lapse_noticed_at` is when it was noticed that the plan
    keeps tunes no more. A grant that was `withdrawn` takes back what jobs release of it.
    """
    db.execute("ALTER TABLE account ADD COLUMN keeps_tunes INTEGER NOT NULL DEFAULT 0 CHECK (keeps_tunes IN (0, 1))")
    db.execute("ALTER TABLE account ADD COLUMN lapse_noticed_at INTEGER")
    db.execute("UPDATE account SET keeps_tunes = 1 WHERE plan = 'house'")
    db.execute("ALTER TABLE grant ADD COLUMN withdrawn_at INTEGER")
    db.execute("CREATE INDEX grant_of_plan ON grant (account, id) WHERE source = 'plan'")
    db.execute(
        """
        CREATE TABLE purchase (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            account TEXT NOT NULL REFERENCES account,
            what TEXT NOT NULL CHECK (what IN ('pack', 'plan')),
            name TEXT NOT NULL,
            title TEXT NOT NULL,
            annual INTEGER NOT NULL CHECK (annual IN (0, 1)),
            price INTEGER CHECK (price >= 0),
            currency TEXT NOT NULL,
            recorded_by TEXT NOT NULL,
            recorded_at INTEGER NOT NULL,
            bought_at INTEGER NOT NULL,
            refund_before INTEGER NOT NULL,
            refunded_at INTEGER,
            refunded_by TEXT,
            refund_reason TEXT,
            UNIQUE (id, account),
            CHECK ((refunded_at IS NULL) = (refunded_by IS NULL) AND (refunded_at IS NULL) = (refund_reason IS NULL))
        ) STRICT
        """
    )
    db.execute("CREATE INDEX purchase_of_account ON purchase (account, seq)")
    db.execute(
        """
        CREATE TABLE purchase_grant (
            grant INTEGER PRIMARY KEY,
            purchase TEXT NOT NULL,
            account TEXT NOT NULL,
            kind TEXT NOT NULL,
            FOREIGN KEY (purchase, account) REFERENCES purchase (id, account),
            FOREIGN KEY (grant, account, kind) REFERENCES grant (id, account, kind)
        ) STRICT
        """
    )
    db.execute("CREATE INDEX grant_of_purchase ON purchase_grant (purchase)")
    db.execute(
        """
        CREATE TABLE subscription (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            account TEXT NOT NULL,
            purchase TEXT NOT NULL UNIQUE,
            plan TEXT NOT NULL,
            credits INTEGER NOT NULL CHECK (credits > 0),
            keeps_tunes INTEGER NOT NULL CHECK (keeps_tunes IN (0, 1)),
            annual INTEGER NOT NULL CHECK (annual IN (0, 1)),
            begins_at INTEGER NOT NULL,
            ends_at INTEGER CHECK (ends_at >= begins_at),
            FOREIGN KEY (purchase, account) REFERENCES purchase (id, account)
        ) STRICT
        """
    )
    db.execute("CREATE INDEX subscription_of_account ON subscription (account)")
    db.execute("CREATE UNIQUE INDEX one_goes_on ON subscription (account) WHERE ends_at IS NULL")
    # A purchase stays as it was recorded; only its refund is added, once.
    db.execute(
        "CREATE TRIGGER purchase_no_delete BEFORE DELETE ON purchase "
        "BEGIN SELECT RAISE(ABORT, 'purchases are only ever added to'); END"
    )
    db.execute(
        """
        CREATE TRIGGER purchase_no_update BEFORE UPDATE ON purchase WHEN OLD.refunded_at IS NOT NULL
            OR (NEW.seq, NEW.id, NEW.account, NEW.what, NEW.name, NEW.title, NEW.annual, NEW.currency,
                NEW.recorded_by, NEW.recorded_at, NEW.bought_at, NEW.refund_before)
            <> (OLD.seq, OLD.id, OLD.account, OLD.what, OLD.name, OLD.title, OLD.annual, OLD.currency,
                OLD.recorded_by, OLD.recorded_at, OLD.bought_at, OLD.refund_before)
            OR NEW.price IS NOT OLD.price
        BEGIN SELECT RAISE(ABORT, 'purchases are only ever added to'); END
        """
    )


def m007_gallery(db: sqlite3.Connection) -> None:
    """Finds pictures by everything the gallery filters by, without reading their long rows."""
    db.execute("ALTER TABLE picture ADD COLUMN searchable TEXT NOT NULL DEFAULT ''")
    prompt = "coalesce(json_extract(recipe, '$.asked.prompt'), json_extract(recipe, '$.prompt'), '')"
    # In Python: SQLite's lower() knows no letters but those of English.
    rows = [(str(row[1]).casefold(), row[0]) for row in db.execute(f"SELECT seq, {prompt} FROM picture")]
    db.executemany("UPDATE picture SET searchable = ? WHERE seq = ?", rows)
    # deleted_at stands in them too: SQLite would look it up in the row, though the condition settles it.
    db.execute("DROP INDEX picture_newest")
    for name, columns in (
        ("picture_newest", "account, seq"),
        ("picture_shown", "account, seq, kind, base, style, favourite, searchable"),
        ("picture_kind", "account, kind"),
        ("picture_base", "account, base"),
        ("picture_style", "account, style"),
    ):
        db.execute(f"CREATE INDEX {name} ON picture ({columns}, deleted_at) WHERE deleted_at IS NULL")


def m008_upload_names(db: sqlite3.Connection) -> None:
    """What a picture that was handed in is called where it came from: what is made of it is called so too."""
    db.execute("ALTER TABLE upload ADD COLUMN name TEXT NOT NULL DEFAULT ''")


def m009_gallery_indexes(db: sqlite3.Connection) -> None:
    """Counts and finds pictures by what is short in an index without their prompts, which are most of its length."""
    db.execute("DROP INDEX picture_newest")
    db.execute("DROP INDEX picture_shown")
    for name, columns in (
        ("picture_newest", "account, seq, kind, base, style, favourite"),
        ("picture_words", "account, seq, kind, base, style, favourite, searchable"),
    ):
        db.execute(f"CREATE INDEX {name} ON picture ({columns}, deleted_at) WHERE deleted_at IS NULL")


def m010_tunes(db: sqlite3.Connection) -> None:
    """Trained likenesses, and the consent without which none is.

    `avatars` are the styles of a tune's first pictures that were not asked for yet, which is tried once after the
    training; `file` is there once the training has succeeded, and as long as the model is kept.
    """
    db.execute(
        """
        CREATE TABLE tune (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            job TEXT NOT NULL UNIQUE REFERENCES job (id),
            account TEXT NOT NULL REFERENCES account,
            name TEXT NOT NULL,
            class_name TEXT NOT NULL,
            base TEXT NOT NULL,
            policy TEXT NOT NULL CHECK (policy IN ('keep-avatars', 'delete-all')),
            avatars TEXT NOT NULL CHECK (json_valid(avatars)),
            avatars_tried INTEGER NOT NULL DEFAULT 0 CHECK (avatars_tried IN (0, 1)),
            file TEXT UNIQUE,
            recipe TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(recipe)),
            losses TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(losses)),
            created_at INTEGER NOT NULL,
            trained_at INTEGER,
            expires_at INTEGER,
            deleted_at INTEGER,
            CHECK (file IS NULL OR (trained_at IS NOT NULL AND expires_at IS NOT NULL))
        ) STRICT
        """
    )
    db.execute("CREATE INDEX tune_newest ON tune (account, seq) WHERE deleted_at IS NULL")
    db.execute("CREATE INDEX tune_avatars_due ON tune (id) WHERE avatars_tried = 0 AND file IS NOT NULL")
    db.execute(
        """
        CREATE TABLE consent (
            job TEXT PRIMARY KEY REFERENCES job (id),
            account TEXT NOT NULL REFERENCES account,
            version TEXT NOT NULL,
            statement TEXT NOT NULL CHECK (statement <> ''),
            given_at INTEGER NOT NULL
        ) STRICT
        """
    )


SET = "likeness"
STEPS = (
    m001_accounts,
    m002_jobs,
    m003_ledger,
    m004_pictures,
    m005_deleted_pictures,
    m006_purchases,
    m007_gallery,
    m008_upload_names,
    m009_gallery_indexes,
    m010_tunes,
    m011_forgetting,
    m012_paused,
    m013_exports,
    m014_avatars,
    m015_spared,
)
