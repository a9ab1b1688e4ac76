"""The Jobs tab: what runs, what waits, what has ended, and what to do where something failed."""

import gradio as gr
from markupsafe import Markup

from studio.domain import ExportRequest, ImageRequest, ImportRequest, Job, TuneRequest
from studio.ui import tool_results, views
from studio.ui.html import button, el, html, join, moment
from studio.ui.visit import Visit
from studio.ui.words import Words

MOST_ENDED = 30  # ended jobs that are shown


def laid_out() -> gr.HTML:
    return html("jobs")


def shown(visit: Visit) -> Markup:
    """Running and waiting jobs in the order of the queue, then what has ended, newest first."""
    words = visit.words
    active = visit.studio.active_jobs(visit.account)
    ended = [job for job in visit.studio.jobs(visit.account, limit=MOST_ENDED + len(active)) if job.ended]
    if not active and not ended:
        action = button(words("gallery.go"), data_tab="playground", class_="quiet")
        return join(views.empty(words, "jobs.empty", "clock", action), _for_programs(words))
    parts: list[Markup] = []
    if active:
        parts.append(el("h2", words("jobs.active", n=len(active))))
        parts.append(el("ol", *(_active(visit, job, place) for place, job in enumerate(active)), class_="joblist"))
    else:
        parts.append(el("p", words("jobs.none_active"), class_="hint"))
    if ended:
        parts += [el("h2", words("jobs.ended")), el("ol", *(_ended(visit, job) for job in ended), class_="joblist")]
    return join(*parts, _for_programs(words))


def _for_programs(words: Words) -> Markup:
    """The way to Gradio's view of the API, which has no other on a page without Gradio's footer."""
    return el("p", words("jobs.api_hint"), " ", el("a", words("jobs.api"), href="?view=api"), class_="hint")


def _active(visit: Visit, job: Job, place: int) -> Markup:
    words = visit.words
    return el(
        "li",
        el("div", views.state(words, job), el("span", views.title_of(visit, job), class_="title"), class_="line"),
        views.bar(words, job) if job.state == "running" else None,
        el(
            "div",
            el("span", views.progress(words, job, place), class_="said"),
            el("span", views.price(words, job), class_="hint"),
            el("span", class_="grow"),
            views.thumbs(words, visit.studio.gallery.of_job(visit.account, job.id)),
            _look(visit, job),
            views.cancel(words, job),
            class_="line",
        ),
        data_job=job.id,
    )


def _ended(visit: Visit, job: Job) -> Markup:
    words = visit.words
    again = tool_results.again(visit, job)
    if isinstance(job.request, ImageRequest) and job.request.tune is None:
        again = button(words("job.settings"), icon_name="again", data_do="reuse_job", data_job=job.id, class_="quiet")
    return el(
        "li",
        el("div", views.state(words, job), el("span", views.title_of(visit, job), class_="title"), class_="line"),
        views.outcome(words, job),
        el(
            "div",
            el("span", _told(visit, job), class_="hint"),
            el("span", class_="grow"),
            views.thumbs(words, visit.studio.gallery.of_job(visit.account, job.id)),
            _look(visit, job) if job.delivered else None,
            again,
            class_="line",
        ),
        data_job=job.id,
    )


def _told(visit: Visit, job: Job) -> Markup:
    """When it ended, what it has cost and brought, and how long it took."""
    words = visit.words
    told = [views.price(words, job)]
    if not isinstance(job.request, TuneRequest | ExportRequest | ImportRequest):  # of these one thing comes, no picture
        told.append(words("job.delivered", n=job.delivered, of=job.request.pictures))
    return join(moment(job.ended_at or job.created_at), *(f" · {one}" for one in (*told, words.seconds(job.seconds))))


def _look(visit: Visit, job: Job) -> Markup:
    """The way to where the job is shown: the page of its tune, the Playground, or the tab of its tool."""
    words = visit.words("job.look")
    if (tune := views.tune_of(visit, job)) is not None:
        return button(words, icon_name="smile", data_do="tune_open", data_place=tune, class_="quiet")
    do = "look" if isinstance(job.request, ImageRequest) else "look_tool"
    return button(words, icon_name="picture", data_do=do, data_job=job.id, class_="quiet")
