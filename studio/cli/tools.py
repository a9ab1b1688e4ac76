"""`upscale`, `face`, `background`: a tool over many files, with a report for each; a bad one does not stop the rest."""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from studio import answers
from studio.cli.opening import opened
from studio.cli.out_folder import BYTES_A_PIXEL, OutFolder
from studio.cli.output import Answer, Meter, Unfinished, note
from studio.cli.waiting import cancelled_when_stopped, is_known, wait
from studio.domain import Job, Picture, Refused, StudioError
from studio.paths import named
from studio.rules import job_id as checked_id
from studio.rules import new_id
from studio.service import Studio
from studio.tools import MOST_UPLOADS, PICTURE
from studio.workshop import Piece

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif")  # that are taken of a folder
KEPT = {"upscale": ("scale", "model"), "face": ("strength", "model"), "background": ("model", "matting", "on")}


@dataclass
class Batch:
    """The files of a command, in order, and what was said of those that failed."""

    files: list[Path]
    errors: dict[int, StudioError] = field(default_factory=dict[int, StudioError])

    def fail(self, index: int, error: StudioError) -> None:
        self.errors[index] = error
        # Most sentences begin with the file's name.
        name = self.files[index].name
        note(error.message if name in error.message else f"{name}: {error.message}")

    @property
    def left(self) -> list[int]:
        return [index for index in range(len(self.files)) if index not in self.errors]

    def to_json(self) -> list[answers.Answer]:
        return [
            {"file": str(self.files[index]), "error": error.message, "field": error.field}
            for index, error in sorted(self.errors.items())
        ]


def upscale(args: Namespace) -> Answer:
    return _run("upscale", args, f"x{args.scale}")


def face(args: Namespace) -> Answer:
    return _run("face", args, "face")


def background(args: Namespace) -> Answer:
    return _run("background", args, "cut")


def _run(kind: str, args: Namespace, ending: str) -> Answer:
    """Raises what `Workshop.check` and `submit` do, StorageFailed (the folder), and Unfinished where all is lost."""
    job_id = new_id() if args.id is None else checked_id(args.id)
    account = args.account
    fields = {name: value for name in KEPT[kind] if (value := getattr(args, name)) is not None}
    behind = _behind(fields)
    batch = Batch(_files(args.files))
    with opened(args) as studio:
        # 1. What is wrong with all of it is told before any file is read: the request, the weights, the folder.
        request = studio.workshop.check(kind, fields, behind=behind is not None)
        known = is_known(studio, account, job_id)
        names = _names(batch.files, ending)
        masks = _names(batch.files, "mask") if getattr(args, "mask", False) else []
        out = None
        if args.out is not None:
            out = OutFolder(named("out", args.out), [*names, *masks], overwrite=args.overwrite)
            if not known:
                there = set(out.taken())
                for index in batch.left:
                    clash = [name for name in (names[index], *masks[index : index + 1]) if name in there]
                    if clash:
                        batch.fail(index, out.there(clash[0]))
        with out.ready(made_before=True) if out else nullcontext():  # each file that is there has been told of
            # 2. The files, one after the other. Where nothing comes of them they are dropped again.
            taken: dict[int, str] = {}
            try:
                pixels = _take_in(studio, account, batch, behind, taken)
                if out:
                    out.must_hold(pixels * getattr(request, "scale", 1) ** 2 * BYTES_A_PIXEL)
                if not batch.left:
                    studio.workshop.drop(account, list(taken.values()))
                    return _nothing(batch)
            except BaseException:
                studio.workshop.drop(account, list(taken.values()))
                raise

            # 3. The job, seen through to its end.
            uploads = [taken[index] for index in batch.left]
            order = batch.left
            with cancelled_when_stopped(studio, account, job_id):
                job = studio.workshop.submit(
                    account, kind, fields, uploads, behind=taken.get(len(batch.files)), job_id=job_id
                )
                note(f"Job {job.id}, {answers.in_words({one.kind: one.amount for one in job.charges})}.")
                if not job.ended:
                    wait(studio, account, job_id)

            # 4. What came out goes into the folder; what did not is told.
            job = studio.job(account, job_id)
            made: list[answers.Answer] = []
            for piece in studio.workshop.pieces(account, job_id):
                index = order[piece.index]
                try:
                    made.append(_put(studio, account, piece, index, batch, job, out, with_mask=bool(masks)))
                except StudioError as error:
                    batch.fail(index, error)
    return _answer(job, made, batch)


