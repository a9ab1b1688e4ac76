"""What pictures would cost, asked before there is a request: while sliders move, or by a command."""

from collections.abc import Mapping

from studio.credits import pricing
from studio.domain import Charge, ImageRequest
from studio.rules import flag, whole

PRICED = ("width", "height", "steps", "count", "super_resolution", "face_enhance", "tune")


def of_pictures(prices: pricing.Prices, fields: Mapping[str, object]) -> tuple[Charge, ...]:
    """The charges for pictures of these fields of `ImageRequest`; those that cost nothing are not looked at.

    Raises Refused.
    """
    priced = {field: fields[field] for field in PRICED if field in fields}
    return pricing.quote(prices, ImageRequest.from_json({**priced, "prompt": "any"}))


def of_avatars(prices: pricing.Prices, count: int, *, super_resolution: bool, face_enhance: bool) -> tuple[Charge, ...]:
    """The charges for so many pictures of a tune, and then for the tools that work on them. Raises Refused."""
    avatars = pricing.avatars(prices, whole("avatars", count, 1, pricing.MOST_QUOTED))
    switches = {"super_resolution": super_resolution, "face_enhance": face_enhance}
    return (avatars, *pricing.tools_on(prices, [name for name, on in switches.items() if flag(name, on)], count))
