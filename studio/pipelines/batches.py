"""One tool over many pictures: reads the next and writes the last while the device works on the one between.

A picture that cannot be done is told as a warning and the rest goes on; so do credits, which are taken for what comes.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.domain import (
    BrokenPicture,
    Cancelled,
    Drawn,
    IsCancelled,
    OutOfMemory,
    Progress,
    Refused,
    Report,
    StudioError,
    Task,
)
from studio.pipelines.picture_files import Photo, read
from studio.pipelines.png import PngWriter
from studio.pipelines.results import Result, recipe_of, texts_of
from studio.tools import about, upload_field

WHOLE = 1000  # steps of a picture, for the progress
TELL_S = 0.2
WAITING_BANDS = 2  # that may wait for the disk before the device does

ONE_PICTURES = (Refused, BrokenPicture, OutOfMemory)
"""Errors that are about the picture in hand; any other is about all of them."""

Advance = Callable[[float], None]
"""Told how much of the picture in hand is done, from 0 to 1. Raises Cancelled."""

Make = Callable[[Photo, Advance], Result]


@dataclass(frozen=True, kw_only=True)
class Writing:
    """A picture whose last rows are on their way to the disk."""

    index: int
    path: Path
    result: Result
    recipe: dict[str, Any]
    done: Future[None]

    def drawn(self) -> Drawn:
        """Waits until the file is whole. Raises OSError."""
        self.done.result()
        return Drawn(
            index=self.index,
            file=self.path,
            width=self.result.width,
            height=self.result.height,
            seed=None,
            recipe=self.recipe,
        )


def each_picture(task: Task, report: Report, is_cancelled: IsCancelled, make: Make) -> Iterator[Drawn]:
    """Yields what `make` gives for each of the task's pictures that is not done, as PNGs in the task's folder.

    Raises at the end where a picture could not be done: its own error where the task has but that one. Raises
    Cancelled, OSError, and at once what `make` raises that is not about one picture.
    """
    waiting = [index for index in range(task.request.pictures) if index not in task.done]
    failed: list[StudioError] = []
    with ThreadPoolExecutor(1, "read") as reader, ThreadPoolExecutor(1, "write") as writer:
        reading = _read(reader, task, waiting[0]) if waiting else None
        last: Writing | None = None
        for place, index in enumerate(waiting):
            assert reading is not None
            current, reading = reading, None
            if place + 1 < len(waiting):
                reading = _read(reader, task, waiting[place + 1])
            advance = _Meter(report, is_cancelled, place, index, len(waiting), task.request.pictures)
            writing: Writing | None = None
            try:
                advance(0)
                photo = current.result()
                result = make(photo, advance)
                writing = _write(writer, task, index, photo, result)
            except ONE_PICTURES as error:
                failed.append(error)
                if task.request.pictures > 1:
                    report(advance.progress(1, warning=about(index, error.message)))
            if last is not None:
                yield last.drawn()
            last = writing
        if last is not None:
            yield last.drawn()
    if failed:
        raise failed[0] if task.request.pictures == 1 else _some(failed, task.request.pictures)


def _read(reader: ThreadPoolExecutor, task: Task, index: int) -> Future[Photo]:
    name = "The picture" if task.request.pictures == 1 else "This picture"
    return reader.submit(read, task.inputs[upload_field(index)], name=name, field="uploads")


def _write(writer: ThreadPoolExecutor, task: Task, index: int, photo: Photo, result: Result) -> Writing:
    """Makes the bands, one after the other, while those before are written. What fails leaves no file."""
    path = task.folder / f"{index}.png"
    recipe = recipe_of(task.request.kind, photo, result)
    png = PngWriter(
        path,
        width=result.width,
        height=result.height,
        channels=result.channels,
        depth=result.depth,
        profile=result.profile,
        texts=texts_of(photo, result, recipe),
        mask=result.mask,
    )
    queue: list[Future[None]] = []
    try:
        for band in result.bands:
            queue.append(writer.submit(png.write, band))
            if len(queue) > WAITING_BANDS:
                queue.pop(0).result()
        return Writing(index=index, path=path, result=result, recipe=recipe, done=writer.submit(_finish, png, queue))
    except BaseException:
        for one in queue:
            one.cancel()
        # After what the thread is at now, so that it does not write into a closed file.
        writer.submit(png.drop).result()
        path.unlink(missing_ok=True)
        raise


def _finish(png: PngWriter, written: list[Future[None]]) -> None:
    """Closes the file, if all of it was written. Raises what the writing raised."""
    try:
        for one in written:
            one.result()
    except BaseException:
        png.drop()
        raise
    png.close()


class _Meter:
    """Turns how far one picture is into how far the task is, and stops it when it is cancelled."""

    def __init__(
        self, report: Report, is_cancelled: IsCancelled, place: int, index: int, waiting: int, pictures: int
    ) -> None:
        self.report, self.is_cancelled = report, is_cancelled
        self.place, self.waiting = place, waiting
        self.message = f"Picture {index + 1} of {pictures}."
        self.told = 0.0

    def __call__(self, share: float) -> None:
        if self.is_cancelled():
            raise Cancelled
        now = time.monotonic()
        if now - self.told >= TELL_S:
            self.told = now
            self.report(self.progress(share))

    def progress(self, share: float, *, warning: str | None = None) -> Progress:
        step = round((self.place + min(share, 1)) * WHOLE)
        return Progress(step=step, steps=self.waiting * WHOLE, message=self.message, warning=warning)


def _some(failed: list[StudioError], pictures: int) -> StudioError:
    return Refused(
        f"{len(failed)} of {pictures} pictures could not be done, and were not charged.",
        field="uploads",
        allowed="see what was said of each",
    )
