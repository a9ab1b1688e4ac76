"""What pictures would cost, asked before there is a request: while sliders move, or by a command."""

from collections.abc import Mapping

from studio.credits import pricing
from studio.domain import Charge, ImageRequest
from studio.rules import whole

PRICED = ("width", "height", "steps", "count", "super_resolution", "tune")


def of_pictures(prices: pricing.Prices, fields: Mapping[str, object]) -> tuple[Charge, ...]:
    """The charges for pictures of these fields of `ImageRequest`; those that cost nothing are not looked at.

    Raises Refused.
    """
    priced = {field: fields[field] for field in PRICED if field in fields}
    return pricing.quote(prices, ImageRequest.from_json({**priced, "prompt": "any"}))


def of_avatars(prices: pricing.Prices, count: int, *, super_resolution: bool) -> tuple[Charge, ...]:
    """The charges for so many pictures of a tune. Raises Refused."""
    avatars = pricing.avatars(prices, whole("avatars", count, 1, pricing.MOST_QUOTED))
    return (avatars, pricing.tool(prices, "upscale", scale=2, count=count)) if super_resolution else (avatars,)
