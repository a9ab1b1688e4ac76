"""Puts the studio together and serves its page: settings, database, recovery, worker, page.

Started by `python3 start.py`, by `python app.py` and by `python -m studio serve`.
"""

import os
import signal
import sys
from importlib import import_module

from studio.domain import StudioError
from studio.service import Studio
from studio.settings import Settings


def main() -> int:
    """Serves until it is stopped; the exit code."""
    try:
        settings = Settings.read(os.environ)
        studio = Studio.open(settings)
    except StudioError as error:
        print(error.message, file=sys.stderr)
        return 1
    # Gradio reads these when it is imported, and keeps what is uploaded and shown in that folder.
    os.environ["GRADIO_TEMP_DIR"] = str(settings.data / "cache")
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: the running job is put back
    try:
        import_module("studio.ui.page").serve(studio)
    except StudioError as error:
        print(error.message, file=sys.stderr)
        return 1
    finally:
        studio.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
