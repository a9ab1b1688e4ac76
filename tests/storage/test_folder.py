"""One process at a time holds the work lock, and a dead one holds nothing."""

import time
from pathlib import Path

from studio.storage.folder import WorkLock
from tests.children import hold_lock_for_ever
from tests.processes import needs_fork, start


def test_the_lock_is_held_once(tmp_path: Path) -> None:
    first, second = WorkLock(tmp_path / "lock"), WorkLock(tmp_path / "lock")
    assert first.acquire()
    assert first.acquire(), "whoever has it, has it"
    assert not second.acquire()
    first.release()
    assert second.acquire()
    assert not first.held


@needs_fork
def test_a_killed_process_lets_go_of_the_lock(tmp_path: Path) -> None:
    process = start(hold_lock_for_ever, tmp_path / "lock", tmp_path / "lock.held")
    while not (tmp_path / "lock.held").exists() and process.is_alive():
        time.sleep(0.01)
    lock = WorkLock(tmp_path / "lock")
    assert not lock.acquire()
    process.kill()
    process.join()
    assert lock.acquire()
