"""Many writers, kills, torn logs and full disks: nothing is lost, nothing is counted twice.

The short versions run always; `-m nightly` has those with the full figures.
"""

import multiprocessing
import os
import random
import shutil
import sqlite3
import time
from pathlib import Path

import pytest

from studio.credits import ledger, verify
from studio.domain import OWNER, StorageFailed
from studio.storage.database import Database
from tests.credits.children import (
    NOW,
    hold_and_resolve,
    hold_one,
    race,
    resolve_one,
    run_into_a_full_disk,
    spend_until_killed,
    wait_in_turn,
)
from tests.fakes import CLIENT, Bench, FakeRunner, open_bench
from tests.processes import needs_fork, start, together


def nightly(*figures: int) -> object:
    return pytest.param(*figures, marks=[pytest.mark.nightly, pytest.mark.timeout(3600)])


def open_accounts(bench: Bench, accounts: list[str], credits: int) -> None:
    with bench.database.write() as tx:
        for account in accounts:
            ledger.open_account(tx, account, now=NOW)
            ledger.grant(
                tx, account, "playground", credits, key=f"for {account}", source="test", reason="test", now=NOW
            )


@needs_fork
@pytest.mark.parametrize(("processes", "times"), [(4, 15), nightly(8, 500)])
def test_of_many_processes_none_loses_a_hold_and_the_sums_hold(
    bench: Bench, tmp_path: Path, processes: int, times: int
) -> None:
    accounts, each = [f"account {number}" for number in range(5)], 100_000
    open_accounts(bench, accounts, each)
    told = [tmp_path / f"spent {number}" for number in range(processes)]
    # A child that met a busy database, or any other error, would end badly.
    together(
        hold_and_resolve,
        [(bench.database.path, accounts, times, number, told[number]) for number in range(processes)],
        timeout=3000,
    )
    spent = sum(int(file.read_text()) for file in told)
    assert bench.count("hold") == processes * times
    balances = [bench.balance(account) for account in accounts]
    assert sum(posted for posted, _ in balances) == len(accounts) * each - spent
    assert {held for _, held in balances} == {0}
    assert bench.faults() == []


@needs_fork
@pytest.mark.parametrize(("processes", "rounds"), [(6, 10), nightly(16, 200)])
def test_the_last_credit_has_one_winner(bench: Bench, tmp_path: Path, processes: int, rounds: int) -> None:
    accounts = [f"round {number}" for number in range(rounds)]
    open_accounts(bench, accounts, 1)
    barrier = multiprocessing.get_context("forkserver").Barrier(processes)
    told = [tmp_path / f"won {number}" for number in range(processes)]
    together(race, [(bench.database.path, accounts, barrier, file) for file in told], timeout=3000)
    won = [account for file in told for account in file.read_text().splitlines()]
    assert sorted(won) == sorted(accounts)
    assert {bench.balance(account) for account in accounts} == {(1, 1)}


@needs_fork
def test_no_writer_is_passed_over_while_others_write_again_and_again(bench: Bench, tmp_path: Path) -> None:
    accounts = [f"account {number}" for number in range(4)]
    open_accounts(bench, accounts, 10_000)
    told = [tmp_path / f"passed {number}" for number in range(4)]
    barrier = multiprocessing.get_context("forkserver").Barrier(4)
    together(wait_in_turn, [(bench.database.path, accounts[n], 25, barrier, told[n]) for n in range(4)])
    passed = [int(line) for file in told for line in file.read_text().splitlines()]
    assert len(passed) == 100
    # Each of the three others may come first, some of them twice; with SQLite's own waiting it was up to 75.
    assert max(passed) < 30


@needs_fork
@pytest.mark.parametrize(("kills", "writers"), [(8, 4), nightly(300, 4)])
def test_kills_in_the_middle_of_anything_leave_no_drift_and_no_orphan(tmp_path: Path, kills: int, writers: int) -> None:
    root, draw = tmp_path / "data", random.Random(kills)
    bench = open_bench(root)
    bench.grant(1_000_000)

    def writer(number: int):
        ready = tmp_path / f"ready {number}"
        process = start(spend_until_killed, root, ready, number)
        deadline = time.monotonic() + 120
        while not ready.exists():
            assert time.monotonic() < deadline and process.is_alive()
            time.sleep(0.005)
        return process

    running = [writer(number) for number in range(writers)]
    for number in range(kills):
        time.sleep(draw.uniform(0, 0.15))
        place = draw.randrange(writers)
        assert running[place].is_alive(), "it must not end by itself"
        running[place].kill()
        running[place].join()
        if number % 10 == 0:  # it reads the whole book, which grows with every kill
            assert bench.faults() == []
        running[place] = writer(writers + number)
    for process in running:
        process.kill()
        process.join()

    jobs = bench.jobs(FakeRunner())
    jobs.recover()
    with bench.database.read() as tx:
        waiting = [row["id"] for row in tx.execute("SELECT id FROM job WHERE state = 'queued'")]
    for job in waiting[8:]:
        jobs.cancel(CLIENT, job)
    while jobs.run_next():
        pass
    with bench.database.read() as tx:
        delivered = tx.execute("SELECT sum(delivered) FROM job").fetchone()[0]
        assert tx.execute("SELECT count(*) FROM hold WHERE resolved_at IS NULL").fetchone()[0] == 0
        assert tx.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    assert bench.balance(CLIENT) == (1_000_000 - delivered, 0)
    assert bench.captured(CLIENT) == delivered == bench.count("picture")
    assert bench.faults() == []
    bench.database.close()


