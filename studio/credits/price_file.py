"""Checks each value of a price file, and makes the price list of it."""

import re
import tomllib
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any, cast

from studio.credits.prices import Pack, Plan, Prices
from studio.domain import CreditKind, Refused, Size
from studio.rules import MOST_STEPS, flag, shown, text, whole

MOST_PRICE = 10_000  # credits for one thing
MOST_GIVEN = 10_000_000  # credits of one plan or pack
MOST_MONEY = 100_000_000  # hundredths
TOOLS = ("upscale-x2", "upscale-x4", "face", "background")
PACKED: tuple[CreditKind, ...] = ("tune", "tune_image")  # playground credits come with plans alone
TAKEN = ("house",)  # names of plans that mean something already

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")

Table = dict[str, Any]
Keys = tuple[str, ...]  # that lead to a value


class Wrong(Exception):
    """What is wrong with the value that these keys lead to."""

    def __init__(self, keys: Keys, reason: str) -> None:
        super().__init__(reason)
        self.keys = keys


@contextmanager
def _at(keys: Keys) -> Generator[None]:
    try:
        yield
    except Refused as error:
        raise Wrong(keys, error.message) from error


@dataclass(frozen=True)
class Node:
    """A table of the file and the keys that lead to it."""

    table: Table
    keys: Keys

    def only(self, *known: str) -> None:
        for key in self.table:
            if key not in known:
                raise Wrong((*self.keys, key), f"there is no {shown(key)} here; known are {', '.join(known)}.")

    def node(self, key: str) -> "Node":
        value = self.value(key)
        if not isinstance(value, dict):
            raise Wrong((*self.keys, key), f"{key} must be a table, not {shown(value)}.")
        return Node(cast(Table, value), (*self.keys, key))

    def value(self, key: str) -> object:
        if key not in self.table:
            raise Wrong(self.keys, f"{key} is missing.")
        return self.table[key]

    def whole(self, key: str, least: int, most: int) -> int:
        with _at((*self.keys, key)):
            return whole(key, self.value(key), least, most)

    def wholes(self, key: str, least: int, most: int) -> tuple[int, ...]:
        value = self.value(key)
        ones: list[object] = cast(list[object], value) if isinstance(value, list) else []
        with _at((*self.keys, key)):
            if not ones:
                raise Refused(f"{key} must be a list of whole numbers, not {shown(self.table[key])}.")
            return tuple(whole(key, one, least, most) for one in ones)

    def flag(self, key: str, default: bool) -> bool:
        with _at((*self.keys, key)):
            return flag(key, self.table.get(key, default))

    def text(self, key: str, default: str) -> str:
        with _at((*self.keys, key)):
            return text(key, self.table.get(key, default), most=60)

    def money(self, key: str) -> int | None:
        """A sum as hundredths, exactly; None where there is none."""
        if key not in self.table:
            return None
        value = self.table[key]
        cents = Decimal(value) * 100 if type(value) in (int, Decimal) else Decimal("nan")
        if not cents.is_finite() or cents != int(cents) or not 0 <= cents <= MOST_MONEY:
            words = value if isinstance(value, Decimal) else shown(value)
            most = MOST_MONEY // 100
            raise Wrong((*self.keys, key), f"{key} must be a sum from 0 to {most}, in cents at most, not {words}.")
        return int(cents)


def load(words: str) -> Table:
    """The file as tables, with exact decimals. Raises TOMLDecodeError."""
    return tomllib.loads(words, parse_float=Decimal)


def merge(base: Table, own: Table, keys: Keys) -> Table:
    """The base with what `own` changes. The table of sizes is replaced as a whole, so that sizes can be left out."""
    merged = dict(base)
    for key, value in own.items():
        below = merged.get(key)
        if isinstance(below, dict) and (*keys, key) != ("image", "credits"):
            if not isinstance(value, dict):
                raise Wrong((*keys, key), f"{key} must be a table, not {shown(value)}.")
            merged[key] = merge(cast(Table, below), cast(Table, value), (*keys, key))
        else:
            merged[key] = value
    return merged


