"""The studio as a command opens it."""

import os
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager

from studio.service import Studio
from studio.settings import Settings


@contextmanager
def opened(args: Namespace) -> Iterator[Studio]:
    """The studio of this environment's settings; deletions that a crash cut off are finished first.

    Raises Refused (a setting), StorageFailed.
    """
    studio = Studio.open(Settings.read(os.environ), runners=args.runners)
    try:
        studio.retention.finish()
        yield studio
    finally:
        studio.close()
