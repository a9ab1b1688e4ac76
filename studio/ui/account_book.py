"""The account book on the page: every entry with its job and pictures, a page at a time, filtered, and as CSV."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import urlencode

from markupsafe import Markup

from studio.counter import PHASES, Entry, Page, Phase
from studio.domain import CREDIT_KINDS, CreditKind
from studio.ui.html import button, el, icon, join, moment
from studio.ui.sheet import lines
from studio.ui.shop import table
from studio.ui.visit import Visit
from studio.ui.words import Words

PER_PAGE = 25
AT_A_TIME = 500  # entries that the CSV is written by
MOST_THUMBS = 4
COLUMNS = ("no", "at", "what", "kind", "balance", "held", "job", "reason")
HEAD = ("when", "what", "kind", "posted", "held_change", "why", "job")


def kind_of(value: object) -> CreditKind | None:
    """A kind of credit; anything else is all of them."""
    return cast(CreditKind, value) if value in CREDIT_KINDS else None


def phase_of(value: object) -> Phase | None:
    """A kind of entry; anything else is all of them."""
    return cast(Phase, value) if value in PHASES else None


def shown(visit: Visit, account: str, kind: str, phase: str, place: str) -> Markup:
    """The page of the book at this place, with the way to the next ones."""
    words = visit.words
    way, _, seq = str(place or "").partition(":")
    at: dict[str, Any] = {way: int(seq)} if way in ("before", "after") and seq.isdecimal() and len(seq) < 16 else {}
    page = visit.studio.counter.page(account, limit=PER_PAGE, kind=kind_of(kind), phase=phase_of(phase), **at)
    if not page.entries:
        return el("p", words("credits.nothing" if kind or phase else "credits.no_history"), class_="hint")
    asked = {"whose": account, "kind": kind_of(kind) or "", "phase": phase_of(phase) or ""}
    saved = el(
        "a",
        icon("download"),
        el("span", words("credits.csv")),
        href=f"media/credits.csv?{urlencode(asked)}",
        download=True,
        class_="quiet",
    )
    pictures: dict[str, Markup] = {}
    rows = [_row(visit, entry, pictures) for entry in page.entries]
    head = [words(f"credits.{key}") for key in HEAD]
    return join(
        table(head, rows, caption=words("credits.history"), class_="ledger"),
        el("div", _pager(words, page), el("span", class_="grow"), saved, class_="line"),
    )


def _row(visit: Visit, entry: Entry, pictures: dict[str, Markup]) -> list[object]:
    words = visit.words
    return [
        moment(entry.at),
        el("span", words(f"phase.{entry.phase}"), class_=f"state {entry.phase}"),
        words(f"credits.{entry.kind}"),
        _signed(words, entry.posted_change),
        _signed(words, entry.held_change),
        el("span", words.said(entry.reason), class_="why"),
        _job(visit, entry, pictures),
    ]


def _job(visit: Visit, entry: Entry, pictures: dict[str, Markup]) -> Markup | None:
    """The way to an entry's job, with the first of its pictures. Another account's are not looked into."""
    if entry.job is None:
        return None
    if entry.account != visit.account:
        return el("code", entry.job[:8], title=entry.job)
    if entry.job not in pictures:
        words = visit.words
        thumbs = [
            el(
                "button",
                el("img", src=f"media/pictures/{one.id}/small", alt="", loading="lazy", decoding="async"),
                type="button",
                data_view=one.id,
                aria_label=words("credits.picture", n=one.index + 1),
            )
            for one in visit.studio.gallery.of_job(visit.account, entry.job)[:MOST_THUMBS]
        ]
        look = button(words("job.look"), icon_name="picture", data_do="look", data_job=entry.job, class_="quiet")
        pictures[entry.job] = el("span", look, *thumbs, class_="thumbs", data_grid=True)
    return pictures[entry.job]


def _signed(words: Words, change: int) -> str:
    return f"{'+' if change > 0 else '−'}{words.number(abs(change))}" if change else ""


def _pager(words: Words, page: Page) -> Markup:
    said = words(
        "gallery.position",
        first=words.number(page.first + 1),
        last=words.number(page.first + len(page.entries)),
        total=words.number(page.total),
    )

    def way(key: str, place: str, drawn: str | None, off: bool) -> Markup:
        label = words(f"credits.{key}")
        return button(label, icon_name=drawn, show_label=drawn is None, data_do="leaf", data_place=place, disabled=off)

    return el(
        "nav",
        way("newest", "", None, page.first == 0),
        way("newer", f"after:{page.entries[0].seq}", "left", page.first == 0),
        el("span", said, role="status"),
        way("older", f"before:{page.entries[-1].seq}", "right", page.is_last),
        way("oldest", "after:0", None, page.is_last),
        class_="pager",
        aria_label=words("credits.pages"),
    )


def as_csv(visit: Visit, account: str, kind: CreditKind | None, phase: Phase | None) -> Iterator[str]:
    """The account book for a spreadsheet, newest first, piece by piece. Times are UTC."""
    before: int | None = None
    yield lines([COLUMNS])
    while True:
        entries = visit.studio.counter.history(account, limit=AT_A_TIME, before=before, kind=kind, phase=phase)
        if not entries:
            return
        yield lines(
            (
                one.seq, f"{datetime.fromtimestamp(one.at, UTC):%Y-%m-%d %H:%M:%S}", one.phase, one.kind,
                one.posted_change, one.held_change, one.job, one.reason,
            )
            for one in entries
        )  # fmt: skip
        before = entries[-1].seq
