"""Puts the studio together and serves its page: settings, database, page, and then the worker.

Started by `python3 start.py`, by `python app.py` and by `python -m studio serve`.
"""

import logging
import os
import sys

from studio.domain import Refused, StudioError
from studio.importing import imported
from studio.service import Studio
from studio.settings import Settings


def say(text: str) -> None:
    print(text, flush=True)


def main() -> int:
    """Serves until it is stopped; returns the exit code: 0 done, 1 failed, 2 a setting is wrong."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s")
    try:
        # 1. What is set, and what is remembered.
        settings = Settings.read(os.environ)
        studio = Studio.open(settings)
        try:
            # 2. The page. Gradio reads its own variables when it is imported, so it is imported only now.
            access = imported("studio.ui.access")
            os.environ.update(access.gradio_environment(settings))
            imported("studio.ui.serve").serve(studio, say)
        finally:
            studio.close()
    except StudioError as error:
        print(error.message, file=sys.stderr)
        return 2 if isinstance(error, Refused) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
