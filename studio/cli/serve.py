"""`serve`: the page."""

import runpy
from argparse import Namespace
from contextlib import suppress

from studio.cli.output import Answer
from studio.settings import REPOSITORY


def serve(args: Namespace) -> Answer:
    """Until it is stopped. It is put together in app.py, outside of the studio, which may import all of it."""
    with suppress(KeyboardInterrupt):  # being stopped is how it ends well
        runpy.run_path(str(REPOSITORY / "app.py"), run_name="__main__")
    return Answer(body={})
