"""`backup` and `restore`."""

import os
from argparse import Namespace

from studio import keeping
from studio.cli.jobs import at
from studio.cli.output import Answer, agreed, note
from studio.paths import named, to_read
from studio.settings import Settings


def backup(args: Namespace) -> Answer:
    made = keeping.back_up(
        Settings.read(os.environ), named("file", args.file), database_only=args.database_only, overwrite=args.overwrite
    )
    for fault in made.faults:
        note(f"The account book does not agree with itself, and this backup could not be restored: {fault}.")
    return Answer(
        body={
            "file": str(made.file),
            "bytes": made.bytes,
            "files": made.files,
            "database_only": made.database_only,
            "faults": list(made.faults),
        },
        text=f"{made.file}: {made.files} files, {made.bytes / 1e6:.1f} MB. Photos and exports are not in it.",
        code=1 if made.faults else 0,
    )


def restore(args: Namespace) -> Answer:
    settings = Settings.read(os.environ)
    file = to_read("file", args.file, allowed="a file that backup made")
    agreed(f"Everything in {settings.data} is replaced by what {file} has.", yes=args.yes, must=True)
    done = keeping.bring_back(settings, file)
    for sentence in done.notes:
        note(sentence)
    return Answer(
        body={
            "made_at": done.made_at,
            "files": done.files,
            "database_only": done.database_only,
            "forgotten": done.forgotten,
            "notes": list(done.notes),
        },
        text=f"{settings.data} is as it was on {at(done.made_at)} (UTC); {done.files} files. "
        f"{done.forgotten} of them had been deleted since and were left out.",
    )
