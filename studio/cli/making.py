"""`generate` and `avatars`: from a prompt to files in a folder; what it costs is said before and after."""

from argparse import Namespace
from collections.abc import Callable, Sequence
from contextlib import nullcontext

from studio import answers
from studio.cli.opening import opened
from studio.cli.out_folder import OutFolder
from studio.cli.output import Answer, Unfinished, note
from studio.cli.waiting import cancelled_when_stopped, is_known, wait
from studio.domain import ImageRequest, Job, Size, StorageFailed
from studio.paths import named
from studio.rules import job_id as checked_id
from studio.rules import new_id
from studio.service import Studio


def generate(args: Namespace) -> Answer:
    """Raises what `Studio.generate` does, StorageFailed and Conflict (the folder), and Unfinished."""
    fields = _fields(args)
    init, mask = (
        None if file is None else named(field, file) for field, file in (("init", args.init), ("mask", args.mask))
    )
    with opened(args) as studio:
        request = studio.check(fields, init=init is not None, mask=mask is not None)
        return _made(
            args,
            studio,
            request,
            lambda job_id: studio.generate(args.account, fields, init=init, mask=mask, job_id=job_id),
        )


def avatars(args: Namespace) -> Answer:
    """Raises what `Tuning.avatars` does, StorageFailed and Conflict (the folder), and Unfinished."""
    given = ("negative", "style", "prompt", "base", "steps", "guidance", "scheduler", "seed", "count")
    fields: dict[str, object] = {field: value for field in given if (value := getattr(args, field)) is not None}
    fields |= {"super_resolution": args.super_resolution, "face_enhance": args.face_enhance}
    fields["tune_strength"] = args.strength
    if args.size is not None:
        size = Size.parse(args.size)
        fields |= {"width": size.width, "height": size.height}
    with opened(args) as studio:
        request = studio.tuning.check_avatars(args.account, args.tune, fields)
        return _made(
            args,
            studio,
            request,
            lambda job_id: studio.tuning.avatars(args.account, args.tune, fields, job_id=job_id),
        )


def _made(args: Namespace, studio: Studio, request: ImageRequest, submit: Callable[[str], Job]) -> Answer:
    """A checked request as a job that is seen through to its end, and its pictures in the folder."""
    job_id = new_id() if args.id is None else checked_id(args.id)
    # 1. What can be wrong with the folder is told before anything is charged.
    out = None if args.out is None else OutFolder.of(named("out", args.out), job_id, request, overwrite=args.overwrite)
    with out.ready(made_before=is_known(studio, args.account, job_id)) if out else nullcontext():
        # 2. The job, seen through to its end.
        with cancelled_when_stopped(studio, args.account, job_id):
            job = submit(job_id)
            price = answers.in_words({charge.kind: charge.amount for charge in job.charges})
            note(f"Job {job.id}, {price}.")
            if not job.ended:
                wait(studio, args.account, job_id)

        # 3. What came out goes into the folder.
        job = studio.job(args.account, job_id)
        pictures = studio.gallery.of_job(args.account, job_id)
        files = [studio.gallery.file(args.account, picture.id) for picture in pictures]
        if out:
            try:
                files = out.take([(one.index, file) for one, file in zip(pictures, files, strict=True)])
            except StorageFailed as error:
                raise _not_put_there(error, job, len(pictures)) from error
    made = [answers.of_picture(one, str(file)) for one, file in zip(pictures, files, strict=True)]
    return _answer(job, made)


def _fields(args: Namespace) -> dict[str, object]:
    """The request's fields; what was not given is left to its default."""
    size = Size.parse(args.size)
    given = ("negative", "style", "base", "steps", "guidance", "scheduler", "seed", "count", "strength")
    fields = {field: value for field in given if (value := getattr(args, field)) is not None}
    return {
        **fields,
        "prompt": args.prompt,
        "width": size.width,
        "height": size.height,
        "super_resolution": args.super_resolution,
    }


def _answer(job: Job, made: Sequence[answers.Answer]) -> Answer:
    """The answer for a job that is done. Raises Unfinished for any other."""
    for warning in job.warnings:
        note(f"Warning: {warning}")
    body = answers.of_making(job, made)
    cost = f"{job.delivered} of {job.request.pictures} pictures came out and cost "
    cost += f"{answers.in_words(answers.charged(job))}."
    if job.state == "done":
        note(f"{cost[:1].upper()}{cost[1:]} It took {job.seconds:.1f} seconds.")
        return Answer(body=body, text="\n".join(str(one["path"]) for one in made))
    body["charged"] = answers.charged(job)
    if not job.ended:
        raise Unfinished(f"It stops at its next step. See: jobs show {job.id}", body=body)
    if job.state == "failed":
        note(cost)
        raise Unfinished(job.error or "It failed.", field=job.error_field, allowed=job.error_allowed, body=body)
    raise Unfinished(f"Cancelled. {cost}", body=body)


def _not_put_there(error: StorageFailed, job: Job, pictures: int) -> Unfinished:
    return Unfinished(
        f"{error.message} The {pictures} pictures are in the studio; "
        f"the same command with --id {job.id} puts them where you say, at no cost.",
        field=error.field,
        allowed=error.allowed,
        body={**answers.of_making(job, []), "charged": answers.charged(job)},
    )
