"""The gallery: the pictures of an account, found, looked at, marked, deleted, and asked how they were made."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from studio import forgetting
from studio.domain import Clock, Picture
from studio.pipelines.bases import Bases
from studio.rules import job_id as checked_id
from studio.storage import faults, job_store, pictures
from studio.storage import gallery as shelf
from studio.storage.database import Database
from studio.storage.folder import DataFolder

if TYPE_CHECKING:  # the module brings Pillow, which most commands do not need
    from studio.recall import Recalled


class Gallery:
    """Pictures as the page, the API and the commands ask for them; safe to share between threads.

    What belongs to another account does not exist for the one that asks: NotFound.
    """

    def __init__(self, *, database: Database, folder: DataFolder, bases: Bases, clock: Clock) -> None:
        self._database = database
        self._folder = folder
        self._bases = bases
        self._clock = clock

    # --- what there is ---

    def newest(self, account: str, *, limit: int = 48, before: str | None = None) -> list[Picture]:
        """A page of pictures, newest first; the next page is what comes `before` the last one's id. Raises NotFound."""
        with self._database.read() as tx:
            return pictures.newest(tx, account, limit=limit, before=before)

    def of_job(self, account: str, job_id: str) -> list[Picture]:
        """A job's pictures in the order they were asked for, those of a running job as they come.

        Raises Refused (no UUID), NotFound.
        """
        with self._database.read() as tx:
            return pictures.of_job(tx, job_store.get(tx, account, checked_id(job_id)).id)

    def page(
        self,
        account: str,
        *,
        text: str = "",
        kind: str | None = None,
        base: str | None = None,
        style: str | None = None,
        tune: str | None = None,
        favourites: bool = False,
        limit: int = 48,
        before: str | None = None,
        after: str | None = None,
    ) -> shelf.Page:
        """A page of the pictures of a kind, base, style and tune with all words of `text` in their prompt: the newest,
        those next older than `before`, or those next newer than `after` (with `""` the oldest of all). Raises
        NotFound."""
        sieve = shelf.Filter(text=text, kind=kind, base=base, style=style, tune=tune, favourites=favourites)
        with self._database.read() as tx:
            return shelf.page(tx, account, sieve, limit=limit, before=before, after=after)

    def choices(self, account: str) -> shelf.Choices:
        """The kinds, bases and styles that the account's pictures can be filtered by."""
        with self._database.read() as tx:
            return shelf.choices(tx, account)

    # --- one of them ---

    def picture(self, account: str, picture_id: str) -> Picture:
        """The picture. Raises NotFound."""
        with self._database.read() as tx:
            return pictures.get(tx, account, picture_id)

    def file(self, account: str, picture_id: str) -> Path:
        """The picture's PNG, with recipe and mark. To be read, never changed. Raises NotFound."""
        return self._folder.pictures / self.picture(account, picture_id).file

    def small(self, account: str, picture_id: str) -> Path:
        """A small copy of the picture for lists, as WebP. Raises NotFound and StorageFailed."""
        picture = self.picture(account, picture_id)
        try:
            return import_module("studio.storage.small").small(self._folder.pictures, picture)
        except OSError as error:
            told = faults.of_os(error, self._folder.root)
            if told is None:
                raise
            raise told from error

    def parameters(self, account: str, picture_id: str) -> str:
        """The settings that the picture's file carries, as AUTOMATIC1111 writes them; "" where it has none. Raises
        NotFound."""
        return import_module("studio.pipelines.recipe").read(self.file(account, picture_id)).parameters or ""

    def recall(self, account: str, picture_id: str) -> "Recalled":
        """The settings that a picture was made with, as far as they can be asked for here. Raises NotFound."""
        recipe = self.picture(account, picture_id).recipe
        return import_module("studio.recall").of_recipe(recipe, self._bases)

    def recall_file(self, content: bytes) -> "Recalled":
        """The settings that a picture file tells, one of ours, of AUTOMATIC1111 or of Fooocus. Raises Refused."""
        return import_module("studio.recall").of_file(content, self._bases)

    # --- what may be done with them ---

    def mark(self, account: str, ids: list[str], *, favourite: bool) -> None:
        """Marks pictures as favourites, or takes the mark away. All or, with NotFound, none."""
        with self._database.write() as tx:
            shelf.mark(tx, account, ids, favourite=favourite)

    def delete(self, account: str, ids: list[str]) -> None:
        """Takes pictures out of sight at once; for an hour they can be restored. All or, with NotFound, none."""
        with self._database.write() as tx:
            pictures.delete(tx, account, ids, now=self._clock())
        forgetting.erase_deleted(self._database, self._folder, now=self._clock())  # of earlier deletions

    def restore(self, account: str, ids: list[str]) -> None:
        """Undoes a deletion. Raises NotFound where one is gone for good."""
        with self._database.write() as tx:
            pictures.restore(tx, account, ids)
