"""What is asked of a tool on its tab: the price of it, the pictures taken in, and the job; and what was left out."""

from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from markupsafe import Markup

from studio.domain import Job, NotFound, Refused, StudioError
from studio.tools import MOST_UPLOADS
from studio.ui import tool_results, views
from studio.ui.html import el, icon
from studio.ui.new_tune_cards import looking
from studio.ui.tool_options import Options
from studio.ui.visit import Visit
from studio.ui.words import Words
from studio.workshop import KINDS

LOOK = 0.2  # seconds between two looks at how many pictures are taken in
MOST_NAMED = 5  # files of those left out that are named
MOST_LEFT = 1_000_000  # files that may be said to be left out
MOST_NAME = 255  # characters


def ids_in(sent: Any) -> list[str]:
    """The ids of pictures that were sent to the tab, as the page keeps them."""
    return [one for one in str(sent or "").split(",") if one]


def kind_of(data: Mapping[str, object]) -> str:
    """The tool that the page's script names. Raises Refused."""
    kind = data.get("tool")
    if not isinstance(kind, str) or kind not in KINDS:
        raise Refused("tool must be one of those shown.", field="tool", allowed=", ".join(KINDS))
    return kind


# --- before anything is asked ----------------------------------------------------------------------------------------


def labelled(visit: Visit, kind: str, options: Options, sent: str, files: Any, *values: Any) -> Any:
    """What the button says: what it does, and what that costs for the pictures that are here."""
    words = visit.words
    count = len(ids_in(sent)) + len(files or [])
    plain = gr.update(value=words(f"{kind}.go"))
    if not count:
        return plain
    try:
        scale = options.fields(*values).get("scale")
        charges = visit.studio.workshop.quote(kind, count, scale=scale if isinstance(scale, int) else None)
    except StudioError:  # it is told when the button is pressed
        return plain
    what = words.count(f"{kind}.go_for", count)
    return gr.update(value=words("tools.for_price", what=what, price=views.cost(words, charges)))


def folder(visit: Visit, kind: str) -> Markup:
    """The way to hand in a folder for those who do not drop it onto the page."""
    file = el(
        "input", type="file", webkitdirectory=True, multiple=True, data_folder=kind, data_most=MOST_UPLOADS,
        class_="unseen",
    )  # fmt: skip
    return el("label", file, icon("picture"), visit.words("tools.folder"), class_="quiet filebutton")


def left_out(visit: Visit, data: Mapping[str, object]) -> Markup:
    """What is said of files that the page's script has left out: of kinds that are not taken, or too many for one job.
    Raises Refused."""
    words = visit.words
    other, more = (_Left.of(data.get(what), what) for what in ("other", "more"))
    lines: list[Markup] = []
    if other.count:
        lines.append(_left(words("tools.left_other", n=words.number(other.count)), words, other))
    if more.count:
        lines.append(too_many(words, more.count, more.names))
    return el("div", *lines, class_="faults") if lines else Markup("")


def too_many(words: Words, count: int, names: Sequence[str] = ()) -> Markup:
    """What is said of so many pictures more than a job has."""
    told = words("tools.left_more", n=words.number(count), most=MOST_UPLOADS)
    return _left(told, words, _Left(count, tuple(names)))


@dataclass(frozen=True)
class _Left:
    """How many files were left out, and the names of the first of them."""

    count: int
    names: tuple[str, ...]

    @classmethod
    def of(cls, told: object, field: str) -> "_Left":
        match told:
            case {"count": int(count), "names": [*names]} if (
                0 <= count <= MOST_LEFT
                and len(names) <= MOST_NAMED
                and all(isinstance(name, str) and len(name) <= MOST_NAME for name in names)
            ):
                return cls(count, tuple(names))
        raise Refused(f"{field} must be a count and names.", field=field, allowed=f"at most {MOST_NAMED} names")


