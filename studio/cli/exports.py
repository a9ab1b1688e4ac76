"""`tune export`: a tune as a file for other programs."""

from argparse import Namespace
from pathlib import Path

from studio import answers
from studio.cli.opening import opened
from studio.cli.out_folder import OutFolder
from studio.cli.output import Answer, Unfinished, note
from studio.cli.waiting import cancelled_when_stopped, is_known, wait
from studio.domain import Export, ExportRequest, Job, StorageFailed
from studio.export_request import file_name
from studio.paths import named
from studio.rules import job_id as checked_id
from studio.rules import new_id
from studio.service import Studio


def export(args: Namespace) -> Answer:
    """Raises what `Exports.export` does, StorageFailed and Conflict (the file), and Unfinished."""
    job_id = new_id() if args.id is None else checked_id(args.id)
    account, tune, form = args.account, args.tune, args.format
    with opened(args) as studio:
        # 1. What can be wrong with the request, then with the place, is told before anything is made.
        request = ExportRequest(tune=tune, format=form)
        target = _target(studio, account, request, args.out)
        out = OutFolder(target.parent, [target.name], overwrite=args.overwrite)
        with out.ready(made_before=is_known(studio, account, job_id)):
            # 2. The job, seen through to its end.
            with cancelled_when_stopped(studio, account, job_id):
                job = studio.exports.export(account, tune, form, job_id=job_id)
                note(f"Job {job.id}; an export costs nothing.")
                if not job.ended:
                    wait(studio, account, job_id)
            job = studio.job(account, job_id)
            if job.state != "done":
                raise _unfinished(job)

            # 3. A copy where it is wanted.
            made, file = studio.exports.get(account, job_id), studio.exports.file(account, job_id)
            try:
                (path,) = out.take([(0, file)])
            except StorageFailed as error:
                raise _not_put_there(error, job) from error
    return Answer(body=_body(job, made, path), text=str(path))


def _target(studio: Studio, account: str, request: ExportRequest, words: str) -> Path:
    """The file that `--out` names; in a folder that is there, one that is called by the tune."""
    path, tune = named("out", words), studio.tuning.get(account, request.tune)
    return path / file_name(tune.name, request.format) if path.is_dir() else path


def _body(job: Job, made: Export, path: Path) -> answers.Answer:
    return {
        "job": job.id,
        "tune": made.tune,
        "format": made.format,
        "path": str(path),
        "bytes": made.bytes,
        "sha256": made.sha256,
        "seconds": round(job.seconds, 3),
        "expires_at": made.expires_at,
    }


def _unfinished(job: Job) -> Unfinished:
    body: answers.Answer = {"job": job.id, "seconds": round(job.seconds, 3)}
    if not job.ended:
        return Unfinished(f"It stops at its next step. See: jobs show {job.id}", body=body)
    if job.state == "failed":
        return Unfinished(job.error or "It failed.", field=job.error_field, allowed=job.error_allowed, body=body)
    return Unfinished("Cancelled. No file was made.", body=body)


def _not_put_there(error: StorageFailed, job: Job) -> Unfinished:
    return Unfinished(
        f"{error.message} The file is in the studio for 24 hours; the same command with --id {job.id} puts it where "
        "you say.",
        field=error.field,
        allowed=error.allowed,
        body={"job": job.id},
    )
