"""How long the Gallery takes among a hundred thousand pictures: every filter and page, as the page's handler answers.

    python scripts/bench_gallery.py [--pictures 100000] [--times 5] [--folder DIR] [--seed 1] [--json]

Fills a database of its own through the storage layer, with prompts of a few to a few hundred characters, a second
account among the pictures, a tune, favourites and deleted ones. Then every set of filters (kind, base, style, tune,
favourites, text of the prompt: each alone and all combinations, common values and rare ones) is asked for its first,
middle and last page. A figure is the time of the whole handler, markup included, and the processor time of this thread:
on a machine that is busy with other things the second is the one to look at. What is slow is shown with its queries'
plans. Exits 1 where a page is past its limit.
"""

import argparse
import itertools
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from studio.domain import OWNER, Drawn, ImageRequest, Job, Request, utc_now  # noqa: E402
from studio.rules import new_id  # noqa: E402
from studio.service import Studio  # noqa: E402
from studio.settings import Settings  # noqa: E402
from studio.storage import gallery as shelf  # noqa: E402
from studio.storage import job_store, pictures  # noqa: E402
from studio.storage.database import Database, Tx  # noqa: E402
from studio.tools import UpscaleRequest  # noqa: E402
from studio.ui import gallery, page  # noqa: E402
from studio.ui.visit import Visit  # noqa: E402
from studio.ui.words import Words  # noqa: E402

MOST_FIRST = 0.050  # seconds that the first page may take
MOST_ANY = 0.150  # seconds that any page may take
OTHER = "another"
NOW = 1_790_000_000
PER_JOB = 8
AT_ONCE = 1_000  # jobs in a transaction

