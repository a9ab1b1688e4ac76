"""The grid of tunes: each with its newest picture, what it is, how far it is and how long it is kept."""

import math

from markupsafe import Markup

from studio.domain import Job, Picture, StudioError, Tune, utc_now
from studio.ui import tunes_guide, tunes_keeping, views
from studio.ui.html import button, el, icon, join
from studio.ui.visit import Visit
from studio.ui.words import Words

NEW = "new"  # the place where a new tune is begun; every other place is a tune's id, or nothing for the grid
MOST_LISTED = 100
DAY = 86_400
SOON = 7  # days before the end from which on it is pointed out


def shown(visit: Visit) -> Markup:
    """All tunes, newest first, and the way to a new one."""
    words = visit.words
    found = visit.studio.tuning.all(visit.account, limit=MOST_LISTED)
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
    grid = el("ul", add, *(el("li", _card(visit, one)) for one in found), class_="tunes")
    return join(grid, tunes_keeping.listed(visit), tunes_guide.shown(words))


def _card(visit: Visit, tune: Tune) -> Markup:
    words = visit.words
    job = visit.studio.job(visit.account, tune.job)
    told: list[Markup | None] = []
    if tune.state == "training":
        told = [views.bar(words, job), el("span", training_line(words, job), class_="hint")]
    elif tune.state == "failed":
        told = [el("span", why(words, job), class_="fault")]
    elif tune.state == "ready":
        told = [kept(visit, tune)]
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


def kept(visit: Visit, tune: Tune) -> Markup | None:
    """How many days a tune's model is kept, as a sentence; pointed out where they are few."""
    words, at = visit.words, ends_at(visit, tune)
    if tune.state != "ready":
        return None
    if at is None:
        return el("span", words("tunes.kept"), class_="hint")
    days = max(math.ceil((at - utc_now()) / DAY), 0)
    return el("span", words.count("days_left", days), class_="soon" if days <= SOON else "hint")


def ends_at(visit: Visit, tune: Tune) -> int | None:
    """When a tune's model goes; None while nothing makes it go."""
    found = visit.studio.retention.due(visit.account)
    due = (one.at for one in found if one.what == "model" and one.id == tune.id)
    return next(due, None)
