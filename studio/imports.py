"""What may be asked of imports: a LoRA that others made becomes a tune of its account."""

import hashlib
import shutil
from importlib import import_module
from pathlib import Path

from studio.domain import Clock, Conflict, ImportedLora, ImportRequest, Refused, Tune
from studio.paths import to_read
from studio.pipelines.bases import Base, Bases
from studio.rules import canonical, new_id
from studio.rules import job_id as checked_id
from studio.rules import name as checked_name
from studio.storage import faults, imports, job_store, tunes
from studio.storage.database import Database
from studio.storage.folder import DataFolder, fsync_file
from studio.tunes import CLASSES


class Imports:
    """The imports of one studio. Safe to share between threads."""

    def __init__(self, *, database: Database, folder: DataFolder, bases: Bases, clock: Clock) -> None:
        self._database = database
        self._folder = folder
        self._bases = bases
        self._clock = clock

    def add(
        self,
        account: str,
        file: Path,
        *,
        name: str | None = None,
        words: str | None = None,
        base: str | None = None,
        class_name: str = "object",
        job_id: str | None = None,
    ) -> Tune:
        """Checks a LoRA and makes it a ready tune; takes seconds. The same `job_id` again is the same tune.

        `words` is how a prompt calls it, where its file does not say; without `base` it is the first one here that has
        all of its parts. Raises Refused (no LoRA, or for no base here; no words), BrokenWeights, NotFound, Conflict and
        StorageFailed; nothing is then left behind.
        """
        job_id = new_id() if job_id is None else checked_id(job_id)
        file = to_read("file", file, allowed="a LoRA as .safetensors")
        if class_name not in CLASSES:
            allowed = ", ".join(CLASSES)
            raise Refused(f"class_name must be one of {allowed}.", field="class_name", allowed=allowed)

        scratch = self._folder.scratch(job_id)
        try:
            # 1. What it is, and a copy as the studio keeps tunes.
            scratch.mkdir(exist_ok=True)
            chosen, taken = self._taken(file, base, scratch / "tune.safetensors")
            called = (words or taken.words).strip()
            if not called:
                raise Refused(
                    f"{file.name} does not say by which words it is called: say them.", field="words", allowed="--words"
                )
            request = ImportRequest(
                name=(name or taken.title)[:80],
                words=called,
                base=chosen.id,
                class_name=class_name,
                sha256=taken.sha256,
            )
            fsync_file(scratch / "tune.safetensors")

            # 2. Its rows and its place, or neither.
            return self._kept(account, job_id, request, chosen, taken, scratch / "tune.safetensors")
        except OSError as error:
            told = faults.of_os(error, self._folder.root)
            if told is None:
                raise
            raise told from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _taken(self, file: Path, base: str | None, target: Path) -> tuple[Base, ImportedLora]:
        module = import_module("studio.pipelines.imports")
        module.check_header(file)
        if base is not None:
            found = self._bases.find(checked_name("base", base))
            return found, module.take_lora(file, found, target)
        refused: list[Refused] = []
        for offer in self._bases.offers():
            if offer.base is not None and offer.base.family.training is not None:
                try:
                    return offer.base, module.take_lora(file, offer.base, target)
                except Refused as error:
                    refused.append(error)
        raise (
            refused[-1]
            if len(refused) == 1
            else Refused(
                f"{file.name} fits none of the {len(refused)} bases on this machine that take tunes"
                f"{f': {refused[0].message}' if refused else '.'}",
                field="file",
                allowed="a LoRA for a base that is here",
            )
        )

    def _kept(
        self, account: str, job_id: str, request: ImportRequest, base: Base, taken: ImportedLora, file: Path
    ) -> Tune:
        asked = hashlib.sha256(canonical([request.kind, request.to_json()]).encode()).hexdigest()
        row = base.family
        recipe: dict[str, object] = {
            "format": 1,
            "kind": request.kind,
            "class": request.class_name,
            "subject": request.words,
            "prompt": request.words,
            "native": row.native,
            "draws_in": row.steps,
            "base": {"id": base.id, "family": row.id, "revision": base.revision, "licence": base.licence},
            "rank": taken.rank,
            "layers": taken.layers,
            "imported": {"sha256": taken.sha256},
        }
        with self._database.write() as tx:
            known = job_store.find(tx, job_id)
            if known is None:
                imports.add(
                    tx,
                    self._folder.tunes,
                    file,
                    account=account,
                    job_id=job_id,
                    request=request,
                    asked=asked,
                    recipe=recipe,
                    now=self._clock(),
                )
            elif known.account != account or job_store.asked(tx, job_id) != asked:
                raise Conflict("This id already belongs to another job.", field="id", allowed="a new UUID")
            return tunes.get(tx, account, tunes.tune_id(job_id))
