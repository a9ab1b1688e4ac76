"""A command line is carried out, and its answer or its error leaves the process.

Only a command that needs the studio loads it: help and prices come at once.
"""

import argparse
import json
import logging
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from importlib import import_module
from io import TextIOWrapper
from typing import TYPE_CHECKING

from studio.cli.output import Answer
from studio.cli.parser import parser
from studio.domain import Refused, StudioError

if TYPE_CHECKING:
    from studio.jobs import Runners

DONE, FAILED, USAGE = 0, 1, 2

log = logging.getLogger(__name__)


def main(words: Sequence[str], runners: "Runners | None" = None) -> int:
    """Carries out a command line and returns its exit code: 0 done, 1 failed, 2 bad usage.

    Standard output gets the answer alone (with `--json` one JSON object), standard error everything else. `runners`
    make the pictures; by default they are the pipelines.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a prompt may have letters that the terminal has not
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # what libraries say to their users' authors is for those who ask with -W
    as_json = "--json" in words
    try:
        args = parser().parse_args(words, argparse.Namespace(runners=runners))
        with redirect_stdout(sys.stderr):  # what libraries print is no part of the answer
            answer = _command(args.run)(args)
        _print(json.dumps(answer.body) if as_json else answer.text)
        return answer.code
    except Refused as error:
        return _fail(error, USAGE, as_json)
    except StudioError as error:
        return _fail(error, FAILED, as_json)
    except KeyboardInterrupt:
        return _fail(StudioError("Stopped."), FAILED, as_json)
    except BrokenPipeError:
        # Whoever read the answer has enough of it; Python must not try to write the rest when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:
        log.exception("a command broke")
        why = f"{error.filename or 'A file'}: {error.strerror}" if isinstance(error, OSError) else type(error).__name__
        return _fail(StudioError(f"Something broke in the studio ({why}); what is above says where."), FAILED, as_json)


def _command(place: str) -> Callable[[argparse.Namespace], Answer]:
    module, _, function = place.partition(":")
    return getattr(import_module(f"studio.cli.{module}"), function)


def _fail(error: StudioError, code: int, as_json: bool) -> int:
    allowed = f" (allowed: {error.allowed})" if error.allowed and error.allowed not in error.message else ""
    print(f"{error.message}{allowed}", file=sys.stderr)
    if as_json:
        _print(json.dumps(error.to_json()))
    return code


def _print(text: str) -> None:
    if text:
        print(text, flush=True)
