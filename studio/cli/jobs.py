"""`jobs list | show | cancel`."""

from argparse import Namespace
from datetime import UTC, datetime

from studio import answers
from studio.cli.opening import opened
from studio.cli.output import Answer, table
from studio.domain import ImageRequest, Job
from studio.rules import whole


def list_jobs(args: Namespace) -> Answer:
    with opened(args) as studio:
        jobs = studio.jobs(args.account, limit=whole("limit", args.limit, 1, 1000))
    rows = [("ID", "STATE", "ASKED (UTC)", "PICTURES", "PRICE", "WHAT"), *map(_row, jobs)]
    return Answer(
        body={"jobs": [answers.of_job(job) for job in jobs]}, text=table(rows) if jobs else "There are no jobs yet."
    )


def show(args: Namespace) -> Answer:
    with opened(args) as studio:
        job = studio.job(args.account, args.id)
        pictures = studio.gallery.of_job(args.account, args.id)
        made = [answers.of_picture(one, str(studio.gallery.file(args.account, one.id))) for one in pictures]
    return Answer(body={**answers.of_job(job), "made": made}, text=_words(job, [str(one["path"]) for one in made]))


def cancel(args: Namespace) -> Answer:
    with opened(args) as studio:
        before = studio.job(args.account, args.id)
        job = studio.cancel(args.account, args.id)
    if before.ended:
        text = f"It had ended already: {job.state}."
    elif job.ended:
        text = f"Cancelled. It cost {answers.in_words(answers.charged(job))}."
    else:
        text = "It stops at its next step."
    return Answer(body=answers.of_job(job), text=text)


def at(moment: int | None) -> str:
    """A moment in UTC, to the second."""
    return "-" if moment is None else datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _row(job: Job) -> tuple[object, ...]:
    what = _what(job)
    return (
        job.id,
        job.state,
        at(job.created_at),
        f"{job.delivered} of {job.request.pictures}",
        sum(charge.amount for charge in job.charges),
        what if len(what) <= 50 else f"{what[:47]}...",
    )


def _what(job: Job) -> str:
    """The prompt on one line, or what else is done."""
    return " ".join(job.request.prompt.split()) if isinstance(job.request, ImageRequest) else job.request.kind


def _words(job: Job, files: list[str]) -> str:
    rows = [
        ("id", job.id),
        ("state", job.state),
        ("what", _what(job)),
        ("asked", at(job.created_at)),
        ("ended", at(job.ended_at)),
        ("progress", f"{job.step} of {job.steps} steps, {job.delivered} of {job.request.pictures} pictures"),
        ("price", answers.in_words({charge.kind: charge.amount for charge in job.charges})),
        ("charged", answers.in_words(answers.charged(job))),
    ]
    rows += [("error", job.error)] if job.error else []
    rows += [("warning", warning) for warning in job.warnings]
    rows += [("picture", file) for file in files]
    return table(rows)
