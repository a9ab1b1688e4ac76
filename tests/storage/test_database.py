"""Writes are all or nothing and none is lost; what the disk refuses is one sentence."""

import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.domain import StorageFailed
from studio.storage import migrations, tables
from studio.storage.database import Database
from studio.storage.folder import DataFolder
from tests.children import count_up, open_database
from tests.fakes import CLIENT, Bench
from tests.processes import needs_fork, together


@needs_fork
def test_of_eight_processes_that_read_then_write_none_loses_a_write(bench: Bench) -> None:
    together(count_up, [(bench.database.path, 25)] * 8)
    with bench.database.write() as tx:
        assert tx.execute("SELECT posted FROM balance WHERE account = ?", (CLIENT,)).fetchone()["posted"] == 200
        tx.execute("UPDATE balance SET posted = 0")


@needs_fork
def test_processes_that_start_together_on_an_empty_folder_all_start(tmp_path: Path) -> None:
    together(open_database, [(tmp_path / "studio.db",)] * 6)


def test_every_connection_is_set_up_as_promised(bench: Bench) -> None:
    expected = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1, "recursive_triggers": 1}

    def settings() -> dict[str, object]:
        with bench.database.read() as tx:
            return {name: tx.execute(f"PRAGMA {name}").fetchone()[0] for name in expected}

    seen = [settings()]
    thread = threading.Thread(target=lambda: seen.append(settings()))
    thread.start()
    thread.join()
    assert seen == [expected, expected]


def test_every_table_of_ours_is_strict(bench: Bench) -> None:
    with bench.database.read() as tx:
        loose = tx.execute(
            "SELECT name FROM pragma_table_list WHERE type = 'table' AND strict = 0 AND name NOT LIKE '%sqlite%'"
        ).fetchall()
    assert [row["name"] for row in loose] == []


def test_a_block_that_raises_writes_nothing(bench: Bench) -> None:
    with pytest.raises(ZeroDivisionError), bench.database.write() as tx:
        tx.execute("UPDATE balance SET posted = 5")
        raise ZeroDivisionError
    assert bench.balance(CLIENT) == (0, 0)


def test_a_misspelt_table_is_an_error_and_not_a_new_table(bench: Bench) -> None:
    with pytest.raises(sqlite3.OperationalError, match="no such table"), bench.database.write() as tx:
        tx.execute("INSERT INTO acount (id) VALUES ('x')")


def test_a_transaction_inside_another_is_refused(bench: Bench) -> None:
    with bench.database.write(), pytest.raises(RuntimeError), bench.database.write():
        pass
    with bench.database.read(), pytest.raises(RuntimeError), bench.database.read():
        pass


def test_a_read_sees_one_moment_whatever_is_written_meanwhile(bench: Bench) -> None:
    def write() -> None:
        with bench.database.write() as tx:
            tx.execute("UPDATE balance SET posted = 9")

    with bench.database.read() as tx:
        before = tx.execute("SELECT posted FROM balance").fetchone()["posted"]
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
        assert tx.execute("SELECT posted FROM balance").fetchone()["posted"] == before == 0
    with bench.database.write() as tx:
        tx.execute("UPDATE balance SET posted = 0")


def test_a_full_disk_is_one_sentence_and_leaves_nothing_half_written(bench: Bench) -> None:
    with pytest.raises(StorageFailed, match="is full: free some space"), bench.database.write() as tx:
        pages = tx.execute("PRAGMA page_count").fetchone()[0]
        tx.execute(f"PRAGMA max_page_count = {pages}")
        for number in range(10_000):
            tx.execute("INSERT INTO account (id, created_at) VALUES (?, 0)", (f"account {number}",))
    assert bench.count("account") == 2


def test_a_file_that_is_no_database_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "studio.db").write_text("once upon a time " * 100)
    with pytest.raises(StorageFailed, match="is damaged"):
        Database(tmp_path / "studio.db")


@pytest.fixture
def read_only() -> Iterator[Path]:
    """A folder that this process may read and not write; root gives its rights up for that."""
    folder = Path(tempfile.mkdtemp(prefix="likeness-"))
    folder.chmod(0o555)
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    if root:
        os.seteuid(65534)
    yield folder
    if root:
        os.seteuid(0)
    folder.chmod(0o755)
    folder.rmdir()


@pytest.mark.skipif(os.name == "nt", reason="rights work otherwise there")
def test_a_folder_that_cannot_be_written_is_one_sentence(read_only: Path) -> None:
    for use in (lambda: DataFolder.open(read_only), lambda: Database(read_only / "studio.db")):
        with pytest.raises(StorageFailed, match="cannot be written") as caught:
            use()
        assert caught.value.field == "data"


def test_a_file_where_the_data_folder_should_be_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(StorageFailed, match="cannot be the data folder"):
        DataFolder.open(tmp_path / "data")


def test_the_data_folder_is_for_its_owner_alone(tmp_path: Path) -> None:
    root = DataFolder.open(tmp_path / "data").root
    assert os.name == "nt" or root.stat().st_mode & 0o077 == 0


def test_opening_a_database_that_is_up_to_date_does_without_sqlite_utils(bench: Bench) -> None:
    code = (
        "import sys; from pathlib import Path; from studio.storage.database import Database; "
        "Database(Path(sys.argv[1])).close(); print('sqlite_utils' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(bench.database.path)], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "False"


def test_a_database_of_an_earlier_version_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "studio.db"
    early = sqlite3.connect(path, isolation_level=None)
    migrations.apply(early, tables.STEPS[:1])
    early.execute("INSERT INTO account (id, created_at) VALUES ('kept', 0)")
    early.close()
    database = Database(path)
    with database.read() as tx:
        assert [row["id"] for row in tx.execute("SELECT id FROM account")] == ["kept"]
        assert tx.execute("SELECT count(*) FROM picture").fetchone()[0] == 0
        assert not tables.pending(tx)
    database.close()
