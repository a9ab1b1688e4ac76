"""How jobs and pictures look, wherever on the page they stand."""

from collections.abc import Sequence

from markupsafe import Markup

from studio import answers
from studio.domain import (
    Charge,
    ExportRequest,
    ImageRequest,
    ImportRequest,
    Job,
    NotFound,
    Picture,
    StudioError,
    TuneRequest,
)
from studio.ui.html import button, el, icon, join
from studio.ui.visit import Visit
from studio.ui.words import Words

EXCERPT = 90  # characters of a prompt where there is room for a line
MOST_WHOLE = 4  # pictures of a job that are shown large, and so whole instead of small


def prompt_of(picture: Picture) -> str:
    """The prompt as it was asked."""
    asked = picture.recipe.get("asked")
    told = asked if isinstance(asked, dict) else picture.recipe
    return str(told.get("prompt") or "")


def excerpt(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= EXCERPT else f"{line[: EXCERPT - 1]}…"


def title_of(visit: Visit, job: Job) -> str:
    """What a job is called in a list."""
    words = visit.words
    if isinstance(job.request, ImageRequest):
        asked = excerpt(job.request.prompt)
        return f"{asked} · {visit.style_title(job.request.style)}" if job.request.style else asked
    if isinstance(job.request, TuneRequest):
        return f"{words(f'kind.{job.request.kind}')} · {job.request.name}"
    return words(f"kind.{job.request.kind}")


def tune_of(visit: Visit, job: Job) -> str | None:
    """The tune that a job trains or draws, if it is still there."""
    try:
        if isinstance(job.request, TuneRequest | ImportRequest):
            return visit.studio.tuning.of_job(visit.account, job.id).id
        if isinstance(job.request, ImageRequest | ExportRequest) and job.request.tune is not None:
            return visit.studio.tuning.get(visit.account, job.request.tune).id
    except NotFound:
        pass
    return None


# --- pictures --------------------------------------------------------------------------------------------------------


def pictures(words: Words, shown: Sequence[Picture], *, list_id: str) -> Markup:
    """A grid of pictures of all shapes, to be looked through and selected."""
    cells = [_cell(words, one, source=f"media/pictures/{one.id}/small") for one in shown]
    return el("ul", *cells, class_="pics", id=list_id, data_grid=True)


def made(words: Words, job: Job, done: Sequence[Picture], coming: int) -> Markup:
    """A job's pictures with what can be done with each, and the places of those to come, the first with its preview."""
    few = job.request.pictures <= MOST_WHOLE
    cells = [
        _cell(words, one, source=f"media/pictures/{one.id}.png" if few else f"media/pictures/{one.id}/small", acts=True)
        for one in done
    ]
    cells += [_place(words, job, place, preview=job.preview and not place) for place in range(coming)]
    width, height = _shape(job, done)
    style = f"--w:{width};--h:{height};--n:{len(cells)};"
    return el("ul", *cells, class_="pics", id="made", data_grid=True, style=style)


def _shape(job: Job, done: Sequence[Picture]) -> tuple[int, int]:
    if done:
        return done[0].width, done[0].height
    asked = job.request
    return (asked.width, asked.height) if isinstance(asked, ImageRequest) else (1, 1)


def cell(words: Words, picture: Picture, *, below: Markup) -> Markup:
    """A picture to be opened and starred, with what else can be done below it."""
    return _cell(words, picture, source=f"media/pictures/{picture.id}/small", below=below)


def _cell(words: Words, picture: Picture, *, source: str, acts: bool = False, below: Markup | None = None) -> Markup:
    words_of = excerpt(prompt_of(picture)) or words(f"kind.{picture.kind}")
    drawn = el(
        "img",
        src=source,
        alt=words_of,
        width=picture.width,
        height=picture.height,
        loading="lazy",
        decoding="async",
    )
    opened = el(
        "button",
        drawn,
        type="button",
        class_="open",
        data_view=picture.id,
        aria_label=words("picture.open", prompt=words_of),
    )
    pick = el(
        "label",
        el("input", type="checkbox", data_pick=picture.id, aria_label=words("picture.select", prompt=words_of)),
        icon("check"),
        class_="pick",
    )
    return el(
        "li",
        opened,
        _star(words, picture),
        None if acts or below else pick,
        _actions(words, picture) if acts else below,
        class_="pic",
        data_id=picture.id,
    )


def _place(words: Words, job: Job, place: int, *, preview: object) -> Markup:
    """Where a picture will be. Built as the picture's own cell is, so that one becomes the other without a blink."""
    drawn = None
    if preview:
        drawn = el("img", src=f"media/jobs/{job.id}/preview?step={job.step}", alt=words("job.preview"))
    kind = "pic coming" if preview else "pic coming waiting" if job.state == "running" and not place else "pic coming"
    return el("li", el("button", drawn, type="button", class_="open", disabled=True, tabindex=-1), class_=kind)


def thumbs(words: Words, shown: Sequence[Picture]) -> Markup | None:
    """Pictures on one line, each opening the window for looking through them."""
    cells = [
        el(
            "button",
            el("img", src=f"media/pictures/{one.id}/small", alt="", loading="lazy", decoding="async"),
            type="button",
            data_view=one.id,
            aria_label=words("picture.open", prompt=excerpt(prompt_of(one)) or words(f"kind.{one.kind}")),
        )
        for one in shown
    ]
    return el("span", *cells, class_="thumbs", data_grid=True) if cells else None


def _star(words: Words, picture: Picture) -> Markup:
    return button(
        words("picture.unstar" if picture.favourite else "picture.star"),
        icon_name="star",
        show_label=False,
        class_="star on" if picture.favourite else "star",
        data_do="star",
        data_ids=picture.id,
        data_on="" if picture.favourite else "1",
        aria_pressed="true" if picture.favourite else "false",
    )


def _actions(words: Words, picture: Picture) -> Markup:
    def act(do: str, drawn: str) -> Markup:
        return button(words(f"picture.{do}"), icon_name=drawn, show_label=False, data_do=do, data_ids=picture.id)

    return el(
        "div",
        _seed(words, picture),
        act("reuse", "again"),
        act("vary", "vary") if picture.kind == ImageRequest.kind else None,
        el(
            "a",
            icon("download"),
            href=f"media/pictures/{picture.id}.png?download",
            download=True,
            aria_label=words("picture.download"),
            title=words("picture.download"),
        ),
        act("bin", "trash"),
        class_="acts",
    )


def _seed(words: Words, picture: Picture) -> Markup | None:
    if picture.seed is None:
        return None
    said = words("picture.seed_is", seed=picture.seed)
    return button(said, data_do="seed", data_ids=picture.id, class_="seed", title=words("picture.seed"))


def empty(words: Words, key: str, drawn: str, action: Markup | None = None) -> Markup:
    """What stands where there is nothing yet: what will be here, and the way to it."""
    return el(
        "div", icon(drawn), el("h2", words(f"{key}.title")), el("p", words(f"{key}.text")), action, class_="empty"
    )


# --- jobs ------------------------------------------------------------------------------------------------------------


def percent(job: Job) -> int:
    """How far a job is: its steps while it runs, what was delivered at its end."""
    if job.ended:
        return 100 * job.delivered // max(job.request.pictures, 1)
    return min(99, 100 * job.step // job.steps) if job.steps else 0


def bar(words: Words, job: Job) -> Markup:
    done = percent(job)
    return el(
        "div",
        el("div", style=f"width:{done}%", class_="fill"),
        class_="bar",
        role="progressbar",
        aria_valuenow=done,
        aria_valuemin=0,
        aria_valuemax=100,
        aria_label=words("job.progress"),
    )


def state(words: Words, job: Job) -> Markup:
    """The job's state as a label; one that was asked to stop says so until it has."""
    key = "stopping" if job.cancel_requested and not job.ended else job.state
    return el("span", words(f"state.{key}"), class_=f"state {key}")


def cost(words: Words, charges: Sequence[Charge]) -> str:
    """What something costs, in credits."""
    return ", ".join(words.count(f"credit.{charge.kind}", charge.amount) for charge in charges)


def price(words: Words, job: Job) -> str:
    """What it has cost, or what is held for it."""
    amounts = answers.charged(job) if job.ended else {charge.kind: charge.amount for charge in job.charges}
    said = ", ".join(words.count(f"credit.{kind}", amount) for kind, amount in amounts.items())
    return said if job.ended else words("job.held", price=said)


def progress(words: Words, job: Job, place: int) -> str:
    """`Step 12 of 50 · about 8 s left`, or where in the queue it waits."""
    if job.state == "queued":
        return words("job.next") if place == 0 else words.count("job.waits", place)
    if job.state == "paused":
        return words("job.paused")
    parts = [words("job.percent", n=percent(job))] if job.steps else [words("job.loading")]
    if job.delivered:
        parts.append(words("job.delivered", n=job.delivered, of=job.request.pictures))
    if job.seconds_left is not None:
        parts.append(words("job.left", time=words.seconds(job.seconds_left)))
    return " · ".join(parts)


def cancel(words: Words, job: Job) -> Markup | None:
    if job.ended or job.cancel_requested:
        return None
    return button(words("job.cancel"), icon_name="close", data_do="halt", data_job=job.id, class_="quiet")


def outcome(words: Words, job: Job) -> Markup:
    """What an ended job came to, what it warned of, and what to do where it failed."""
    parts: list[Markup] = []
    if job.state == "failed":
        advice = f"advice.{job.error_field}"
        parts.append(
            el(
                "p",
                words.sentence(StudioError(job.error or "", allowed=job.error_allowed)),
                f" {words(advice)}" if words.has(advice) else None,
                class_="fault",
                role="alert",
            )
        )
    elif job.state == "cancelled":
        parts.append(el("p", words("job.was_cancelled", n=job.delivered, of=job.request.pictures), class_="hint"))
    parts += [el("p", words.said(warning), class_="warn") for warning in job.warnings]
    return join(*parts)
