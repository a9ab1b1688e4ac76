"""The photos that a tune is to be trained on, as they are checked before anything is spent."""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from studio.credits import book
from studio.domain import NotFound
from studio.importing import imported
from studio.photo_report import CropMode, Handed, Nature, PhotoReport
from studio.pipelines.bases import Bases
from studio.storage import uploads
from studio.storage.database import Database
from studio.storage.folder import DataFolder


class Photos:
    """The photo check of one studio. Keeps dlib's models warm once faces were looked for; safe between threads."""

    def __init__(self, *, database: Database, folder: DataFolder, bases: Bases) -> None:
        self._database = database
        self._folder = folder
        self._bases = bases
        self._check: Callable[..., PhotoReport] | None = None  # a PhotoCheck, which brings OpenCV and dlib

    def check(
        self,
        account: str,
        photos: Sequence[Path | str],
        *,
        class_name: str = "person",
        nature: Nature = "auto",
        crop: CropMode = "face",
        seen: Callable[[int, int], None] = lambda done, of: None,
    ) -> PhotoReport:
        """The verdicts on a set of photos: files, or ids of uploads of the account. Costs nothing and keeps nothing.

        `seen` is told how far it is, as done and of how many. Raises Refused (a choice), NotFound (an upload),
        WeightsMissing and BrokenWeights.
        """
        handed = [self._handed(account, one) for one in photos]
        check = self._check
        if check is None:
            check = self._check = imported("studio.pipelines.photo_check").PhotoCheck(self._bases)
        return check(handed, class_name=class_name, nature=nature, crop=crop, seen=seen)

    def small(self, account: str, upload: str) -> bytes:
        """A small copy of a photo that was handed in, as WebP, made anew each time. Raises NotFound."""
        return import_module("studio.storage.small").photo(self._handed(account, upload).file)

    def _handed(self, account: str, photo: Path | str) -> Handed:
        if isinstance(photo, Path):
            return Handed(file=photo, name=photo.name)
        with self._database.read() as tx:
            book.balances(tx, account)
            file = uploads.path(tx, self._folder.uploads, account, photo, field="photos")
            name = uploads.names(tx, account, [photo]).get(photo) or "photo"
        if not file.is_file():
            raise NotFound("There is no such photo.", field="photos")
        return Handed(file=file, name=name)
