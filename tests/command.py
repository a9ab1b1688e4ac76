"""A command in a process of its own, whose pictures are fakes: `python -m tests.command PAUSE COMMAND ...`.

PAUSE is how many seconds each of a picture's two steps takes.
"""

import sys

from studio.cli.main import main
from tests.fakes import FakeRunner

if __name__ == "__main__":
    sys.exit(main(sys.argv[2:], runners={"image": FakeRunner(pause=float(sys.argv[1]))}))
