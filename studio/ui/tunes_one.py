"""The head of a tune's page: how its training goes or went, what it is, and that it is never changed."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from studio.domain import Job, Tune, TuneRequest, utc_now
from studio.ui import tunes_grid, views
from studio.ui.html import button, el, icon, join, moment
from studio.ui.tunes_grid import NEW
from studio.ui.visit import Visit
from studio.ui.words import Words

PLOT = (300, 84)  # the plot's own units, wide and high
AT_ONCE = 5  # seconds after a training in which its first pictures are asked for by themselves
IN_TRAINING = ("waiting", "training", "paused")


def shown(visit: Visit, tune: Tune) -> Markup:
    """Name and state, and then what there is to say of it in this state."""
    words = visit.words
    job = visit.studio.job(visit.account, tune.job)
    parts: list[Markup | None] = [_title(visit, tune)]
    if tune.state in IN_TRAINING:
        parts.append(_training(visit, tune, job))
    elif tune.state == "failed":
        parts += [el("p", tunes_grid.why(words, job), class_="fault", role="alert"), _again(words, "tunes.failed")]
    elif tune.state == "cancelled":
        parts.append(_again(words, "tunes.cancelled"))
    elif tune.state == "gone":
        parts += [_again(words, "tunes.gone"), _made(visit, tune)]
    else:
        parts += [_rest(visit, tune), _again(words, "tunes.fixed")]
    parts += [el("p", words.said(one), class_="warn") for one in job.warnings]
    return el("section", *parts, class_="tune-head", data_tune=tune.id, data_state=tune.state)


def _title(visit: Visit, tune: Tune) -> Markup:
    words = visit.words
    told: list[Markup | str | None] = [tunes_grid.what(words, tune)]
    if tune.trained_at is not None:
        told += [" · ", words("tunes.trained"), " ", moment(tune.trained_at)]
    line = [
        button(words("tunes.all"), icon_name="left", data_do="tune_open", data_place="", class_="quiet"),
        el("h2", tune.name),
        tunes_grid.state(words, tune),
        el("span", *told, class_="hint"),
        tunes_grid.kept(visit.words, tune, tunes_grid.ends_of(visit).get(tune.id)),
    ]
    return el("div", *line, class_="line")


def _again(words: Words, key: str) -> Markup:
    return el("div", el("p", words(key), class_="hint"), _new(words), class_="line")


def _new(words: Words) -> Markup:
    return button(words("tunes.new"), data_do="tune_open", data_place=NEW, class_="quiet")


# --- training --------------------------------------------------------------------------------------------------------


def _training(visit: Visit, tune: Tune, job: Job) -> Markup:
    words = visit.words
    said = tunes_grid.training_line(words, job)
    if tune.state == "waiting":
        active = visit.studio.active_jobs(visit.account)
        ahead = next((place for place, one in enumerate(active) if one.id == job.id), 0)
        said = words("job.next") if ahead == 0 else words.count("job.waits", ahead)
    elif tune.state == "paused":
        said = words("tunes.paused")
    line = el(
        "div",
        el("span", said, class_="said", role="status", aria_live="off"),
        el("span", views.price(words, job), class_="hint"),
        el("span", class_="grow"),
        _pausing(words, tune),
        views.cancel(words, job),
        class_="line",
    )
    closed = None if tune.state == "paused" else el("p", words("tunes.may_close"), class_="hint")
    return el("div", views.bar(words, job), line, _sight(visit, tune, job), closed, class_="told")


def _pausing(words: Words, tune: Tune) -> Markup:
    what = "tune_resume" if tune.state == "paused" else "tune_pause"
    drawn = "play" if tune.state == "paused" else "pause"
    return button(words(f"tunes.{what}"), icon_name=drawn, data_do=what, data_tune=tune.id, class_="quiet")


def _sight(visit: Visit, tune: Tune, job: Job) -> Markup | None:
    """The newest sample picture and the loss so far."""
    words = visit.words
    sample = None
    if visit.studio.tuning.sample(visit.account, tune.id) is not None:
        picture = el("img", src=f"media/tunes/{tune.id}/sample?step={job.step}", alt=words("tunes.sample"))
        sample = el("figure", picture, el("figcaption", words("tunes.sample"), class_="hint"))
    plot = plotted(words, tune.losses)
    return el("div", sample, plot, class_="sight") if sample or plot else None


def plotted(words: Words, losses: Sequence[float]) -> Markup | None:
    """The loss over the training, drawn; its first and last value in words."""
    if len(losses) < 2:
        return None
    wide, high = PLOT
    top = sorted(losses)[int(0.98 * (len(losses) - 1))] or 1.0  # a single high one does not flatten the rest
    points = " ".join(
        f"{wide * at / (len(losses) - 1):.1f},{high - high * min(loss / top, 1):.1f}" for at, loss in enumerate(losses)
    )
    tenth = max(len(losses) // 10, 1)
    first, last = sum(losses[:tenth]) / tenth, sum(losses[-tenth:]) / tenth
    said = words("tunes.loss", first=f"{first:.3f}", last=f"{last:.3f}")
    line = Markup('<polyline points="{}" fill="none" vector-effect="non-scaling-stroke"/>').format(points)
    drawn = el("svg", line, viewBox=f"0 -2 {wide} {high + 4}", preserveAspectRatio="none", role="img", aria_label=said)
    return el("figure", drawn, el("figcaption", said, class_="hint"), class_="plot")


# --- trained ---------------------------------------------------------------------------------------------------------


def _rest(visit: Visit, tune: Tune) -> Markup:
    """The first pictures that wait for credits, and how the tune was made."""
    words = visit.words
    waiting = None
    if tune.styles_left and utc_now() - (tune.trained_at or 0) > AT_ONCE:
        (charge,) = visit.studio.tuning.quote(len(tune.styles_left))[1:]
        price = words.count(f"credit.{charge.kind}", charge.amount)
        label = words("tools.for_price", what=words("tunes.rest"), price=price)
        make = button(label, data_do="tune_rest", data_tune=tune.id, class_="quiet go")
        told = words.count("tunes.left", len(tune.styles_left))
        waiting = el("div", el("p", told), el("span", class_="grow"), make, class_="line card")
    return join(waiting, _made(visit, tune))


def _made(visit: Visit, tune: Tune) -> Markup:
    words = visit.words
    request = visit.studio.job(visit.account, tune.job).request
    rows: list[tuple[str, Any]] = []
    if isinstance(request, TuneRequest):
        rows = [
            (words("tunes.photos"), len(request.photos)),
            (words("form.base"), tune.base),
            (words("new.steps"), tune.recipe.get("steps", request.steps)),
            (words("new.rank"), tune.recipe.get("rank", request.rank)),
            (words("form.seed"), request.seed),
            (words("new.caption"), request.caption),
            (words("tunes.called"), tune.recipe.get("subject")),
            (words("new.policy"), words(f"policy.{tune.policy.replace('-', '_')}")),
        ]
    pairs = [part for name, value in rows if value not in (None, "") for part in (el("dt", name), el("dd", str(value)))]
    summary = el("summary", icon("right"), words("tunes.how"))
    return el("details", summary, el("div", el("dl", *pairs), plotted(words, tune.losses), class_="how"), class_="fold")
