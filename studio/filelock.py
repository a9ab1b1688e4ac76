"""Locks on files, which the system takes back from a process that dies."""

import os
from typing import BinaryIO

if os.name == "nt":
    import msvcrt
else:
    import fcntl


def try_lock(file: BinaryIO) -> bool:
    """Whether this open file has the lock now; never waits. Another opening of the same file counts as another."""
    try:
        if os.name == "nt":
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def unlock(file: BinaryIO) -> None:
    """Lets go of a lock that `try_lock` got."""
    if os.name == "nt":
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
    else:
        fcntl.flock(file.fileno(), fcntl.LOCK_UN)
