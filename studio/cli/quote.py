"""`quote`: what something costs. Loads the price list and nothing else."""

import os
from argparse import Namespace

from studio import answers, quoting
from studio.cli.output import Answer
from studio.credits import pricing
from studio.credits.price_list import PriceList
from studio.domain import Charge, Refused, Size
from studio.settings import Settings


def quote(args: Namespace) -> Answer:
    charges = _charges(args)
    return Answer(
        body=answers.of_charges(charges), text=answers.in_words({charge.kind: charge.amount for charge in charges})
    )


def _charges(args: Namespace) -> tuple[Charge, ...]:
    prices = PriceList(Settings.read(os.environ).data / "prices.toml")()
    if args.scale is not None and args.tool != "upscale":
        raise Refused("scale is for the tool upscale alone.", field="scale", allowed="only with --tool upscale")
    if args.tool is not None:
        return (pricing.tool(prices, args.tool, scale=args.scale, count=args.count),)
    size = Size.parse(args.size)
    fields = {
        "width": size.width,
        "height": size.height,
        "steps": args.steps,
        "count": args.count,
        "super_resolution": args.super_resolution,
    }
    if args.avatars is None:
        return quoting.of_pictures(prices, fields | {"face_enhance": args.face_enhance})
    tools = {"super_resolution": args.super_resolution, "face_enhance": args.face_enhance}
    return quoting.of_avatars(prices, args.avatars, **tools)