def prices_of(table: Table) -> Prices:
    """The price list that a whole table says. Raises Wrong."""
    top = Node(table, ())
    top.only("currency", "image", "tools", "tune", "refund", "plans", "packs")
    currency = top.text("currency", "")
    if not re.fullmatch("[A-Z]{3}", currency):
        raise Wrong(("currency",), f"currency must be three capitals, like EUR, not {shown(currency)}.")
    tools, tune, refund = top.node("tools"), top.node("tune"), top.node("refund")
    tools.only(*TOOLS)
    tune.only("training", "avatar")
    refund.only("days")
    plans, packs = top.node("plans"), top.node("packs")
    steps, image = _image(top.node("image"))
    return Prices(
        currency=currency,
        steps=steps,
        image=image,
        tools={tool: tools.whole(tool, 0, MOST_PRICE) for tool in TOOLS},
        training=tune.whole("training", 0, MOST_PRICE),
        avatar=tune.whole("avatar", 0, MOST_PRICE),
        refund_days=refund.whole("days", 0, 366),
        plans={name: _plan(name, plans.node(name)) for name in plans.table},
        packs={name: _pack(name, packs.node(name)) for name in packs.table},
    )


def _image(node: Node) -> tuple[tuple[int, ...], tuple[tuple[Size, tuple[int, ...]], ...]]:
    """The bands of steps, and the sizes by area. No price may fall when steps or area grow."""
    node.only("steps", "credits")
    steps = node.wholes("steps", 1, MOST_STEPS)
    if any(less >= more for less, more in pairwise(steps)):
        raise Wrong((*node.keys, "steps"), "steps must grow.")
    credits = node.node("credits")
    rows: dict[Size, tuple[tuple[int, ...], Keys]] = {}
    for key in credits.table:
        keys = (*credits.keys, key)
        with _at(keys):
            size = Size.parse(key)
        row = credits.wholes(key, 0, MOST_PRICE)
        if len(row) != len(steps):
            raise Wrong(keys, f"{key} must have {len(steps)} prices, one for each of steps, not {len(row)}.")
        if any(less > more for less, more in pairwise(row)):
            raise Wrong(keys, f"{key}: a price must not fall when steps grow.")
        if size in rows or Size(width=size.height, height=size.width) in rows:
            raise Wrong(keys, f"{key} is there twice: lying and standing cost the same.")
        rows[size] = row, keys
    if not rows:
        raise Wrong(credits.keys, "at least one size must have a price.")
    by_area = sorted(rows.items(), key=lambda item: item[0].width * item[0].height)
    for (smaller, (less, _)), (larger, (more, keys)) in pairwise(by_area):
        if any(small > large for small, large in zip(less, more, strict=True)):
            raise Wrong(keys, f"{larger} must not cost less than {smaller}, which is smaller.")
    return steps, tuple((size, row) for size, (row, _) in by_area)


def _plan(name: str, node: Node) -> Plan:
    _named(name, node)
    node.only("title", "credits", "monthly", "annual", "keeps_tunes", "offered")
    return Plan(
        name=name,
        title=node.text("title", name.capitalize()),
        credits=node.whole("credits", 1, MOST_GIVEN),
        monthly=node.money("monthly"),
        annual=node.money("annual"),
        keeps_tunes=node.flag("keeps_tunes", False),
        offered=node.flag("offered", True),
    )


def _pack(name: str, node: Node) -> Pack:
    _named(name, node)
    if "playground" in node.table:
        keys = (*node.keys, "playground")
        raise Wrong(keys, "playground credits are not sold in packs: they come with a plan, or are granted by hand.")
    node.only("title", "price", "offered", *PACKED)
    gives: dict[CreditKind, int] = {kind: node.whole(kind, 1, MOST_GIVEN) for kind in PACKED if kind in node.table}
    if not gives:
        raise Wrong(node.keys, f"the pack {name} gives nothing: set {' or '.join(PACKED)}.")
    return Pack(
        name=name,
        title=node.text("title", name.capitalize()),
        gives=gives,
        price=node.money("price"),
        offered=node.flag("offered", True),
    )


def _named(name: str, node: Node) -> None:
    if not _NAME.fullmatch(name) or name in TAKEN:
        reason = f"{name} means something already." if name in TAKEN else "small letters, digits and - make up a name."
        raise Wrong(node.keys, reason)
