"""What pictures would cost, asked before there is a request: while sliders move, or by a command. Opens nothing."""

from collections.abc import Mapping

from studio.credits import pricing
from studio.domain import Charge, ImageRequest

PRICED = ("width", "height", "steps", "count", "super_resolution", "tune")


def of_pictures(prices: pricing.Prices, fields: Mapping[str, object]) -> tuple[Charge, ...]:
    """The charges for pictures of these fields of `ImageRequest`; those that cost nothing are not looked at.

    Raises Refused.
    """
    priced = {field: fields[field] for field in PRICED if field in fields}
    return pricing.quote(prices, ImageRequest.from_json({**priced, "prompt": "any"}))