def _files(given: Sequence[str]) -> list[Path]:
    """The files as they were named; of a folder the pictures that lie in it. Raises Refused."""
    files: list[Path] = []
    for words in given:
        path = named("files", words)
        if path.is_dir():
            inside = sorted(one for one in path.iterdir() if one.suffix.lower() in PICTURES and one.is_file())
            if not inside:
                raise Refused(f"There is no picture in {path}.", field="files", allowed=", ".join(PICTURES))
            files += inside
        else:
            files.append(path)
    files = list(dict.fromkeys(files))
    if len(files) > MOST_UPLOADS:
        raise Refused(
            f"These are {len(files)} pictures; at most {MOST_UPLOADS} are done at once.",
            field="files",
            allowed=f"1 to {MOST_UPLOADS} pictures",
        )
    return files


def _names(files: Sequence[Path], ending: str) -> list[str]:
    """What each file's picture is called: by the file, and by a number too where two are called alike."""
    names: list[str] = []
    for file in files:
        name, number = f"{file.stem}-{ending}.png", 1
        while name.lower() in {one.lower() for one in names}:
            number += 1
            name = f"{file.stem}-{ending}-{number}.png"
        names.append(name)
    return names


def _behind(fields: dict[str, object]) -> Path | None:
    """The file that `on` names, which is then `picture`; None for the words and colours it may be instead."""
    on = fields.get("on")
    if not isinstance(on, str) or not on or on == PICTURE:
        return None
    path = named("on", on)
    if not path.is_file():
        return None
    fields["on"] = PICTURE
    return path


def _take_in(studio: Studio, account: str, batch: Batch, behind: Path | None, taken: dict[int, str]) -> int:
    """Fills in the uploads by the files' places (after the last, what they are put on); returns their pixels."""
    if behind is not None:
        taken[len(batch.files)] = studio.workshop.take_in(account, behind, field="on").upload
    pixels = 0
    meter = Meter()
    for place, index in enumerate(left := batch.left):
        file = batch.files[index]
        meter.show(f"Reading {file.name}.", place, len(left))
        try:
            one = studio.workshop.take_in(account, file)
        except StudioError as error:
            meter.close()
            batch.fail(index, error)
            continue
        taken[index] = one.upload
        pixels += one.width * one.height
    meter.close()
    return pixels


def _put(
    studio: Studio,
    account: str,
    piece: Piece,
    index: int,
    batch: Batch,
    job: Job,
    out: OutFolder | None,
    *,
    with_mask: bool,
) -> answers.Answer:
    """Puts one picture into the folder. Raises StudioError where there is none, or it cannot be put there."""
    if piece.picture is None:
        if piece.said is not None:
            raise StudioError(piece.said, field="files")
        raise StudioError(job.error or "Cancelled before it was done.", field=job.error_field)
    file = studio.gallery.file(account, piece.picture.id)
    if out:
        (file,) = out.take([(index, file)])
        if with_mask and (mask := studio.workshop.mask(account, piece.picture.id)) is not None:
            out.write(len(batch.files) + index, mask)
    return {"file": str(batch.files[index]), **answers.of_picture(piece.picture, str(file)), **_figures(piece.picture)}


def _figures(picture: Picture) -> Mapping[str, object]:
    """What the tool measured: of faces how strongly each was made anew, and how far it is from what it was."""
    steps = picture.recipe.get("tools")
    last = steps[-1] if isinstance(steps, list) and steps else {}
    faces = last.get("faces") if isinstance(last, dict) else None
    if not isinstance(faces, list):
        return {}
    for one in faces:
        note(f"A face of {one['box'][2]} pixels: strength {one['strength']:g}, distance {one['distance']:g}.")
    return {"faces": faces}


def _answer(job: Job, made: list[answers.Answer], batch: Batch) -> Answer:
    body = {**answers.of_making(job, made), "charged": answers.charged(job), "errors": batch.to_json()}
    if not job.ended:
        raise Unfinished(f"It stops at its next step. See: jobs show {job.id}", body=body)
    cost = f"{job.delivered} of {len(batch.files)} pictures came out and cost {answers.in_words(answers.charged(job))}."
    if job.state == "cancelled":
        raise Unfinished(f"Cancelled. {cost}", body=body)
    note(f"{cost} It took {job.seconds:.1f} seconds.")
    text = "\n".join(str(one["path"]) for one in made)
    if not batch.errors:
        return Answer(body=body, text=text)
    return Answer(body={**_said(batch), **body}, text=text, code=1)


def _nothing(batch: Batch) -> Answer:
    """The answer where no file could be taken in: there is no job, and nothing is charged."""
    body = {"job": None, "price": 0, "seconds": 0.0, "pictures": [], "warnings": [], "errors": batch.to_json()}
    return Answer(body={**_said(batch), **body}, code=1)


def _said(batch: Batch) -> Mapping[str, object]:
    """What failed, in one sentence: the file's own where there is but one."""
    if len(batch.files) == 1:
        return batch.errors[0].to_json()
    told = f"{len(batch.errors)} of {len(batch.files)} files failed."
    return StudioError(told, field="files", allowed="what the errors say of each").to_json()
