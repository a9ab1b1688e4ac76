"""A studio in which two people were trained, and a search for whatever is left of the one who was deleted."""

import hashlib
import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from studio.domain import (
    OWNER,
    Drawn,
    Exported,
    ExportRequest,
    ImageRequest,
    IsCancelled,
    Job,
    Progress,
    Report,
    Result,
    Runner,
    Task,
    Trained,
    TuneRequest,
)
from studio.service import Studio
from studio.settings import Settings
from studio.tunes import CONSENT
from tests.fakes import StillClock

PIECE = 64  # bytes
KEY = 8  # bytes of a piece that are looked up at first
MARK = 12  # characters: so much of a unique word is enough to tell it


def words(*about: str) -> str:
    """A text that occurs nowhere else, all of it made of pieces that occur nowhere else."""
    return " ".join((*about, *(os.urandom(MARK).hex() for _ in range(3))))


def face() -> list[float]:
    """What a face is told by: 128 numbers that nobody else has."""
    return [random.uniform(-0.3, 0.3) for _ in range(128)]


@dataclass
class Maker:
    """Makes everything that the studio makes, of random bytes, with what a recipe tells of somebody."""

    face: list[float] = field(default_factory=face)
    made: list[Task] = field(default_factory=list[Task])

    def __call__(self, task: Task, report: Report, is_cancelled: IsCancelled) -> Iterator[Result]:
        self.made.append(task)
        (task.folder / "checkpoint.safetensors").write_bytes(os.urandom(20_000))
        noise(task.folder / "preview.png", 48)
        report(Progress(step=1, steps=2, preview=task.folder / "preview.png", warning=words("was cut:")))
        asked = task.request
        if isinstance(asked, TuneRequest):
            file = task.folder / "lora.safetensors"
            file.write_bytes(os.urandom(60_000))
            recipe = {"subject": "sks woman", "native": 128, "draws_in": 5, "prompt": asked.caption, "face": self.face}
            recipe["base"] = {"id": asked.base, "family": "starter"}
            yield Trained(index=0, file=file, losses=(0.5, 0.25), recipe=recipe)
        elif isinstance(asked, ExportRequest):
            file = task.folder / "export"
            file.write_bytes(os.urandom(50_000))
            yield Exported(index=0, file=file, sha256=hashlib.sha256(file.read_bytes()).hexdigest())
        else:
            for index in range(asked.pictures):
                file = noise(task.folder / f"{index}.png", 64)
                prompt = asked.prompt if isinstance(asked, ImageRequest) else ""
                recipe = {"prompt": prompt, "asked": {"prompt": prompt}, "face": self.face}
                yield Drawn(index=index, file=file, width=64, height=64, seed=index, recipe=recipe)


def noise(path: Path, side: int) -> Path:
    """A picture that cannot be packed: every piece of it is its own."""
    Image.frombytes("RGB", (side, side), os.urandom(3 * side * side)).save(path)
    return path


@dataclass
class House:
    """The studio and what was made in it."""

    studio: Studio
    maker: Maker
    clock: StillClock

    @property
    def root(self) -> Path:
        return self.studio.settings.data

    def uploaded(self, name: str, side: int = 96) -> Path:
        """A photo as the page's cache has it once it was handed in."""
        folder = self.root / "cache" / os.urandom(16).hex()
        folder.mkdir(parents=True)
        return noise(folder / f"{name}.png", side)

    def run(self, job: Job) -> Job:
        done = self.studio.wait(job.account, job.id)
        assert done.state == "done", done.error
        return done

    def files(self) -> dict[Path, bytes]:
        """All files but the database's own."""
        files = (path for path in self.root.rglob("*") if path.is_file() and not path.name.startswith("studio.db"))
        return {path: path.read_bytes() for path in files}


