"""The endpoints of the tools: many pictures at once, answered at once with a job; what cannot be read is named."""

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr
from gradio.data_classes import FileData

from studio import answers
from studio.domain import NotFound, Refused, StudioError
from studio.service import Studio
from studio.tools import MOST_UPLOADS, PICTURE
from studio.ui.api import offer, uploaded
from studio.ui.visit import Visit, told, visit_of


def add(studio: Studio) -> None:
    """Adds the endpoints to the page that is being laid out."""

    def upscale(
        files: list[FileData],
        scale: int = 4,
        model: str = "auto",
        id: str | None = None,
        request: gr.Request = None,  # type: ignore[assignment]
    ) -> dict:
        """Queues making pictures larger and holds the price of all; only what comes out is charged. Answers at once
        with the job and, as errors, with what was said of files that cannot be read.

        Args:
            files: 1 to 200 uploaded pictures: JPEG, PNG, WebP or HEIF of at most 50 megapixels each.
            scale: how many times the sides, 2 or 4.
            model: auto (photo or drawing, by the picture), or the id of one that is on this machine.
            id: a UUID of your own; the same id with the same request is the same job.
        """
        return _done(visit_of(studio, request), "upscale", files, {"scale": scale, "model": model}, id)

    def face_enhance(
        files: list[FileData],
        strength: float = 0.8,
        model: str = "auto",
        id: str | None = None,
        request: gr.Request = None,  # type: ignore[assignment]
    ) -> dict:
        """Queues making faces clearer and holds the price of all pictures; one without a face is not charged. Answers
        at once with the job and, as errors, with what was said of files that cannot be read.

        Args:
            files: 1 to 200 uploaded pictures: JPEG, PNG, WebP or HEIF of at most 50 megapixels each.
            strength: how much of the new face goes over the old one, 0.05 to 1; lowered where it must be.
            model: auto (the best that is here), gfpgan or realesrgan.
            id: a UUID of your own; the same id with the same request is the same job.
        """
        return _done(visit_of(studio, request), "face", files, {"strength": strength, "model": model}, id)

    def remove_background(
        files: list[FileData],
        model: str = "u2netp",
        matting: bool = False,
        on: str = "transparent",
        behind: FileData | None = None,
        id: str | None = None,
        request: gr.Request = None,  # type: ignore[assignment]
    ) -> dict:
        """Queues cutting pictures out of their background and holds the price of all; only what comes out is charged.
        Answers at once with the job and, as errors, with what was said of files that cannot be read.

        Args:
            files: 1 to 200 uploaded pictures: JPEG, PNG, WebP or HEIF of at most 50 megapixels each.
            model: the id of one that is on this machine.
            matting: true makes edges of hair and fur finer, and takes longer.
            on: transparent, blur, picture, or a colour as #rrggbb or by its name.
            behind: an uploaded picture to put the others on; only where on is picture.
            id: a UUID of your own; the same id with the same request is the same job.
        """
        given = {
            "model": model,
            "matting": matting,
            "on": PICTURE if behind is not None and on == "transparent" else on,
        }
        return _done(visit_of(studio, request), "background", files, given, id, behind)

    for endpoint in (upscale, face_enhance, remove_background):
        offer(endpoint)


def _done(
    visit: Visit, kind: str, files: Any, fields: Mapping[str, object], job_id: Any, behind: Any = None
) -> dict[str, object]:
    with told(visit):
        return submitted(visit, kind, files, fields, job_id, behind)


def submitted(
    visit: Visit, kind: str, files: Any, fields: Mapping[str, object], job_id: str | None, behind: Any
) -> dict[str, object]:
    """Takes the files in and queues the tool on those that can be read. Raises what `Workshop` does, and the first
    file's own error where none can be read."""
    workshop, account = visit.studio.workshop, visit.account
    # 1. What is wrong with all of it.
    if not isinstance(files, Sequence) or isinstance(files, str) or not 1 <= len(files) <= MOST_UPLOADS:
        raise Refused("files must be a list of uploaded pictures.", field="files", allowed=f"1 to {MOST_UPLOADS}")
    workshop.check(kind, fields, behind=behind is not None)

    # 2. The files, one after the other.
    taken: list[str] = []
    errors: list[tuple[str, StudioError]] = []
    try:
        for number, file in enumerate(files, 1):
            path = uploaded("files", file)
            if path is None:
                raise Refused(f"File {number} is missing.", field="files", allowed="an uploaded picture")
            name = str((file.get("orig_name") if isinstance(file, dict) else file.orig_name) or path.name)
            try:
                taken.append(workshop.take_in(account, path, name=name).upload)
            except (Refused, NotFound) as error:
                errors.append((name, error))
        if not taken:
            raise errors[0][1]

        # 3. The job.
        ground = uploaded("behind", behind)
        kept = workshop.take_in(account, ground, field="behind").upload if ground is not None else None
        job = workshop.submit(account, kind, fields, taken, behind=kept, job_id=job_id)
    except StudioError:
        workshop.drop(account, taken)
        raise
    found = [{"file": name, "error": error.message, "field": error.field} for name, error in errors]
    return {**answers.of_job(job), "errors": found}
