"""How commands answer: an object for programs, a text for people, and progress on standard error."""

import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TextIO

from studio.domain import Refused, StudioError

BAR = 24  # characters
QUIET = 10.0  # seconds between two lines of progress where nobody watches a bar


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a command prints when it is done: `body` with --json, else `text`."""

    body: Mapping[str, object]
    text: str = ""
    code: int = 0


class Unfinished(StudioError):
    """A job that did not end well; `body` tells what became of it all the same."""

    def __init__(
        self, message: str, *, field: str | None = None, allowed: str | None = None, body: Mapping[str, object]
    ) -> None:
        super().__init__(message, field=field, allowed=allowed)
        self.body = body

    def to_json(self) -> dict[str, object]:  # type: ignore[override]
        return {**super().to_json(), **self.body}


def note(text: str) -> None:
    """A line for the person, never part of the answer."""
    print(text, file=sys.stderr, flush=True)


def agreed(what: str, *, yes: bool, must: bool) -> None:
    """Says what will be done and asks on a terminal whether to go on. Raises StudioError where the answer is no.

    Where nobody can be asked, what `must` be agreed to needs `yes`: Refused.
    """
    note(what)
    if yes:
        return
    if not sys.stdin.isatty():
        if must:
            raise Refused("Nobody can be asked here: say --yes.", field="yes", allowed="--yes")
        return
    print("Go on? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise StudioError("Nothing was changed.")


def table(rows: Sequence[Sequence[object]]) -> str:
    """Columns as wide as they need to be."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in texts
    )


def clock(seconds: float) -> str:
    """A duration as 0:07 or 1:02:03."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@dataclass
class Meter:
    """Progress on standard error: a bar that stays on its line on a terminal, else a line now and then."""

    stream: TextIO = field(default_factory=lambda: sys.stderr)
    _shown: str = ""
    _at: float = 0.0
    _said: str = ""

    def show(self, message: str, done: int = 0, total: int = 0, seconds_left: int | None = None) -> None:
        """Told as often as one likes; draws when something changed."""
        part = f"{100 * done // total:3} %  " if total else ""
        left = f"  {clock(seconds_left)} left" if seconds_left is not None else ""
        if self.stream.isatty():
            bar = f"[{'#' * (BAR * done // total):-<{BAR}}] " if total else ""
            line = f"{bar}{part}{message}{left}"[:100]
            if line != self._shown:
                self.stream.write(f"\r{line.ljust(len(self._shown))}")
                self.stream.flush()
                self._shown = line
            return
        # What is the same but for its numbers is said again only now and then.
        kind = re.sub(r"[0-9.]+", "", message)
        if kind != self._said or time.monotonic() - self._at >= QUIET:
            self._said, self._at = kind, time.monotonic()
            self.stream.write(f"{part}{message}{left}\n")
            self.stream.flush()

    def close(self) -> None:
        """Leaves the line free for what is said next."""
        if self._shown:
            self.stream.write(f"\r{' ' * len(self._shown)}\r")
            self.stream.flush()
            self._shown = ""
