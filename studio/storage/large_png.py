"""Small copies of PNGs too large to be decoded whole: read row by row, averaged as they come.

Knows the PNGs that the tools write (https://www.w3.org/TR/png-3/): not interlaced, every row filtered with Up.
"""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # by colour type
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
UP = 2
BLOCK = 1 << 20

Array = np.ndarray[Any, np.dtype[Any]]


def size_of(path: Path) -> tuple[int, int]:
    """Width and height in pixels. Raises ValueError where it is no PNG, and OSError."""
    with path.open("rb") as file:
        head = file.read(24)
    if len(head) < 24 or not head.startswith(SIGNATURE):
        raise ValueError(f"{path} is no PNG")
    width, height = struct.unpack(">II", head[16:24])
    return width, height


def reduced(path: Path, side: int) -> Image.Image:
    """A copy with a longer side of `side` to twice that. Raises ValueError for a PNG of another kind, and OSError."""
    with path.open("rb") as file:
        head = file.read(33)
        width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", head[16:29])
        if depth not in (8, 16) or colour not in CHANNELS or interlaced:
            raise ValueError(f"{path} is of another kind")
        channels = CHANNELS[colour]
        times = max(max(width, height) // side, 1)
        rows: list[Array] = []
        waiting = np.empty((0, width, channels), np.uint8)
        for block in _rows(file, width * channels * depth // 8):
            pixels = block[:, :: depth // 8].reshape(len(block), width, channels)
            waiting = np.concatenate([waiting, pixels])
            whole = len(waiting) // times * times
            rows += [_averaged(waiting[:whole], times)] if whole else []
            waiting = waiting[whole:]
    made = np.concatenate(rows)
    return Image.fromarray(made[..., 0] if channels == 1 else made, MODES[channels])


def _averaged(pixels: Array, times: int) -> Array:
    """Every `times` by `times` pixels as one; what is left over on the right is left out."""
    high, across, channels = len(pixels) // times, pixels.shape[1] // times, pixels.shape[2]
    cut = pixels[:, : across * times].reshape(high, times, across, times, channels)
    return cut.mean(axis=(1, 3), dtype=np.float32).astype(np.uint8)


def _rows(file: Any, length: int) -> Iterator[Array]:
    """The rows' bytes, some at a time: (rows, length)."""
    unpacker = zlib.decompressobj()
    above = np.zeros(length, np.uint8)
    packed = b""
    for part in _packed(file):
        packed += unpacker.decompress(part)
        count = len(packed) // (length + 1)
        if not count:
            continue
        block = np.frombuffer(packed, np.uint8, count * (length + 1)).reshape(count, length + 1)
        if (block[:, 0] != UP).any():
            raise ValueError("its rows are filtered otherwise")
        rows = np.add.accumulate(np.concatenate([above[None], block[:, 1:]]), axis=0, dtype=np.uint8)[1:]
        above, packed = rows[-1].copy(), packed[count * (length + 1) :]
        yield rows


def _packed(file: Any) -> Iterator[bytes]:
    """What the IDAT chunks hold, in parts that are not too long."""
    while len(head := file.read(8)) == 8:
        left = int.from_bytes(head[:4], "big")
        if head[4:] != b"IDAT":
            file.seek(left + 4, 1)
            continue
        while left:
            part = file.read(min(left, BLOCK))
            if not part:
                return
            left -= len(part)
            yield part
        file.seek(4, 1)
