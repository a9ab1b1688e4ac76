"""What the price list says, as values: prices in credits, plans, packs. Sums of money are in hundredths."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from studio.domain import CreditKind, Refused, Size
from studio.rules import shown


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`credits` playground credits on the first of each month. `monthly` is the price of a month, `annual` of twelve;
    None where the operator has set none. One that is not `offered` is kept by those who have it."""

    name: str
    title: str
    credits: int
    monthly: int | None
    annual: int | None
    keeps_tunes: bool
    offered: bool


@dataclass(frozen=True, kw_only=True)
class Pack:
    """Credits that are bought once and do not expire. `price` is None until the operator has set one."""

    name: str
    title: str
    gives: Mapping[CreditKind, int]
    price: int | None
    offered: bool


@dataclass(frozen=True, kw_only=True)
class Prices:
    """The price list. `image` has, smallest area first, a size and its credits for each band of `steps`."""

    currency: str
    steps: tuple[int, ...]
    image: tuple[tuple[Size, tuple[int, ...]], ...]
    tools: Mapping[str, int]
    training: int
    avatar: int
    refund_days: int
    plans: Mapping[str, Plan]
    packs: Mapping[str, Pack]

    def plan(self, name: str) -> Plan:
        """The plan on offer. Raises Refused."""
        return _offered("plan", self.plans, name)

    def pack(self, name: str) -> Pack:
        """The pack on offer. Raises Refused."""
        return _offered("pack", self.packs, name)


Item = TypeVar("Item", Plan, Pack)


def _offered(what: str, shelf: Mapping[str, Item], name: str) -> Item:
    found = shelf.get(name)
    if found is None or not found.offered:
        offered = ", ".join(item.name for item in shelf.values() if item.offered)
        raise Refused(f"There is no {what} {shown(name)}.", field=what, allowed=offered)
    return found


def money(amount: int | None, currency: str) -> str:
    """A sum in hundredths as a person reads it: `24.50 USD`."""
    return "no price set" if amount is None else f"{amount // 100}.{amount % 100:02} {currency}"


def cents(field: str, words: str) -> int:
    """The hundredths of a sum like `24.50` or `24,50`. Raises Refused."""
    found = re.fullmatch(r"([0-9]{1,7})(?:[.,]([0-9]{1,2}))?", words, re.ASCII)
    if found is None:
        raise Refused(f"{field} must be a sum like 24.50, not {shown(words)}.", field=field, allowed="0 to 1000000")
    return int(found[1]) * 100 + int((found[2] or "0").ljust(2, "0"))
