"""A deletion in a process of its own that kills itself before one of its steps, as a power cut would."""

import inspect
import os
import shutil
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from studio.domain import OWNER
from studio.storage.database import Database, Tx
from tests.person import open_house

WATCHED = ("forgetting.py", "erasing.py", "forgotten.py", "retention.py")


def delete_and_die(root: Path, tune: str, at: int, trace: Path) -> None:
    """Deletes the tune; before its step number `at` (from 1; 0: never) the process is gone. `trace` gets a line for
    each step: where in the code it is taken."""
    house = open_house(root)
    steps: list[str] = []

    def step() -> None:
        steps.append(_place())
        if len(steps) == at:
            os.kill(os.getpid(), signal.SIGKILL)

    def stepping(whole: Callable[..., object]) -> Callable[..., object]:
        def run(*arguments: object, **options: object) -> object:
            step()
            return whole(*arguments, **options)

        return run

    write = Database.write

    @contextmanager
    def writing(self: Database) -> Generator[Tx]:
        with write(self) as tx:
            yield tx
            step()  # everything is written, and nothing committed
        step()

    Path.unlink = stepping(Path.unlink)  # type: ignore[method-assign]
    Path.rmdir = stepping(Path.rmdir)  # type: ignore[method-assign]
    shutil.rmtree = stepping(shutil.rmtree)  # type: ignore[assignment]
    os.fsync = stepping(os.fsync)  # type: ignore[assignment]
    Database.write = writing  # type: ignore[method-assign]
    Database.wipe_log = stepping(Database.wipe_log)  # type: ignore[method-assign,assignment]
    house.studio.retention.delete(OWNER, tune)
    trace.write_text("\n".join(steps))


def _place() -> str:
    """The line of the code that forgets from which the step is taken."""
    for frame in inspect.getouterframes(sys._getframe(), context=0):
        if frame.filename.endswith(WATCHED) and "studio" in frame.filename:
            return f"{Path(frame.filename).name}:{frame.function}:{frame.lineno}"
    return "elsewhere"