def open_house(root: Path, clock: StillClock | None = None) -> House:
    maker, clock = Maker(), clock or StillClock()
    runners: dict[str, Runner] = {kind: maker for kind in ("tune", "image", "upscale", "export")}
    settings = Settings(data=root, queue_limit=1000)
    return House(Studio.open(settings, {}, runners=runners, clock=clock), maker, clock)


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody whose likeness was trained: the tune, all texts that tell of the person, and all that is in files."""

    tune: str
    texts: tuple[str, ...]
    contents: dict[Path, bytes]
    pictures: tuple[str, ...]
    photos: tuple[str, ...]
    jobs: tuple[str, ...]


def somebody(house: House, account: str = OWNER, *, policy: str = "keep-avatars", ends: bool = True) -> Person:
    """Trains a likeness and does with it all that can be done."""
    before = house.files()
    house.maker.face = face()
    texts = {what: words(what) for what in ("name", "caption", "statement", "prompt", "negative", "another")}
    studio = house.studio

    # 1. Photos by way of the page, the training, its first avatars, more of them.
    files = [house.uploaded(words("photo").replace(" ", "-")) for _ in range(4)]
    originals = {file: file.read_bytes() for file in files}
    names = [file.stem for file in files]
    asked = {"name": texts["name"], "class_name": "woman", "consent": CONSENT, "caption": texts["caption"]}
    asked |= {"styles": ["toon"], "policy": policy}
    training = house.run(studio.tuning.train(account, asked, files, statement=texts["statement"]))
    tune = studio.tuning.of_job(account, training.id)
    jobs = [training, *(house.run(job) for job in studio.tuning.first_jobs(account, tune.id))]
    fields = {"prompt": texts["prompt"], "negative": texts["negative"], "count": 3}
    jobs.append(house.run(studio.tuning.avatars(account, tune.id, fields)))
    pictures = [one for job in jobs for one in studio.gallery.of_job(account, job.id)]
    for one in pictures:
        studio.gallery.small(account, one.id)

    # 2. An export, and what a tool made of an avatar, and of that.
    jobs.append(house.run(studio._jobs.submit(account, ExportRequest(tune=tune.id, format="kohya"))))
    larger = pictures[0].id
    for _ in range(2):
        taken = studio.workshop.take_picture(account, larger)
        jobs.append(house.run(studio.workshop.submit(account, "upscale", {"scale": 2}, [taken.upload])))
        larger = studio.gallery.of_job(account, jobs[-1].id)[0].id
        studio.gallery.small(account, larger)
        pictures.append(studio.gallery.picture(account, larger))

    # 3. What was drawn from an avatar, by way of the page.
    copy = studio.workshop.to_start_from(account, pictures[0].id)
    jobs.append(house.run(studio.generate(account, {"prompt": texts["prompt"]}, init=copy)))
    pictures += studio.gallery.of_job(account, jobs[-1].id)

    # 4. One that waits, and has been worked on.
    if not ends:
        fields = {"prompt": texts["another"], "count": 2}
        jobs.append(studio.tuning.avatars(account, tune.id, fields))
        studio._jobs.pause(account, jobs[-1].id)
        scratch = house.root / "jobs" / jobs[-1].id
        scratch.mkdir()
        noise(scratch / "0.png", 64)
    else:
        texts.pop("another")
    theirs = {path: body for path, body in house.files().items() if before.get(path) != body}
    theirs = {path: body for path, body in theirs.items() if path.name not in ("forgotten.log", "worker.lock")}
    assert isinstance(training.request, TuneRequest)
    return Person(
        tune=tune.id,
        texts=(*texts.values(), *names, json.dumps(house.maker.face, separators=(",", ":"))),
        contents=theirs | originals,
        pictures=tuple(one.id for one in pictures),
        photos=training.request.photos,
        jobs=tuple(job.id for job in jobs),
    )


def crowd(house: House, jobs: int) -> None:
    """Work for nobody, so that rows lie among others and pages of the database are split, merged and used again."""
    house.maker.face = []
    for number in range(jobs):
        job = house.run(house.studio.generate(OWNER, {"prompt": "word " * random.randint(1, 300), "count": 1}))
        if number % 3 == 0:
            pictures = house.studio.gallery.of_job(OWNER, job.id)
            house.studio.gallery.delete(OWNER, [one.id for one in pictures])


# --- the search -------------------------------------------------------------------------------------------------------


def left_of(person: Person, *places: Path, logs: str = "") -> list[str]:
    """Where any 64-byte piece of the person's files, or any word that tells of them, is still found."""
    found = []
    marks = {text[at : at + MARK].encode() for text in person.texts for at in _cuts(text)}
    pieces = _Pieces([*person.contents.values(), *(text.encode() for text in person.texts if len(text) > 500)])
    bodies = {str(path): path.read_bytes() for place in places for path in place.rglob("*") if path.is_file()}
    paths = "\n".join(str(path) for place in places for path in place.rglob("*"))
    for name, body in {**bodies, "names of files": paths.encode(), "logs": logs.encode()}.items():
        if any(mark in body for mark in marks):
            found.append(f"words in {name}")
        if pieces.are_in(body):
            found.append(f"pieces in {name}")
    return found


def _cuts(text: str) -> Iterator[int]:
    """Where pieces of the unique parts of a text begin."""
    for part in text.replace("-", " ").split():
        if len(part) >= 2 * MARK:
            at = text.index(part)
            yield from range(at, at + min(len(part), 400) - MARK + 1)


class _Pieces:
    """Finds whatever has 64 bytes in a row in common with given contents."""

    def __init__(self, contents: list[bytes]) -> None:
        self.whole = b"".join(contents)
        # Any 64 bytes have, wherever they begin, one of these keys wholly in them.
        self.at = np.arange(0, max(0, len(self.whole) - KEY), PIECE - KEY + 1)
        keys = self._keys(self.whole)[self.at] if len(self.at) else np.empty(0, np.uint64)
        order = np.argsort(keys)
        self.keys, self.at = keys[order], self.at[order]

    def are_in(self, body: bytes) -> bool:
        if len(body) < PIECE or not len(self.keys):
            return False
        here = self._keys(body)
        place = np.minimum(np.searchsorted(self.keys, here), len(self.keys) - 1)
        for at in np.flatnonzero(self.keys[place] == here):
            for number in range(int(place[at]), len(self.keys)):
                if self.keys[number] != here[at]:
                    break
                if self._common(body, int(at), int(self.at[number])) >= PIECE:
                    return True
        return False

    def _common(self, body: bytes, here: int, there: int) -> int:
        first = last = 0
        while here - first > 0 and there - first > 0 and body[here - first - 1] == self.whole[there - first - 1]:
            first += 1
        while (
            here + last < len(body) and there + last < len(self.whole) and body[here + last] == self.whole[there + last]
        ):
            last += 1
        same = body[here - first : here + last]
        return 0 if same.count(same[:1]) == len(same) else first + last  # a run of zeros tells nothing

    @staticmethod
    def _keys(body: bytes) -> Any:
        bytes_ = np.frombuffer(body, np.uint8)
        return np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(bytes_, KEY)).view(np.uint64).ravel()
