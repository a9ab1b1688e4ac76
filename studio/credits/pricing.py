"""What a request costs. Pure: knows the price table, no account and no database."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from studio.domain import Charge, Refused, Request, Size
from studio.rules import MOST_STEPS, SIZE_RULE, shown, whole

SHIPPED = Path(__file__).with_name("prices.toml")
MOST_QUOTED = 100_000  # pictures in one quote: a batch, not a job


@dataclass(frozen=True, kw_only=True)
class Prices:
    """The price table. `image` has, smallest area first, a size and its credits for each band of `steps`."""

    steps: tuple[int, ...]
    image: tuple[tuple[Size, tuple[int, ...]], ...]
    tools: Mapping[str, int]
    training: int
    avatar: int

    @classmethod
    def read(cls, file: Path) -> "Prices":
        """The table in a TOML file that has the layout of the shipped one."""
        table: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
        rows = ((Size.parse(size), tuple(credits)) for size, credits in table["image"]["credits"].items())
        return cls(
            steps=tuple(table["image"]["steps"]),
            image=tuple(sorted(rows, key=lambda row: row[0].width * row[0].height)),
            tools=table["tools"],
            training=table["tune"]["training"],
            avatar=table["tune"]["avatar"],
        )


@cache
def shipped() -> Prices:
    """The table that comes with the studio."""
    return Prices.read(SHIPPED)


def picture(prices: Prices, size: Size, steps: int) -> int:
    """Playground credits for one picture of this size from text. Raises Refused beyond the table."""
    whole("steps", steps, 1, MOST_STEPS)
    band = next((band for band, most in enumerate(prices.steps) if steps <= most), None)
    if band is None:
        raise Refused(
            f"steps must be at most {prices.steps[-1]}, not {steps}.", field="steps", allowed=f"1 to {prices.steps[-1]}"
        )
    short, long = sorted((size.width, size.height))
    for row, credits in prices.image:
        if short <= min(row.width, row.height) and long <= max(row.width, row.height):
            return credits[band]
    largest = prices.image[-1][0]
    raise Refused(f"The size must fit into {largest}, {size} does not.", field="width", allowed=SIZE_RULE)


def tool(prices: Prices, name: str, *, scale: int | None = None, count: int = 1) -> Charge:
    """What `upscale` (by `scale`, 2 or 4), `face` or `background` costs for `count` pictures. Raises Refused."""
    if name not in ("upscale", "face", "background"):
        raise Refused(f"There is no tool {shown(name)}.", field="tool", allowed="upscale, face, background")
    if name == "upscale" and (type(scale) is not int or scale not in (2, 4)):
        raise Refused(f"scale must be 2 or 4, not {shown(scale)}.", field="scale", allowed="2, 4")
    row = f"upscale-x{scale}" if name == "upscale" else name
    return Charge(kind="playground", each=prices.tools[row], count=whole("count", count, 1, MOST_QUOTED))


def avatars(prices: Prices, count: int) -> Charge:
    """What `count` pictures made from a tune cost. Raises Refused."""
    return Charge(kind="tune_image", each=prices.avatar, count=whole("count", count, 1, MOST_QUOTED))


def quote(prices: Prices, request: Request) -> tuple[Charge, ...]:
    """What the request costs: one charge for each kind of credit. A free picture costs playground credits, an avatar
    a tune-image credit and, where super-resolution is asked for, playground credits for that tool. Raises Refused."""
    extra = prices.tools["upscale-x2"] if request.super_resolution else 0
    if request.tune is None:
        each = picture(prices, request.size, request.steps) + extra
        return (Charge(kind="playground", each=each, count=request.count),)
    avatar = avatars(prices, request.count)
    return (avatar, Charge(kind="playground", each=extra, count=request.count)) if extra else (avatar,)
