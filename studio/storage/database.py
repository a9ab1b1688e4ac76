"""The one SQLite file: a connection for each thread, reads from one snapshot, writes that cannot lose each other."""

import random
import sqlite3
import threading
import time
import weakref
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import BinaryIO

from studio import filelock
from studio.domain import StorageFailed
from studio.storage import faults, tables

Tx = sqlite3.Connection
"""A connection inside a transaction: what every function of the storage and of the ledger takes first."""

OLDEST_SQLITE = (3, 37, 0)  # the first with STRICT tables; RETURNING came in 3.35
NEWEST = 2**63 - 1  # above every seq: where a page begins that is not before anything
PATIENCE = 30.0  # seconds that a writer waits for another
WIPE_PATIENCE = 0.2  # seconds that a wipe of the log waits for readers, and writers for it
LOOK_AGAIN = (0.0005, 0.002)  # seconds between two looks whether the other is done


class Database:
    """Opens the file, brings its tables up to date, and hands out transactions. Safe to share between threads.

    Raises StorageFailed, here and in every transaction, where the file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            raise StorageFailed(f"This Python brings SQLite {sqlite3.sqlite_version}; 3.37 or newer is needed.")
        self.path = path
        self._local = threading.local()
        self._open: weakref.WeakSet[_Connection] = weakref.WeakSet()
        with self._told():
            connection = self._connection()
            if tables.pending(connection):
                # Under the write lock, so that of two processes that start together one migrates and one finds it done.
                # Imported only now: sqlite-utils takes longer to import than most commands take to run.
                migrations = import_module("studio.storage.migrations")
                with self.write():
                    migrations.apply(connection)

    @contextmanager
    def write(self) -> Generator[Tx]:
        """A transaction that may write: all of it, or nothing if the block raises.

        BEGIN IMMEDIATE takes the write lock first and waits for it. A deferred BEGIN would fail at once whenever
        another process wrote between its first read and its first write.
        """
        with self._told():
            connection = self._connection()
            if connection.in_transaction:
                raise RuntimeError("a write transaction cannot begin inside another transaction")
            _begin_immediate(connection)
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # SQLite itself rolls back after some errors, a full disk among them
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def read(self) -> Generator[Tx]:
        """A transaction that sees the database as of one moment, whatever others write meanwhile."""
        with self._told():
            connection = self._connection()
            if connection.in_transaction:
                raise RuntimeError("a read transaction cannot begin inside another transaction")
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def wipe_log(self) -> bool:
        """Writes the write-ahead log into the file and cuts it to nothing, so that nothing deleted is left in it.

        False where somebody still reads or writes: then it is to be tried again. Keeps others waiting for
        `WIPE_PATIENCE` at most.
        """
        with self._told():
            connection = self._connection()
            if connection.in_transaction:
                raise RuntimeError("the log cannot be wiped inside a transaction")
            connection.execute(f"PRAGMA busy_timeout = {int(1000 * WIPE_PATIENCE)}")
            try:
                return int(connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]) == 0
            finally:
                connection.execute(f"PRAGMA busy_timeout = {int(1000 * PATIENCE)}")

    def close(self) -> None:
        """Closes the connections of all threads; none may be in use any more."""
        for connection in list(self._open):
            connection.close()
            connection.turn.close()
        self._open.clear()
        self._local = threading.local()

    def _connection(self) -> "_Connection":
        connection: _Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = _connect(self.path)
            self._local.connection = connection
            self._open.add(connection)
        return connection

    @contextmanager
    def _told(self) -> Generator[None]:
        try:
            yield
        except sqlite3.Error as error:
            told = faults.of_sqlite(error, self.path)
            if told is None:
                raise
            raise told from error


class _Connection(sqlite3.Connection):
    """A connection that a WeakSet can hold, so that those of threads that ended go with them.

    `turn` is a file beside the database whose lock says which of those who wait to write is next.
    """

    turn: BinaryIO


def _connect(path: Path) -> _Connection:
    # isolation_level=None: Python opens no transaction of its own, so that none can stay open by mistake.
    # check_same_thread=False only so that close() may close them all; each is used by its own thread alone.
    connection = sqlite3.connect(
        path, isolation_level=None, timeout=PATIENCE, check_same_thread=False, factory=_Connection
    )
    connection.row_factory = sqlite3.Row
    connection.turn = _open_turn(path)
    _use_wal(connection)
    for pragma in ("synchronous = FULL", "foreign_keys = ON", "secure_delete = ON", "recursive_triggers = ON"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _open_turn(path: Path) -> BinaryIO:
    try:
        return path.with_name(f"{path.name}-turn").open("a+b")
    except OSError as error:
        told = faults.of_os(error, path.parent)
        if told is None:
            raise
        raise told from error


def _begin_immediate(connection: _Connection) -> None:
    """Waits for the write lock, in turn: whoever wants it next holds the turn until it has it.

    SQLite's own waiting sleeps longer and longer, up to 100 ms, while whoever writes now takes the lock again and
    again: of four busy writers one then waited for hundreds of others' transactions; in turn it is for a few.
    """
    deadline = time.monotonic() + PATIENCE
    while not (next_one := filelock.try_lock(connection.turn)) and time.monotonic() < deadline:
        time.sleep(random.uniform(*LOOK_AGAIN))
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if (error.sqlite_errorcode & 0xFF) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
            time.sleep(random.uniform(*LOOK_AGAIN))
    finally:
        connection.execute(f"PRAGMA busy_timeout = {int(1000 * PATIENCE)}")
        if next_one:
            filelock.unlock(connection.turn)


def _use_wal(connection: sqlite3.Connection) -> None:
    """Turns the write-ahead log on. SQLite does not wait for others here, so that two first starts would collide."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if (error.sqlite_errorcode & 0xFF) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.02)