# --- a torn log -------------------------------------------------------------------------------------------------------


def written(root: Path, transactions: int, seed: int) -> list[tuple[int, int, int]]:
    """Writes so many transactions into the log alone; for each commit the log's length, entries and credits spent.

    Each commit was acknowledged, and so synced, when its length was read.
    """
    draw, bench = random.Random(seed), open_bench(root)
    bench.grant(10_000)
    with bench.database.read() as tx:
        tx.execute("ROLLBACK")
        tx.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        tx.execute("PRAGMA wal_autocheckpoint = 0")
        tx.execute("BEGIN")
    log = bench.database.path.with_name("studio.db-wal")
    shutil.copy(bench.database.path, root.with_name("base.db"))
    commits = [(0, bench.count("entry"), 0)]
    waiting: list[str] = []
    while len(commits) <= transactions:
        if waiting and draw.random() < 0.5:
            resolve_one(bench.database, waiting.pop(draw.randrange(len(waiting))), draw.randint(0, 1))
        else:
            waiting.append(hold_one(bench.database, CLIENT, draw.randint(1, 8)))
        commits.append((log.stat().st_size, bench.count("entry"), bench.captured(CLIENT)))
    shutil.copy(log, root.with_name("log"))
    bench.database.close()
    return commits


@pytest.mark.parametrize("cuts", [24, nightly(500)])
def test_a_log_torn_anywhere_reopens_with_exactly_what_was_committed_before(tmp_path: Path, cuts: int) -> None:
    draw = random.Random(cuts)
    commits = written(tmp_path / "data", transactions=40, seed=cuts)
    base, log = (tmp_path / "base.db").read_bytes(), (tmp_path / "log").read_bytes()
    edges = [length + off for length, *_ in commits for off in (-1, 0, 1) if 0 <= length + off <= len(log)]
    points = [draw.choice(edges) if draw.random() < 0.5 else draw.randint(0, len(log)) for _ in range(cuts)]
    for number, cut in enumerate(points):
        # What lies behind the cut never reached the disk, or other bytes did.
        torn = log[:cut] + (draw.randbytes(len(log) - cut) if number % 2 else b"")
        folder = tmp_path / f"cut {number}"
        folder.mkdir()
        (folder / "studio.db").write_bytes(base)
        (folder / "studio.db-wal").write_bytes(torn)
        _, entries, spent = max(commit for commit in commits if commit[0] <= cut)
        database = Database(folder / "studio.db")
        with database.read() as tx:
            found = tx.execute(
                "SELECT count(*), -sum(CASE WHEN phase = 'capture' THEN posted_change ELSE 0 END) FROM entry"
            ).fetchone()
            assert tuple(found) == (entries, spent)
            assert verify.faults(tx) == []
            assert tx.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        database.close()
        shutil.rmtree(folder)


# --- a full disk ------------------------------------------------------------------------------------------------------


@needs_fork
@pytest.mark.skipif(os.name == "nt", reason="there is no limit on the size of files")
@pytest.mark.parametrize("points", [6, nightly(50)])
def test_a_disk_that_is_full_at_any_byte_is_a_clean_error(tmp_path: Path, points: int) -> None:
    root = tmp_path / "data"
    bench = open_bench(root)
    bench.grant(1_000_000)
    bench.database.close()
    together(run_into_a_full_disk, [(root, points, points)], timeout=3000)
    after = open_bench(root)
    assert after.faults() == []
    assert after.balance(CLIENT)[1] == 0
    after.database.close()


@pytest.mark.parametrize("points", [6, nightly(50)])
def test_a_database_that_cannot_grow_is_a_clean_error(bench: Bench, points: int) -> None:
    bench.grant(1_000_000)
    draw = random.Random(points)

    def limit(pages: int) -> None:
        with bench.database.read() as tx:
            now = tx.execute("PRAGMA page_count").fetchone()[0]
            tx.execute(f"PRAGMA max_page_count = {now + pages}")

    for _ in range(points):
        limit(draw.randint(0, 3))
        before, held = bench.count("entry"), bench.balance(CLIENT)
        with pytest.raises(StorageFailed, match="is full"):
            while True:
                before, held = bench.count("entry"), bench.balance(CLIENT)
                hold_one(bench.database, CLIENT, draw.randint(1, 8))
        assert (bench.count("entry"), bench.balance(CLIENT)) == (before, held)
        assert bench.faults() == []
        limit(1_000_000)
    with bench.database.write() as tx:
        for row in tx.execute("SELECT id FROM job").fetchall():
            tx.execute("UPDATE job SET state = 'cancelled', ended_at = 0 WHERE id = ?", (row["id"],))
            ledger.settle(tx, row["id"], delivered=0, now=NOW)
    assert bench.balance(CLIENT) == (1_000_000, 0)
    assert bench.balance(OWNER) == (0, 0)


def test_a_reader_of_the_log_cannot_be_fooled_by_the_control(tmp_path: Path) -> None:
    """The control: a log whose middle is changed is not taken for whole."""
    commits = written(tmp_path / "data", transactions=10, seed=1)
    log = bytearray((tmp_path / "log").read_bytes())
    log[commits[5][0] + 100] ^= 0xFF
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "studio.db").write_bytes((tmp_path / "base.db").read_bytes())
    (tmp_path / "x" / "studio.db-wal").write_bytes(log)
    raw = sqlite3.connect(tmp_path / "x" / "studio.db")
    assert raw.execute("SELECT count(*) FROM entry").fetchone()[0] == commits[5][1]
    raw.close()
