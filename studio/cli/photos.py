"""`tune check`: what is good and what is wrong with the photos in a folder, before anything is spent."""

from argparse import Namespace
from pathlib import Path

from studio.cli.opening import opened
from studio.cli.output import Answer, Meter, note, table
from studio.domain import Refused
from studio.paths import named
from studio.photo_report import PhotoReport, check_choices

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif")
ALLOWED = f"a folder with photos ({', '.join(PICTURES)})"


def check(args: Namespace) -> Answer:
    """Of each photo a verdict with its reasons; exits 0 whether or not they may be trained on, as `may_start` says.

    Raises Refused, NotFound (account), WeightsMissing, BrokenWeights and StorageFailed.
    """
    check_choices(args.class_name, args.photos, args.crop)
    photos, skipped = in_folder(args.folder)
    meter = Meter()
    with opened(args) as studio:
        studio.counter.balances(args.account)
        try:
            report = studio.check_photos(
                args.account,
                photos,
                class_name=args.class_name,
                nature=args.photos,
                crop=args.crop,
                seen=lambda done, of: meter.show(f"Looking at {len(photos)} photos.", done, of),
            )
        finally:
            meter.close()
    for path in skipped:
        note(f"{path.name} is no photo and was skipped.")
    body = {**report.to_json(), "skipped": [path.name for path in skipped]}
    return Answer(body=body, text=text_of(report))


def in_folder(words: str) -> tuple[list[Path], list[Path]]:
    """The photos that lie in a folder, in order of their names, and what else lies there. Raises Refused."""
    folder = named("photos_dir", words)
    if not folder.is_dir():
        raise Refused(f"There is no folder {folder}.", field="photos_dir", allowed=ALLOWED)
    inside = sorted(path for path in folder.iterdir() if path.is_file())
    photos = [path for path in inside if path.suffix.lower() in PICTURES and not path.name.startswith(".")]
    if not photos:
        raise Refused(f"There is no photo in {folder}.", field="photos_dir", allowed=ALLOWED)
    return photos, [path for path in inside if path not in photos]


def text_of(report: PhotoReport) -> str:
    """The report as one reads it: a line for each photo, what is said of all, and whether the training may start."""
    rows = [
        (one.name, one.verdict, " ".join(reason.sentence for reason in one.reasons) or "-") for one in report.photos
    ]
    lines = [table([("PHOTO", "VERDICT", "WHY"), *rows]), ""]
    lines += [reason.sentence for reason in report.told]
    lines.append("The training may start." if report.may_start else "The training may not start on these photos.")
    if report.leave_out:
        names = ", ".join(report.photos[index].name for index in report.leave_out)
        lines.append(f"Better left out: {names}.")
    return "\n".join(lines)
