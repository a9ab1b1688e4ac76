"""`tune train | pause | resume | list | show`: a likeness from a folder of photos, and what there is of them."""

import re
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

from studio import answers
from studio.cli.jobs import at
from studio.cli.opening import opened
from studio.cli.output import Answer, Unfinished, note, table
from studio.cli.photos import in_folder, text_of
from studio.cli.waiting import cancelled_when_stopped, is_known, wait
from studio.domain import ENDED, Charge, Conflict, Job, Refused, Tune, TuneRequest
from studio.photo_report import check_choices
from studio.rules import job_id as checked_id
from studio.rules import new_id, whole
from studio.service import Studio
from studio.tunes import CONSENT, LEAST_PHOTOS, MOST_PHOTOS, Box
from studio.tuning import STATEMENT

GIVEN = ("base", "steps", "rank", "seed", "caption", "text_encoder", "prior", "mirrored", "policy")


def train(args: Namespace) -> Answer:
    """Raises what `Tuning.train` does, Refused (no consent, no folder), and Unfinished.

    A training of that id that has not ended goes on at once: its photos were looked at when it began.
    """
    job_id = new_id() if args.id is None else checked_id(args.id)
    account = args.account
    if not args.consent:
        raise Refused(
            f"Nothing is trained without consent. If this is so, say --consent: {STATEMENT}",
            field="consent",
            allowed="--consent",
        )
    fields: dict[str, object] = {field: value for field in GIVEN if (value := getattr(args, field)) is not None}
    fields |= {"name": args.name, "class_name": args.class_name, "consent": CONSENT}
    if args.styles is not None:
        fields["styles"] = [one for one in re.split(r"[,\s]+", args.styles) if one]
    check_choices(args.class_name, args.photos, args.crop)
    files, _skipped = in_folder(args.photos_dir)
    with opened(args) as studio:
        job = _unfinished(studio, account, job_id, fields)
        if job is None:
            # 1. What is wrong is told before anything is charged: the request, then the photos.
            unseen = [f"photo-{number}" for number in range(len(files))]
            if LEAST_PHOTOS <= len(files) <= MOST_PHOTOS:
                studio.tuning.check(fields | {"photos": unseen})
            files, fields["crops"] = _checked(studio, args, files)
            request = studio.tuning.check(fields | {"photos": unseen[: len(files)]})
            training, *avatars = studio.tuning.quote(len(request.styles))
            follow = f", and then the avatars {_cost(*avatars)}" if avatars else ""
            note(f"The training costs {_cost(training)}{follow}.")

        # 2. The training, seen through to its end.
        with cancelled_when_stopped(studio, account, job_id):
            job = job or studio.tuning.train(account, fields, files, job_id=job_id)
            note(f"Job {job.id}, {_cost(*job.charges)}.")
            if not job.ended:
                wait(studio, account, job_id)
        # 3. The avatars that follow by themselves.
        return _ended(args, studio, job_id)


def resume(args: Namespace) -> Answer:
    """Goes on with a paused training and sees it through. Raises what `Tuning.resume` does, and Unfinished."""
    with opened(args) as studio:
        job_id = studio.tuning.resume(args.account, args.id).job
        with cancelled_when_stopped(studio, args.account, job_id):
            wait(studio, args.account, job_id)
        return _ended(args, studio, job_id)


def pause(args: Namespace) -> Answer:
    """Raises what `Tuning.pause` does."""
    with opened(args) as studio:
        tune = studio.tuning.pause(args.account, args.id)
    return Answer(body=answers.of_tune(tune), text=f"{tune.name} is {tune.state}. See: tune resume {tune.id}")


def _cost(*charges: Charge) -> str:
    return answers.in_words({charge.kind: charge.amount for charge in charges})


def _unfinished(studio: Studio, account: str, job_id: str, fields: Mapping[str, object]) -> Job | None:
    """The training of that id where it has begun and not ended. Raises Conflict where it is one of other settings."""
    if not is_known(studio, account, job_id):
        return None
    job = studio.job(account, job_id)
    if job.ended:
        return None
    begun = job.request
    if not isinstance(begun, TuneRequest) or TuneRequest.from_json({**begun.to_json(), **fields}) != begun:
        raise Conflict("This id already belongs to another job.", field="id", allowed="a new UUID")
    return job


