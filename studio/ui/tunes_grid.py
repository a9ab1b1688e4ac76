"""The grid of tunes: each with its newest picture, what it is, how far it is and how long it is kept."""

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from studio.domain import Job, NotFound, Picture, StudioError, Tune, utc_now
from studio.ui import tunes_guide, tunes_keeping, views
from studio.ui.html import button, el, icon, join
from studio.ui.visit import Visit
from studio.ui.words import Words

NEW = "new"  # the place where a new tune is begun; every other place is a tune's id, or one of the grid's pages
OLDER = "older:"  # with the id of the tune before it, a page of the grid; nothing is its first
PER_PAGE = 48
DAY = 86_400
SOON = 7  # days before the end from which on it is pointed out


def page_at(place: object) -> str | None:
    """The tune before the page of the grid that a place is, "" for the first page; None where it is none."""
    if place == "":
        return ""
    return place.removeprefix(OLDER) if isinstance(place, str) and place.startswith(OLDER) else None


def shown(visit: Visit, page: str = "") -> Markup:
    """A page of the tunes, newest first, the way to the next one, and the way to a new tune."""
    words = visit.words
    tuning = visit.studio.tuning
    try:
        found = tuning.all(visit.account, limit=PER_PAGE + 1, before=page or None)
    except NotFound:
        found = []
    if page and not found:  # deleted meanwhile: from the beginning again
        page, found = "", tuning.all(visit.account, limit=PER_PAGE + 1)
    found, is_last = found[:PER_PAGE], len(found) <= PER_PAGE
    if not found:
        begin = button(words("tunes.new"), data_do="tune_open", data_place=NEW, class_="quiet go")
        return join(
            views.empty(words, "tunes.empty", "smile", begin), tunes_keeping.listed(visit), tunes_guide.shown(words)
        )
    add = el(
        "li",
        el(
            "button", icon("plus"), el("strong", words("tunes.new")), type="button", data_do="tune_open",
            data_place=NEW, class_="tune add",
        ),
    )  # fmt: skip
    ends = ends_of(visit)
    grid = el("ul", add, *(el("li", _card(visit, one, ends)) for one in found), class_="tunes")
    pager = None if is_last and not page else _pager(words, page, found, is_last)
    return join(grid, pager, tunes_keeping.listed(visit), tunes_guide.shown(words))


def _pager(words: Words, page: str, found: Sequence[Tune], is_last: bool) -> Markup:
    def way(key: str, drawn: str | None, place: str, off: bool) -> Markup:
        return button(
            words(key), icon_name=drawn, show_label=drawn is None, data_do="tune_open", data_place=place, disabled=off
        )

    return el(
        "nav",
        way("tunes.newest", None, "", not page),
        way("tunes.older", "right", f"{OLDER}{found[-1].id}", is_last),
        class_="pager",
        aria_label=words("tunes.pages"),
    )


def _card(visit: Visit, tune: Tune, ends: Mapping[str, int]) -> Markup:
    words = visit.words
    job = visit.studio.job(visit.account, tune.job)
    told: list[Markup | None] = []
    if tune.state == "training":
        told = [views.bar(words, job), el("span", training_line(words, job), class_="hint")]
    elif tune.state == "failed":
        told = [el("span", why(words, job), class_="fault")]
    elif tune.state == "ready":
        told = [kept(visit.words, tune, ends.get(tune.id))]
    return el(
        "button",
        el("span", _thumbnail(visit, tune), class_="face"),
        el("span", el("strong", tune.name), state(words, tune), class_="line"),
        el("span", what(words, tune), class_="hint"),
        *told,
        type="button",
        data_do="tune_open",
        data_place=tune.id,
        data_state=tune.state,
        class_="tune",
    )


def _thumbnail(visit: Visit, tune: Tune) -> Markup:
    picture = face_of(visit, tune)
    if picture is None:
        return icon("smile")
    return el("img", src=f"media/pictures/{picture.id}/small", alt="", loading="lazy", decoding="async")


def face_of(visit: Visit, tune: Tune) -> Picture | None:
    """The picture that stands for a tune: its newest favourite, else its newest."""
    for favourites in (True, False):
        page = visit.studio.gallery.page(visit.account, tune=tune.id, favourites=favourites, limit=1)
        if page.pictures:
            return page.pictures[0]
    return None


# --- what a tune is said to be ---------------------------------------------------------------------------------------


def state(words: Words, tune: Tune) -> Markup:
    """The tune's state as a label."""
    return el("span", words(f"tune_state.{tune.state}"), class_=f"state {LOOKS.get(tune.state, '')}")


LOOKS = {"training": "running", "ready": "done", "failed": "failed"}


def what(words: Words, tune: Tune) -> str:
    """`Woman · starter`; what others made has a word of theirs for its class."""
    key = f"class.{tune.class_name}"
    return f"{words(key) if words.has(key) else tune.class_name} · {tune.base}"


def training_line(words: Words, job: Job) -> str:
    """`Step 120 of 300 · about 40 s left`."""
    parts = [words("tunes.step", n=job.step, of=job.steps) if job.step else words("job.loading")]
    if job.seconds_left is not None:
        parts.append(words("job.left", time=words.seconds(job.seconds_left)))
    return " · ".join(parts)


def why(words: Words, job: Job) -> str:
    """What a training failed for."""
    return words.sentence(StudioError(job.error or "", allowed=job.error_allowed))


def kept(words: Words, tune: Tune, at: int | None) -> Markup | None:
    """How many days a tune's model is kept, as a sentence; pointed out where they are few."""
    if tune.state != "ready":
        return None
    if at is None:
        return el("span", words("tunes.kept"), class_="hint")
    days = max(math.ceil((at - utc_now()) / DAY), 0)
    return el("span", words.count("days_left", days), class_="soon" if days <= SOON else "hint")


def ends_of(visit: Visit) -> dict[str, int]:
    """When the tunes' models go, by tune; one that nothing makes go is not in it."""
    return {one.id: one.at for one in visit.studio.retention.due(visit.account) if one.what == "model"}
