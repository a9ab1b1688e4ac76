"""The thread that deletes what is due: at the start, every hour, and at once what was left unfinished.

It works in the process that works the queue, beside it: a training of many hours keeps nothing from going.
"""

import logging
import threading
import time
from collections.abc import Callable

from studio.domain import Clock, StorageFailed
from studio.retention import Retention

EVERY = 3600  # seconds between two sweeps
LOOK_EVERY = 2.0  # seconds between two looks whether a deletion is unfinished

log = logging.getLogger(__name__)


class Sweeper:
    """Sweeps as long as `working()` says that this process is the one that works the queue."""

    def __init__(self, retention: Retention, *, working: Callable[[], bool], clock: Clock) -> None:
        self._retention = retention
        self._working = working
        self._clock = clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.run, name="sweeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float = 20.0) -> bool:
        """Ends after the deletion under way; whether it did within `timeout` seconds."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def run(self) -> None:
        """The loop itself, in the calling thread."""
        swept: tuple[float, int] | None = None
        while not self._stop.is_set():
            try:
                if self._working():
                    # By both clocks: one stands still while the machine sleeps, the other may be set back.
                    if swept is None or time.monotonic() - swept[0] >= EVERY or self._clock() - swept[1] >= EVERY:
                        swept = time.monotonic(), self._clock()
                        self._retention.sweep()
                    else:
                        self._retention.finish()
            except StorageFailed as error:
                log.error("what is due could not be deleted; it is tried again: %s", error)
            except Exception:
                log.exception("what is due could not be deleted; it is tried again")
            self._stop.wait(LOOK_EVERY)