def _ended(args: Namespace, studio: Studio, job_id: str) -> Answer:
    """The answer for a training that was waited for, with the avatars that follow it. Raises Unfinished."""
    job = studio.job(args.account, job_id)
    tune = studio.tuning.of_job(args.account, job_id)
    made = _first_avatars(studio, tune) if job.state == "done" and not args.no_avatars else []
    kept = studio.counter.plan(args.account).keeps_tunes
    return _answer(job, studio.tuning.get(args.account, tune.id), made, kept=kept)


def _checked(studio: Studio, args: Namespace, files: list[Path]) -> tuple[list[Path], list[Box | None]]:
    """The photos that are trained on and the part of each. Raises Refused where the set is not good enough."""
    report = studio.check_photos(args.account, files, class_name=args.class_name, nature=args.photos, crop=args.crop)
    note(text_of(report))
    kept = report.to_train(leave_out_bad=args.leave_out_bad)
    return [files[index] for index in kept], [report.photos[index].crop for index in kept]


def _first_avatars(studio: Studio, tune: Tune) -> list[answers.Answer]:
    """Sees a tune's first avatars through, and names their files."""
    made: list[answers.Answer] = []
    for job in studio.tuning.first_jobs(tune.account, tune.id):
        with cancelled_when_stopped(studio, tune.account, job.id):
            if not job.ended:
                wait(studio, tune.account, job.id)
        for picture in studio.gallery.of_job(tune.account, job.id):
            made.append(answers.of_picture(picture, str(studio.gallery.file(tune.account, picture.id))))
    return made


def list_tunes(args: Namespace) -> Answer:
    with opened(args) as studio:
        tunes = studio.tuning.all(args.account, limit=whole("limit", args.limit, 1, 1000))
        kept = studio.counter.plan(args.account).keeps_tunes
    rows = [(one.id, one.name, one.class_name, one.base, one.state, _goes(one, kept)) for one in tunes]
    head = ("TUNE", "NAME", "CLASS", "BASE", "STATE", "MODEL GOES (UTC)")
    return Answer(
        body={"tunes": [answers.of_tune(one) for one in tunes]},
        text=table([head, *rows]) if rows else "There are no tunes yet. See: tune train --help",
    )


def show(args: Namespace) -> Answer:
    with opened(args) as studio:
        tune = studio.tuning.get(args.account, args.id)
        jobs = [job for job in studio.tuning.first_jobs(args.account, tune.id) if job.state in ENDED]
        pictures = [picture for job in jobs for picture in studio.gallery.of_job(args.account, job.id)]
        made = [answers.of_picture(one, str(studio.gallery.file(args.account, one.id))) for one in pictures]
        kept = studio.counter.plan(args.account).keeps_tunes
    rows = [
        ("id", tune.id),
        ("name", tune.name),
        ("class", tune.class_name),
        ("base", tune.base),
        ("state", tune.state),
        ("trained", at(tune.trained_at)),
        ("model goes", _goes(tune, kept)),
        ("styles left", ", ".join(tune.styles_left) or "-"),
        *(("avatar", one["path"]) for one in made),
    ]
    return Answer(body={**answers.of_tune(tune), "losses": list(tune.losses), "made": made}, text=table(rows))


def _goes(tune: Tune, kept: bool) -> str:
    """When a tune's model goes, in the words of a table; `kept`: by the account's plan."""
    return "kept by the plan" if kept and tune.state == "ready" else at(tune.expires_at)


def _answer(job: Job, tune: Tune, made: list[answers.Answer], *, kept: bool) -> Answer:
    for warning in job.warnings:
        note(f"Warning: {warning}")
    body: answers.Answer = {**answers.of_making(job, made), "tune": tune.id}
    if job.state == "done":
        if tune.styles_left:
            note(f"Avatars in {len(tune.styles_left)} styles wait for credits: {', '.join(tune.styles_left)}.")
        note(f"The tune {tune.name} is {tune.id}; its model goes (UTC): {_goes(tune, kept)}.")
        return Answer(body=body, text="\n".join([tune.id, *(str(one["path"]) for one in made)]))
    if job.state == "paused":
        raise Unfinished(f"It is paused. To go on: tune resume {tune.id}", body=body)
    body["charged"] = answers.charged(job)
    if job.state == "failed":
        raise Unfinished(job.error or "It failed.", field=job.error_field, allowed=job.error_allowed, body=body)
    raise Unfinished("Cancelled. Nothing was charged.", body=body)
