"""`models list | fetch | add`. Needs no database."""

import os
from argparse import Namespace

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
    path = _models().add(named("file", args.file), overwrite=args.overwrite)
    return Answer(
        body={"id": path.stem, "path": str(path)}, text=f"{path.stem} can be used now: generate --base {path.stem}"
    )


def _models() -> Models:
    return Models.of(Settings.read(os.environ), os.environ)


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB" if count else "-"
