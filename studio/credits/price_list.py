"""The prices in force: what ships with the studio, and over it the operator's own file.

A file with a fault is refused with the line and the reason, and the prices that were in force stay.
"""

import logging
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import cast

from studio.credits.price_file import Keys, Table, Wrong, load, merge, prices_of
from studio.credits.prices import Prices
from studio.domain import Refused

SHIPPED = Path(__file__).with_name("prices.toml")
MOST_BYTES = 65_536  # of the operator's file

log = logging.getLogger(__name__)


@cache
def shipped() -> Prices:
    """The price list that comes with the studio."""
    return prices_of(load(SHIPPED.read_text(encoding="utf-8")))


def overlaid(file: Path) -> Prices:
    """The shipped list with what the operator's file changes and adds.

    Raises Refused with the file's line and the reason, and OSError.
    """
    return _overlaid(file.read_bytes(), file)


def _overlaid(body: bytes, file: Path) -> Prices:
    if len(body) > MOST_BYTES:
        raise Refused(f"{file} has more than {MOST_BYTES} bytes.", field="prices")
    own = ""
    try:
        own = body.decode()
        return prices_of(merge(load(SHIPPED.read_text(encoding="utf-8")), load(own), ()))
    except Wrong as wrong:
        line, reason = _line_of(own, wrong.keys), str(wrong)
    except tomllib.TOMLDecodeError as error:
        reason, _, place = str(error).rpartition(" (at ")
        at_line = re.match(r"line (\d+)", place)
        line = int(at_line[1]) if at_line else max(1, len(own.splitlines()))
        reason += "."
    except UnicodeDecodeError as error:
        line, reason = body[: error.start].count(b"\n") + 1, "this is not UTF-8."
    raise Refused(f"{file}, line {line}: {reason}", field="prices")


class PriceList:
    """The prices in force, looked up by calling it: the operator's file is read anew whenever it has changed.

    What was accepted last is kept beside it, so that the old prices also outlast a restart. `trouble` says what is
    wrong with the file, if something is. Safe to share between threads.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._accepted = file.with_name(f"{file.stem}.accepted{file.suffix}")
        self._seen: tuple[object, Prices, Refused | None] | None = None

    def __call__(self) -> Prices:
        return self._look()[0]

    @property
    def trouble(self) -> Refused | None:
        return self._look()[1]

    def _look(self) -> tuple[Prices, Refused | None]:
        # 1. Has it changed since the last look?
        try:
            now = self.file.stat()
            stamp: object = (now.st_mtime_ns, now.st_size, now.st_ino)
        except FileNotFoundError:
            return shipped(), None
        except OSError as error:
            stamp = str(error)
        seen = self._seen
        if seen is not None and seen[0] == stamp:
            return seen[1:]

        # 2. Read it; what cannot be read leaves the prices as they were, and is told.
        try:
            body = self.file.read_bytes()
            found, trouble = _overlaid(body, self.file), None
            self._keep(body)
        except OSError as error:
            found, trouble = None, Refused(f"{self.file} cannot be read: {error.strerror}.", field="prices")
        except Refused as error:
            found, trouble = None, error
        if trouble is not None:
            log.error("the prices stay as they were: %s", trouble)
        if found is None:
            found = seen[1] if seen else self._before()
        self._seen = (stamp, found, trouble)
        return found, trouble

    def _before(self) -> Prices:
        try:
            return overlaid(self._accepted)
        except (OSError, Refused):
            return shipped()

    def _keep(self, body: bytes) -> None:
        try:
            if not self._accepted.exists() or self._accepted.read_bytes() != body:
                part = self._accepted.with_suffix(".part")
                part.write_bytes(body)
                part.replace(self._accepted)
        except OSError:
            log.warning("%s could not be written", self._accepted, exc_info=True)


def _line_of(words: str, keys: Keys) -> int:
    """The line at which a value of this TOML begins, or the table it is missing from.

    Found by reading more and more of the text: the line after the last piece that is whole and lacks the value.
    """
    lines = words.splitlines()
    while keys:
        line = 1
        for count in range(1, len(lines) + 1):
            try:
                table: object = load("\n".join(lines[:count]))
            except tomllib.TOMLDecodeError:
                continue  # a list that goes on, a quoted text of several lines
            if _has(table, keys):
                return line
            line = count + 1
        keys = keys[:-1]
    return 1


def _has(table: object, keys: Keys) -> bool:
    for key in keys:
        if not isinstance(table, dict) or key not in table:
            return False
        table = cast(Table, table)[key]
    return True
