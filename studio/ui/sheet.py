"""Tables for spreadsheets: CSV in which nothing that people wrote is taken for a formula."""

import csv
import io
from collections.abc import Iterable, Sequence


def lines(rows: Iterable[Sequence[object]]) -> str:
    """The rows as lines of CSV (RFC 4180)."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue()


def _cell(value: object) -> object:
    """A text that begins as a formula does is kept from being one."""
    if value is None:
        return ""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
