"""The endpoints of tunes: photos looked at, a training queued, what there is, and pictures of a tune."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import gradio as gr
from gradio.data_classes import FileData

from studio import answers
from studio.domain import Refused
from studio.photo_report import CropMode, Nature, check_choices
from studio.rules import flag, job_id, whole
from studio.rules import name as checked_name
from studio.service import Studio
from studio.tunes import CONSENT, LEAST_PHOTOS, MOST_PHOTOS
from studio.tuning import STATEMENT
from studio.ui.api import offer, sides_of, uploaded
from studio.ui.visit import Visit, told, visit_of

MOST_LISTED = 200


def add(studio: Studio) -> None:
    """Adds the endpoints to the page that is being laid out."""

    def tune_check(
        files: list[FileData],
        class_name: str = "person",
        photos: str = "auto",
        crop: str = "face",
        request: gr.Request = None,  # type: ignore[assignment]
    ) -> dict:
        """Looks at photos for a tune, which takes seconds and costs nothing. Answers with a verdict on each, whether
        the training may_start on them, and which to leave_out.

        Args:
            files: 1 to 30 uploaded photos: JPEG, PNG, WebP or HEIF of at most 50 megapixels each.
            class_name: what is on them: person, man, woman, boy, girl, couple, dog, cat or object.
            photos: auto, real or drawn; on drawn ones nobody looks for faces.
            crop: face, centre or none: which part of each would be learned.
        """
        visit = visit_of(studio, request)
        with told(visit):
            check_choices(class_name, photos, crop)
            report = studio.check_photos(
                visit.account,
                handed(files, least=1),
                class_name=class_name,
                nature=cast(Nature, photos),
                crop=cast(CropMode, crop),
            )
            return report.to_json()

    def tune_train(
        files: list[FileData],
        name: str,
        class_name: str = "person",
        consent: bool = False,
        base: str = "starter",
        steps: int | None = None,
        styles: list[str] | None = None,
        photos: str = "auto",
        crop: str = "face",
        leave_out_bad: bool = False,
        rank: int | None = None,
        seed: int | None = None,
        caption: str = "",
        text_encoder: bool | None = None,
        prior: bool = True,
        mirrored: bool = True,
        policy: str = "keep-avatars",
        id: str | None = None,
        request: gr.Request = None,  # type: ignore[assignment]
    ) -> dict:
        """Looks at the photos, then queues the training of a tune on them and holds its price; its first avatars follow
        by themselves, at a credit each. Answers with the job as soon as the photos were seen; ask job for what becomes
        of it, and tunes for the tune.

        Args:
            files: 4 to 30 uploaded photos: JPEG, PNG, WebP or HEIF of at most 50 megapixels each.
            name: how the tune is called, 1 to 80 characters.
            class_name: what is on the photos: person, man, woman, boy, girl, couple, dog, cat or object.
            consent: true says that you may use the photos and that everybody on them has agreed to this.
            base: the id of a base model that is on this machine.
            steps: of the training, 10 to 10000; left out, as the base likes it.
            styles: ids of styles for the first avatars, at most 8; left out, those of the base; an empty list for none.
            photos: auto, real or drawn; on drawn ones nobody looks for faces.
            crop: face, centre or none: which part of each photo is learned.
            leave_out_bad: true trains on the good photos alone.
            rank: of the LoRA, 1 to 128; left out, as the base likes it.
            seed: 0 to 4294967295; left out, drawn.
            caption: what all photos share and is not the person, at most 2000 characters.
            text_encoder: whether it learns too; left out, as the base likes it.
            prior: false trains without the base's own pictures of the class, which keep it from forgetting the rest.
            mirrored: false where left and right of the subject differ.
            policy: keep-avatars or delete-all: what goes with the model when its time is over.
            id: a UUID of your own; the same id with the same request is the same job.
        """
        visit = visit_of(studio, request)
        with told(visit):
            fields: dict[str, object] = {
                "base": base, "steps": steps, "rank": rank, "seed": seed, "caption": caption,
                "text_encoder": text_encoder, "prior": prior, "mirrored": mirrored, "policy": policy,
                "name": name, "class_name": class_name, "consent": CONSENT,
            }  # fmt: skip
            if styles is not None:
                fields["styles"] = styles
            if not flag("consent", consent):
                raise Refused(f"Nothing is trained without consent: {STATEMENT}", field="consent", allowed="true")
            return _trained(visit, files, fields, photos, crop, flag("leave_out_bad", leave_out_bad), id)

    def tunes(limit: int = 50, before: str | None = None, request: gr.Request = None) -> dict:  # type: ignore[assignment]
        """A page of tunes, newest first: each with its state (waiting, training, paused, ready, failed, cancelled), its
        job, the losses of its training, and when its model goes.

        Args:
            limit: how many, 1 to 200.
            before: the id of the last tune of the page before; left out, the newest.
        """
        visit = visit_of(studio, request)
        with told(visit):
            found = studio.tuning.all(
                visit.account,
                limit=whole("limit", limit, 1, MOST_LISTED),
                before=None if before is None else job_id(before, field="before"),
            )
            return {"tunes": [answers.of_tune(one) | {"losses": list(one.losses)} for one in found]}

    def avatars(
        tune: str,
        style: str | None = None,
        prompt: str = "",
        negative: str = "",
        base: str | None = None,
        size: str | None = None,
        steps: int | None = None,
        count: int = 8,
        super_resolution: bool = False,
        face_enhance: bool = False,
        guidance: float | None = None,
        scheduler: str | None = None,
        seed: int | None = None,
        strength: float = 1.0,
        id: str | None = None,
        request: gr.Request = None,  # type: ignore[assignment]
    ) -> dict:
        """Queues pictures of a tune and holds their price: a tune-image credit each, and playground credits for the
        tools that work on them. Answers at once with the job; ask job for what becomes of it.

        Args:
            tune: the id of a tune that is ready.
            style: the id of a style; left out, none.
            prompt: what the sitter does and where, at most 2000 characters; {subject} stands for the sitter.
            negative: what should not be seen, at most 2000 characters.
            base: the id of another base that its weights fit; left out, the one it was trained on.
            size: width and height in pixels as 512x768; left out, as the base likes it.
            steps: how many steps, 1 to 150; left out, as the base likes it.
            count: how many pictures, 1 to 8.
            super_resolution: true doubles the sides of each picture.
            face_enhance: true makes the faces on each picture clearer; where none is found that is not charged.
            guidance: how closely the prompt is followed, 0 to 30; left out, as the base likes it.
            scheduler: the id of one that the base takes; left out, its first.
            seed: 0 to 4294967295; left out, drawn. The second picture has the next seed, and so on.
            strength: how much of the tune there is in the picture, 0 to 2.
            id: a UUID of your own; the same id with the same request is the same job.
        """
        visit = visit_of(studio, request)
        with told(visit):
            fields: dict[str, object] = {
                "style": style, "prompt": prompt, "negative": negative, "count": count, "guidance": guidance,
                "scheduler": scheduler, "seed": seed, "super_resolution": super_resolution,
                "face_enhance": face_enhance, "tune_strength": strength,
                **({} if base is None else {"base": base}), **({} if size is None else sides_of(size)),
                **({} if steps is None else {"steps": steps}),
            }  # fmt: skip
            return answers.of_job(studio.tuning.avatars(visit.account, tune_of(tune), fields, job_id=id))

    for endpoint in (tune_check, tune_train, tunes, avatars):
        offer(endpoint)


def _trained(
    visit: Visit, files: Any, fields: Mapping[str, object], photos: Any, crop: Any, leave_out_bad: bool, job_id: Any
) -> dict[str, object]:
    """Raises what `Studio.check_photos` and `Tuning.train` do."""
    studio = visit.studio
    # 1. What can be told without looking at a photo.
    check_choices(str(fields["class_name"]), photos, crop)
    paths = handed(files, least=LEAST_PHOTOS)
    studio.tuning.check({**fields, "photos": [f"photo-{number}" for number in range(len(paths))]})

    # 2. The photos: those that are trained on, and the part of each.
    report = studio.check_photos(visit.account, paths, class_name=str(fields["class_name"]), nature=photos, crop=crop)
    kept = report.to_train(leave_out_bad=leave_out_bad)

    # 3. The training.
    crops = [report.photos[index].crop for index in kept]
    chosen = [paths[index] for index in kept]
    job = studio.tuning.train(visit.account, {**fields, "crops": crops}, chosen, job_id=job_id)
    return {**answers.of_job(job), "tune": studio.tuning.of_job(visit.account, job.id).id}


def handed(files: Any, *, least: int) -> list[Path]:
    """The paths of so many uploaded photos. Raises Refused."""
    allowed = f"{least} to {MOST_PHOTOS} uploaded photos"
    if not isinstance(files, Sequence) or isinstance(files, str) or not least <= len(files) <= MOST_PHOTOS:
        raise Refused("files must be a list of uploaded photos.", field="files", allowed=allowed)
    paths = [uploaded("files", file) for file in files]
    if None in paths:
        raise Refused(f"File {paths.index(None) + 1} is missing.", field="files", allowed=allowed)
    return [path for path in paths if path is not None]


def tune_of(tune: Any) -> str:
    """The id as it came, checked by its rule. Raises Refused."""
    return checked_name("tune", tune)
