"""What a request costs. Pure: knows the price table, no account and no database."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from studio.credits.price_list import shipped as shipped
from studio.credits.prices import Prices as Prices
from studio.domain import Charge, ImageRequest, Refused, Request, Size
from studio.rules import MOST_STEPS, SIZE_RULE, shown, whole

MOST_QUOTED = 100_000  # pictures in one quote: a batch, not a job


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


def tools_on(prices: Prices, switches: Collection[str], count: int) -> tuple[Charge, ...]:
    """What tools that work on each of `count` pictures cost, by the switches of the pictures' request that are on: one
    charge, or none. What was to be made of a face is not charged where no face is found."""
    each = sum(prices.tools[_EXTRAS[switch]] for switch in switches)
    finding = prices.tools[_EXTRAS["face_enhance"]] if "face_enhance" in switches else 0
    return (Charge(kind="playground", each=each, count=count, finding=finding),) if each else ()


def training(prices: Prices) -> Charge:
    """What training one tune costs."""
    return Charge(kind="tune", each=prices.training, count=1)


def quote(prices: Prices, request: Request) -> tuple[Charge, ...]:
    """What the request costs: one charge for each kind of credit. Raises Refused."""
    return _QUOTES[request.kind](prices, request)


def _image(prices: Prices, request: ImageRequest) -> tuple[Charge, ...]:
    """A free picture costs playground credits, an avatar a tune-image credit and, for each tool that is asked for
    with it, playground credits."""
    extra = tools_on(prices, [switch for switch in _EXTRAS if getattr(request, switch)], request.count)
    if request.tune is not None:
        return (avatars(prices, request.count), *extra)
    each = picture(prices, request.size, request.steps) + sum(charge.each for charge in extra)
    return (Charge(kind="playground", each=each, count=request.count),)


_EXTRAS: Mapping[str, str] = {"super_resolution": "upscale-x2", "face_enhance": "face"}
"""The switches of a picture's request that have a tool work on it, and what that tool costs as a row of `tools`."""

_QUOTES: Mapping[str, Callable[[Prices, Any], tuple[Charge, ...]]] = {
    "image": _image,
    "upscale": lambda prices, request: (tool(prices, "upscale", scale=request.scale, count=request.pictures),),
    "face": lambda prices, request: (tool(prices, "face", count=request.pictures),),
    "background": lambda prices, request: (tool(prices, "background", count=request.pictures),),
    "tune": lambda prices, _request: (training(prices),),
    "export": lambda _prices, _request: (),  # what was trained is the account's own
    "import": lambda _prices, _request: (),
}
"""How each kind of request is priced: a new kind is a row here."""
