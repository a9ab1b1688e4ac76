"""The studio as a command opens it."""

import os
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager

from studio.service import Studio
from studio.settings import Settings


@contextmanager
def opened(args: Namespace) -> Iterator[Studio]:
    """The studio of this environment's settings; what is due is deleted first where no page sees to that.

    Raises Refused (a setting), StorageFailed.
    """
    studio = Studio.open(Settings.read(os.environ), runners=args.runners)
    try:
        studio.retention.sweep_if_late()
        yield studio
    finally:
        studio.close()