WORDS = (
    "portrait woman man girl boy robot fox cat dragon wizard knight queen pirate chef astronaut smiling laughing sad "
    "old young freckled bearded red blue green golden silver teal hair eyes coat scarf armour hat background soft "
    "light dramatic window evening rain snow forest city harbour studio bokeh detailed sharp gentle painted ink "
    "charcoal warm cold misty neon close-up profile three-quarter view looking away über Größe Straße élan 東京 "
    "人像 улыбка"
).split()
STYLES = (None, None, None, *(f"style-{number:02}" for number in range(30)))
TUNE = "6b2c3f0e-0d5a-4f5e-9a51-7d1f3c0a9b11"
TUNES = (None,) * 9 + (TUNE,)
BASES = ("starter",) * 17 + ("sdxl",) * 2 + ("rare",)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=100_000, help="of the account that is looked at (100000)")
    parser.add_argument("--times", type=int, default=5, help="each page is asked for (5)")
    parser.add_argument("--folder", type=Path, help="on the disk to be measured (the temp folder's)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        settings = Settings(data=Path(folder) / "data", models=Path(folder) / "models")
        studio = Studio.open(settings, {})
        began = time.perf_counter()
        fill(Database(settings.data / "studio.db"), args.pictures, random.Random(args.seed))
        took = time.perf_counter() - began
        if not args.json:
            print(f"{args.pictures} pictures in {took:.0f} s", flush=True)
        visit = Visit(studio=studio, account=OWNER, words=Words("en"))
        figures = list(measured(visit, Database(settings.data / "studio.db"), args.times))
        others = list(beside(visit, args.times))
        studio.close()

    slow = [figure for figure in figures if figure.median > figure.most]
    if args.json:
        print(json.dumps({"pages": [figure.told() for figure in (*figures, *others)], "met": not slow}))
    else:
        tell(figures, others)
    return 1 if slow else 0


# --- filling ---------------------------------------------------------------------------------------------------------


def fill(database: Database, count: int, draw: random.Random) -> None:
    """So many pictures of the owner's, and a twentieth as many of another account among them."""
    with database.write() as tx:
        tx.execute("INSERT INTO account (id, created_at) VALUES (?, ?)", (OTHER, NOW))
    mine = -(-count // PER_JOB)
    accounts = [OWNER] * mine + [OTHER] * (mine // 20)
    draw.shuffle(accounts)
    for start in range(0, len(accounts), AT_ONCE):
        with database.write() as tx:
            for number, account in enumerate(accounts[start : start + AT_ONCE], start):
                one_job(tx, account, NOW + 60 * number, draw)
            done = "state = 'done', delivered = pictures, ended_at = created_at + 30"
            tx.execute(f"UPDATE job SET {done} WHERE state = 'queued'")
    with database.write() as tx:
        # A hundredth was deleted, a twentieth is liked.
        tx.execute("UPDATE picture SET deleted_at = ? WHERE seq % 100 = 7", (utc_now(),))
        tx.execute("UPDATE picture SET favourite = 1 WHERE seq % 20 = 3")
    database.close()


def one_job(tx: Tx, account: str, now: int, draw: random.Random) -> None:
    """A job and its eight pictures: mostly drawn from a prompt, some of them upscaled ones."""
    prompt = " ".join(draw.choices(WORDS, k=draw.choice((4, 8, 15, 30, 60))))
    request: Request = ImageRequest(
        prompt=prompt,
        base=draw.choice(BASES),
        style=draw.choice(STYLES),
        tune=draw.choice(TUNES),
        seed=7,
        count=PER_JOB,
    )
    if draw.random() < 0.05:
        request = UpscaleRequest(uploads=tuple(new_id() for _ in range(PER_JOB)))
    job_id = new_id()
    job_store.insert(tx, job_id=job_id, account=account, request=request, asked="", charges=(), now=now)
    job = job_store.get(tx, account, job_id)
    for index in range(PER_JOB):
        pictures.record(tx, job, drawn(job, index, prompt), now=now)


def drawn(job: Job, index: int, prompt: str) -> Drawn:
    recipe: Mapping[str, object] = {
        "format": 1,
        "kind": job.request.kind,
        "prompt": f"{prompt}, in a style with a description that is a line long, as styles have it",
        "negative": "blurry, low quality, deformed hands, text, watermark",
        "asked": {"prompt": prompt, "negative": ""},
        "style": job.request.style,
        "base": {"id": job.request.base, "family": "starter", "revision": "1", "licence": "Apache-2.0"},
        "steps": 30, "scheduler": "ddim", "sampler": "DDIM", "guidance": 3.0, "seed": 7 + index,
        "width": 512, "height": 512, "asked_size": [512, 512], "super_resolution": False,
        "versions": {"likeness": "Likeness 1", "torch": "2.14.1", "diffusers": "0.42.1"},
    }  # fmt: skip
    return Drawn(index=index, file=Path("none"), width=512, height=512, seed=7 + index, recipe=recipe)


# --- measuring -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Figure:
    """How long something took each time, in seconds; the limit of its median; where it is slow, its queries' plans."""

    name: str
    wall: list[float]
    processor: list[float]
    most: float
    plans: tuple[str, ...] = ()

    @property
    def median(self) -> float:
        """Of the processor time: what else the machine does is not the studio's."""
        return statistics.median(self.processor)

    def told(self) -> dict[str, object]:
        return {
            "name": self.name,
            "median_ms": round(1000 * statistics.median(self.wall), 2),
            "worst_ms": round(1000 * max(self.wall), 2),
            "processor_median_ms": round(1000 * self.median, 2),
            "processor_worst_ms": round(1000 * max(self.processor), 2),
        }


def filters() -> Iterator[dict[str, Any]]:
    """Every set of filters: all combinations of a usual value each, and single ones that are rare, common or odd."""
    usual = {"kind": "image", "base": "starter", "style": "style-03", "tune": TUNE, "favourites": True}
    usual |= {"text": "woman red"}
    for several in range(len(usual) + 1):
        for names in itertools.combinations(usual, several):
            yield {name: usual[name] for name in names}
    yield from ({"kind": "upscale"}, {"base": "rare"}, {"kind": "upscale", "favourites": True})
    for text in (
        "a",
        "portrait",
        "in",
        "größe",
        "東京",
        "人像 улыбка",
        "nowhere",
        "100%",
        "portrait of woman with red hair",
    ):
        yield {"text": text}
    yield {"text": "nowhere", "favourites": True, "style": "style-03"}


def measured(visit: Visit, database: Database, times: int) -> Iterator[Figure]:
    with database.read() as tx:
        (total,) = tx.execute("SELECT count(*) FROM picture WHERE account = ?", (OWNER,)).fetchone()
        (middle,) = tx.execute(
            "SELECT id FROM picture WHERE account = ? ORDER BY seq LIMIT 1 OFFSET ?", (OWNER, total // 2)
        ).fetchone()
    places = {"first": "", "middle": f"before:{middle}", "last": "after:"}
    for chosen in filters():
        given = {"text": "", "kind": "", "base": "", "style": "", "tune": "", "favourites": False, **chosen}
        for name, place in places.items():
            wall, processor = timed(lambda given=given, place=place: gallery.shown(visit, **given, place=place), times)
            said = ", ".join(f"{key} {value}" for key, value in chosen.items()) or "everything"
            figure = Figure(f"{said}: {name} page", wall, processor, MOST_ANY if chosen or place else MOST_FIRST)
            if max(figure.processor) > figure.most:
                plans = plans_of(database, shelf.Filter(**chosen), place)
                figure = Figure(figure.name, wall, processor, figure.most, plans)
            yield figure


def beside(visit: Visit, times: int) -> Iterator[Figure]:
    """What else the page asks for while the Gallery is open."""
    every = visit.studio.gallery.newest(OWNER, limit=200)
    ids = [one.id for one in every]
    seen = page.looked(visit, "", {})[-1]
    asked: tuple[tuple[str, Callable[[], object]], ...] = (
        ("what there is to filter by", lambda: gallery.choices(visit)),
        ("the look that the page takes when it opens", lambda: page.looked(visit, "", {})),
        ("the look that the page takes every few seconds", lambda: page.looked(visit, "", seen)),
        ("marking 200 pictures", lambda: visit.studio.gallery.mark(OWNER, ids, favourite=True)),
        ("deleting 200 pictures", lambda: visit.studio.gallery.delete(OWNER, ids)),
        ("bringing 200 pictures back", lambda: visit.studio.gallery.restore(OWNER, ids)),
    )
    for name, ask in asked:
        yield Figure(name, *timed(ask, times), MOST_ANY)


def timed(ask: Callable[[], object], times: int) -> tuple[list[float], list[float]]:
    """The seconds it took each time: on the clock, and of the processor."""
    wall, processor = [], []
    for _ in range(times):
        at, used = time.perf_counter(), time.thread_time()
        ask()
        wall.append(time.perf_counter() - at)
        processor.append(time.thread_time() - used)
    return wall, processor


def plans_of(database: Database, sieve: shelf.Filter, place: str) -> tuple[str, ...]:
    """The plan of every query that a page takes, as SQLite explains it."""
    way, _, id = place.partition(":")
    ran: list[str] = []
    with database.read() as tx:
        tx.set_trace_callback(ran.append)
        shelf.page(
            tx,
            OWNER,
            sieve,
            limit=gallery.PER_PAGE,
            before=id if way == "before" else None,
            after=id if way == "after" else None,
        )
        tx.set_trace_callback(None)
        told: list[str] = []
        for query in ran:
            if query.lstrip().startswith(("SELECT", "WITH")):
                steps = [str(row["detail"]) for row in tx.execute(f"EXPLAIN QUERY PLAN {query}")]
                told.append(f"{' '.join(query.split())[:160]}\n      " + "\n      ".join(steps))
    return tuple(told)


# --- telling ---------------------------------------------------------------------------------------------------------


def tell(figures: list[Figure], others: list[Figure]) -> None:
    for figure in (*figures, *others):
        told = figure.told()
        print(
            f"{told['processor_median_ms']:>8} ms, worst {told['processor_worst_ms']:>8}; on the clock "
            f"{told['median_ms']:>8}, worst {told['worst_ms']:>8}: {figure.name}"
        )
        for plan in figure.plans:
            print(f"    {plan}")
    for name, limit, some in (
        ("first page of everything", MOST_FIRST, figures[:1]),
        ("any page and filter", MOST_ANY, figures),
    ):
        worst = max(some, key=lambda one: one.median)
        middle = statistics.median(one.median for one in some)
        met = "met" if worst.median <= limit else "NOT met"
        print(
            f"{name}: median {1000 * middle:.1f} ms, worst {1000 * worst.median:.1f} ms ({worst.name}), "
            f"worst of all times {1000 * max(max(one.processor) for one in some):.1f} ms of the processor; "
            f"wanted {1000 * limit:.0f} ms: {met}"
        )


if __name__ == "__main__":
    sys.exit(main())
