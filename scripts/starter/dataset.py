"""The training pictures on disk: drawn once by every core, kept as plain arrays, read back without copying.

A data set is a folder with, for each shape, `WxH.npy` (uint8, N x H x W x 3) and `WxH.jsonl` (one portrait a line).
Drawing is seeded for each picture alone, so that the set is the same on one core or on sixteen.
"""

import json
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

import numpy as np
from tqdm import tqdm

from starter.drawing import SHAPES, draw
from starter.portrait import Portrait, draw_lots

SQUARES, OTHERS = 40_000, 2_000  # pictures of the square shape, and of each other one
HELD_OUT_SQUARES, HELD_OUT_OTHERS = 1_000, 50
_CHUNK = 250


@dataclass(frozen=True, kw_only=True)
class Drawings:
    """The pictures of one shape (uint8, N x H x W x 3) and what each shows."""

    shape: tuple[int, int]
    pictures: np.ndarray
    portraits: tuple[Portrait, ...]


def _draw_chunk(seed: str, shape: tuple[int, int], numbers: range) -> tuple[np.ndarray, list[Portrait]]:
    pictures = np.empty((len(numbers), shape[1], shape[0], 3), np.uint8)
    portraits: list[Portrait] = []
    for row, number in enumerate(numbers):
        random = Random(f"{seed}/{shape}/{number}")
        portraits.append(draw_lots(random))
        pictures[row] = np.asarray(draw(portraits[-1], random, shape=shape))
    return pictures, portraits


def _draw_shape(folder: Path, seed: str, shape: tuple[int, int], count: int, pool: ProcessPoolExecutor) -> None:
    stem = folder / f"{shape[0]}x{shape[1]}"
    if stem.with_suffix(".jsonl").exists():
        return
    chunks = [range(start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK)]
    unfinished = stem.with_suffix(".npy.part")
    array = np.lib.format.open_memmap(unfinished, "w+", np.uint8, (count, shape[1], shape[0], 3))
    lines: list[str] = []
    jobs = pool.map(_draw_chunk, [seed] * len(chunks), [shape] * len(chunks), chunks)
    for numbers, (pictures, portraits) in zip(chunks, tqdm(jobs, f"drawing {stem.name}", len(chunks)), strict=True):
        array[numbers.start : numbers.stop] = pictures
        lines += [json.dumps(asdict(portrait)) for portrait in portraits]
    array.flush()
    unfinished.replace(stem.with_suffix(".npy"))
    stem.with_suffix(".jsonl").write_text("\n".join(lines), encoding="utf-8")


def make(folder: Path, seed: str, squares: int, others: int) -> None:
    """Draws what is missing of the data set in `folder`; a finished shape is not drawn again."""
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for shape in SHAPES:
            _draw_shape(folder, seed, shape, squares if shape == SHAPES[0] else others, pool)


def read(folder: Path) -> dict[tuple[int, int], Drawings]:
    """The data set in `folder`, by shape. The arrays stay on disk until they are looked at."""
    return {shape: _read_shape(folder / f"{shape[0]}x{shape[1]}", shape) for shape in SHAPES}


def _read_shape(stem: Path, shape: tuple[int, int]) -> Drawings:
    lines = stem.with_suffix(".jsonl").read_text(encoding="utf-8").splitlines()
    pictures = np.load(stem.with_suffix(".npy"), mmap_mode="r")
    return Drawings(shape=shape, pictures=pictures, portraits=tuple(Portrait(**json.loads(line)) for line in lines))
