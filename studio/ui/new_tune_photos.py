"""The photos of a new tune while they are gathered: which there are, what the check found, which are left out."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from studio.domain import Refused, StudioError
from studio.photo_report import CROP_MODES, CropMode, Nature, PhotoReport, PhotoVerdict, Reason, centre, of_count
from studio.tunes import Box
from studio.ui.visit import Visit

MOST_GATHERED = 60  # photos: half of them may be left out again
MOST_TEXT = 40_000  # characters that a draft may have
LOOK = 0.2  # seconds between two looks at how far the check is
COUNTED = ("too_few", "too_many", "few", "many")  # what is said of how many photos there are


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """One photo of the draft: the id of its upload, which part is used, and whether it is left out."""

    id: str
    crop: CropMode = "face"
    out: bool = False


Draft = tuple[Gathered, ...]


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the check found: a verdict for each photo by its id, what is said of the set, and what was asked."""

    verdicts: Mapping[str, PhotoVerdict] = field(default_factory=dict[str, PhotoVerdict])
    told: tuple[Reason, ...] = ()
    drawn: bool = False
    asked: tuple[str, str] = ("", "")  # class and nature


def read(text: object) -> Draft:
    """The draft as the page keeps it. What is none of ours is no draft: it comes back from the browser."""
    if not isinstance(text, str) or not text or len(text) > MOST_TEXT:
        return ()
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError):
        return ()
    found: dict[str, Gathered] = {}
    for row in rows if isinstance(rows, list) else ():
        match row:
            case [str(id), str(crop), bool(out)] if crop in CROP_MODES and len(id) == 36:
                found[id] = Gathered(id=id, crop=cast(CropMode, crop), out=out)
            case _:
                return ()
    return tuple(found.values())[:MOST_GATHERED]


def written(draft: Draft) -> str:
    """The draft as the page keeps it."""
    return json.dumps([[one.id, one.crop, one.out] for one in draft]) if draft else ""


def kept(draft: Draft) -> Draft:
    """The photos that are not left out."""
    return tuple(one for one in draft if not one.out)


# --- gathering and checking ------------------------------------------------------------------------------------------


@dataclass
class Gathering:
    """Photos as they are taken in, one after the other; `wrong` tells which could not be."""

    draft: Draft
    wrong: list[StudioError] = field(default_factory=list[StudioError])

    def take_in(self, visit: Visit, files: Sequence[str], crop: CropMode) -> Iterator[int]:
        """Takes the files in, and says after each how many were."""
        for number, file in enumerate(files):
            if len(self.draft) >= MOST_GATHERED:
                self.wrong.append(
                    Refused(
                        f"There are {MOST_GATHERED} photos already; take some out first.",
                        field="photos",
                        allowed=f"at most {MOST_GATHERED}",
                    )
                )
                return
            try:
                taken = visit.studio.workshop.take_in(visit.account, Path(file), field="photos")
            except Refused as error:
                self.wrong.append(error)
            else:
                if any(one.id == taken.upload for one in self.draft):
                    self.wrong.append(Refused(f"{taken.name} is here already.", field="photos"))
                else:
                    self.draft = (*self.draft, Gathered(id=taken.upload, crop=crop))
            yield number + 1


def checked(visit: Visit, draft: Draft, class_name: str, nature: str, before: Found) -> Iterator[float | Found]:
    """How far the check is, from 0 to 1, and at its end what was found. Raises StudioError.

    Photos that are left out are not looked at again; what was found of them stays.
    """
    ids = [one.id for one in kept(draft)]
    asked = (class_name, nature)
    verdicts = dict(before.verdicts) if before.asked == asked else {}
    if not ids:
        yield Found(verdicts=verdicts, asked=asked)
        return
    done = 0.0

    def seen(now: int, of: int) -> None:
        nonlocal done
        done = now / max(of, 1)

    # In a thread of its own, so that the page can say how far it is.
    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(
            visit.studio.check_photos, visit.account, ids, class_name=class_name, nature=cast(Nature, nature), seen=seen
        )
        while not work.done():
            yield done
            time.sleep(LOOK)
        report = work.result()
    verdicts |= dict(zip(ids, report.photos, strict=True))
    yield Found(verdicts=verdicts, told=report.told, drawn=report.drawn, asked=asked)


# --- what follows from it --------------------------------------------------------------------------------------------


def told(draft: Draft, found: Found) -> tuple[Reason, ...]:
    """What is to say of the photos that are not left out, as a set."""
    count = len(kept(draft))
    return (*of_count(count), *(one for one in found.told if one.code not in COUNTED)) if draft else ()


def report(draft: Draft, found: Found) -> PhotoReport:
    """The report on the photos that are not left out. Raises KeyError where one was not looked at."""
    photos = tuple(found.verdicts[one.id] for one in kept(draft))
    return PhotoReport(photos=photos, drawn=found.drawn, told=told(draft, found))


def is_checked(draft: Draft, found: Found, class_name: str, nature: str) -> bool:
    """Whether every photo that is not left out was looked at as what is asked for now."""
    return found.asked == (class_name, nature) and all(one.id in found.verdicts for one in kept(draft))


def without_the_bad(draft: Draft, found: Found) -> Draft:
    """The draft with those photos left out that the report advises to leave out."""
    used = kept(draft)
    bad = {used[index].id for index in report(draft, found).leave_out}
    return tuple(replace(one, out=True) if one.id in bad else one for one in draft)


def changed(draft: Draft, id: str, **changes: Any) -> Draft:
    """The draft with one photo changed, or as it is where it has no such photo."""
    return tuple(replace(one, **changes) if one.id == id else one for one in draft)


def crop_of(one: Gathered, verdict: PhotoVerdict) -> Box | None:
    """The part of a photo that is used, in its pixels; None for all of it."""
    if one.crop == "none" or not verdict.width:
        return None
    return verdict.crop if one.crop == "face" and verdict.crop else centre(verdict.width, verdict.height)