def _left(told: str, words: Words, left: _Left) -> Markup:
    named = ", ".join(left.names)
    if named and left.count > len(left.names):
        named = words("tools.and_more", names=named, n=words.number(left.count - len(left.names)))
    return el("p", f"{told}: {named}." if named else f"{told}.", class_="warn", role="alert")


# --- a click on the button -------------------------------------------------------------------------------------------


def asked_for(
    visit: Visit, kind: str, options: Options, ticket: str, sent: str, files: Any, *values: Any
) -> Generator[list[Any]]:
    """Takes the pictures in, says how far that is, and queues the tool on them.

    Gives the job to be shown and what was said of each that could not be read; then the files, what was sent here and
    its tray, which are empty again once the job is queued, so that nothing is paid twice.
    """
    pictures, paths = ids_in(sent), [Path(file) for file in files or []]
    taking = Taking(visit, kind, pictures, paths)
    # In a thread of its own, which goes on when the tab is closed: what was asked for is done all the same.
    pool = ThreadPoolExecutor(1, "take-in")
    work = pool.submit(partial(taking.queued, ticket, options, values))
    pool.shutdown(wait=False)
    while wait([work], timeout=LOOK).not_done:
        done, of = len(taking.taken) + len(taking.wrong), len(pictures) + len(paths)
        told = looking(visit.words, "tools.taking", done / max(of, 1), n=done, of=of)
        yield [gr.skip(), told, *[gr.skip()] * 3]
    job = work.result()
    if job is None:
        yield [gr.skip(), tool_results.refusals(visit, taking.wrong), *[gr.skip()] * 3]
    else:
        yield [job.id, tool_results.refusals(visit, taking.wrong, others=len(taking.taken)), None, "", Markup("")]


class Taking:
    """Pictures as they are taken in: `taken` are their uploads, `wrong` what was said of those that could not be."""

    def __init__(self, visit: Visit, kind: str, pictures: Sequence[str], paths: Sequence[Path]) -> None:
        self.visit, self.kind = visit, kind
        self.pictures, self.paths = pictures, paths
        self.taken: list[str] = []
        self.wrong: list[StudioError] = []

    def queued(self, ticket: str, options: Options, values: Sequence[Any]) -> Job | None:
        """The job of all that could be taken in; None where there is none, and then `wrong` says why."""
        workshop, account = self.visit.studio.workshop, self.visit.account
        try:
            # 1. What is wrong with all of it.
            fields = options.fields(*values)
            behind = values[options.behind] if options.behind is not None and fields.get("on") == "picture" else None
            workshop.check(self.kind, fields, behind=behind is not None)
            self._check_count()

            # 2. The pictures, one after the other.
            self._take_in()
            if not self.taken:
                return None

            # 3. The job.
            ground = workshop.take_in(account, Path(behind), field="behind").upload if behind else None
            return workshop.submit(account, self.kind, fields, self.taken, behind=ground, job_id=ticket or None)
        except StudioError as error:
            workshop.drop(account, self.taken)
            self.wrong = [error]
            return None

    def _check_count(self) -> None:
        count, allowed = len(self.pictures) + len(self.paths), f"1 to {MOST_UPLOADS}"
        if not count:
            raise Refused("There is no picture yet: drop some here.", field="files", allowed=allowed)
        if count > MOST_UPLOADS:
            more = count - MOST_UPLOADS
            raise Refused(
                f"{count} pictures are {more} too many for one job, which has at most {MOST_UPLOADS}.",
                field="files",
                allowed=str(MOST_UPLOADS),
            )

    def _take_in(self) -> None:
        workshop, account = self.visit.studio.workshop, self.visit.account
        for hand_in in [
            *(partial(workshop.take_picture, account, id) for id in self.pictures),
            *(partial(workshop.take_in, account, path) for path in self.paths),
        ]:
            try:
                self.taken.append(hand_in().upload)
            except (Refused, NotFound) as error:
                self.wrong.append(error)
