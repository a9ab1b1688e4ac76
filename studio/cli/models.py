"""`models list | fetch | add`. None but a LoRA needs the database."""

import os
from argparse import Namespace
from pathlib import Path

from studio import answers
from studio.cli.jobs import at
from studio.cli.opening import opened
from studio.cli.output import Answer, Meter, note, table
from studio.models import Models
from studio.paths import named
from studio.settings import Settings


def list_models(args: Namespace) -> Answer:
    infos = _models().infos()
    rows = [
        (
            info.id,
            "here" if info.path else "-",
            _size(info.bytes),
            info.licence,
            {True: "yes", False: "no", None: "ask its author"}[info.paid_work],
            info.purpose,
        )
        for info in infos
    ]
    body = [
        {
            "id": info.id,
            "kind": info.kind,
            "purpose": info.purpose,
            "licence": info.licence,
            "paid_work": info.paid_work,
            "bytes": info.bytes,
            "default": info.default,
            "path": str(info.path) if info.path else None,
        }
        for info in infos
    ]
    return Answer(body={"models": body}, text=table([("ID", "HERE", "SIZE", "LICENCE", "PAID WORK", "FOR"), *rows]))


def fetch(args: Namespace) -> Answer:
    """Goes on after one that fails; then exits 1."""
    meter = Meter()

    def report(name: str, done: int, total: int) -> None:
        meter.show(f"{name}: {_size(done)} of {_size(total)}" if total else name, done, total)

    fetched: list[dict[str, object]] = []
    errors: list[dict[str, object]] = []
    for one in _models().fetch(args.ids, report):
        meter.close()
        if one.error is not None:
            note(one.error.message)
            errors.append({"id": one.id, "error": one.error.message, "field": one.error.field})
            continue
        note(f"{one.id} {'is here already' if one.was_there else 'is here now'} ({one.licence}): {one.path}")
        fetched.append({"id": one.id, "licence": one.licence, "path": str(one.path), "was_there": one.was_there})
    text = f"{len(fetched)} of {len(fetched) + len(errors)} are here."
    return Answer(body={"models": fetched, "errors": errors}, text=text, code=1 if errors else 0)


def add(args: Namespace) -> Answer:
    """A LoRA becomes a tune; anything else is a base, or refused."""
    models, file = _models(), named("file", args.file)
    if models.is_lora(file):
        return _add_lora(args, file)
    path = models.add(file, overwrite=args.overwrite)
    return Answer(
        body={"id": path.stem, "path": str(path)}, text=f"{path.stem} can be used now: generate --base {path.stem}"
    )


def _add_lora(args: Namespace, file: Path) -> Answer:
    with opened(args) as studio:
        tune = studio.imports.add(
            args.account,
            file,
            name=args.name,
            words=args.words,
            base=args.base,
            class_name=args.class_name,
            job_id=args.id,
        )
    note(f"The LoRA is the tune {tune.name} on {tune.base} now, kept until {at(tune.expires_at)} (UTC).")
    body = {**answers.of_tune(tune), "tune": tune.id, "words": tune.recipe["subject"]}
    return Answer(body=body, text=f"It can be used now: avatars {tune.id}")


def _models() -> Models:
    return Models.of(Settings.read(os.environ), os.environ)


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB" if count else "-"
