"""A tune as a file for other programs: five forms, each made when it is asked for and there for a day."""

import uuid
from collections.abc import Mapping

from markupsafe import Markup

from studio.domain import Export, ExportRequest, Job, StudioError, Tune
from studio.ui import views
from studio.ui.html import button, el, icon, moment
from studio.ui.visit import Visit, text_of
from studio.ui.words import Words

NEWEST = 50  # jobs among which those of exports are looked for


def shown(visit: Visit, tune: Tune) -> Markup:
    """A row for each form: what it is for, and the way to the file."""
    words = visit.words
    if tune.state != "ready":
        return Markup("")
    try:
        formats = visit.studio.exports.formats(visit.account, tune.id)
        made = visit.studio.exports.of_tune(visit.account, tune.id)
    except StudioError as error:  # its base is not here any more
        return el("p", words.sentence(error), class_="hint")
    files = {one.format: one for one in reversed(made)}
    jobs = newest_jobs(visit, tune)
    rows = [_row(words, tune, form, files.get(form), jobs.get(form)) for form in formats]
    return el(
        "section",
        el("h2", words("tunes.downloads")),
        el("p", words("tunes.downloads_info"), class_="hint"),
        el("ul", *rows, class_="rows"),
    )


def newest_jobs(visit: Visit, tune: Tune) -> dict[str, Job]:
    """The newest export job of each form."""
    found: dict[str, Job] = {}
    for job in visit.studio.jobs(visit.account, limit=NEWEST):
        request = job.request
        if isinstance(request, ExportRequest) and request.tune == tune.id:
            found.setdefault(request.format, job)
    return found


def ask(visit: Visit, data: Mapping[str, object]) -> None:
    """Queues an export. Raises StudioError."""
    visit.studio.exports.export(
        visit.account, text_of(data, "tune"), text_of(data, "format"), job_id=text_of(data, "job")
    )


def _row(words: Words, tune: Tune, form: str, file: Export | None, job: Job | None) -> Markup:
    told = el(
        "span", el("strong", words(f"export.{form}")), " ", el("span", words(f"export_info.{form}"), class_="hint")
    )
    fault = None
    if file is not None:
        size = words("tunes.megabytes", n=words.decimal(file.bytes / 1e6))
        link = el(
            "a", icon("download"), el("span", f"{words('picture.download')} · {size}"),
            href=f"media/exports/{file.job}", download=file.name, class_="quiet",
        )  # fmt: skip
        acts = [el("span", words("tunes.until"), " ", moment(file.expires_at), class_="hint"), link]
    elif job is not None and not job.ended:
        acts = [el("span", words("job.percent", n=views.percent(job)), class_="hint"), views.state(words, job)]
        acts.append(views.cancel(words, job) or Markup(""))
    else:
        if job is not None and job.state == "failed":
            fault = views.outcome(words, job)
        # The same click again is the same job; after that one has ended it is another.
        ticket = str(uuid.uuid5(uuid.UUID(tune.id), f"{form} {job.id if job else ''}"))
        acts = [
            button(
                words("tunes.make_file"), data_do="tune_export", data_tune=tune.id, data_format=form, data_job=ticket,
                aria_label=f"{words('tunes.make_file')}: {words(f'export.{form}')}", class_="quiet",
            )
        ]  # fmt: skip
    return el("li", told, el("span", class_="grow"), *acts, fault, class_="line")
