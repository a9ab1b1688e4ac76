"""`styles list`. Needs no database."""

import os
from argparse import Namespace

from studio.cli.output import Answer, table
from studio.models import Models
from studio.settings import Settings


def list_styles(args: Namespace) -> Answer:
    """Those of a category, for a class and with the words asked for: for people category by category, for programs the
    best first."""
    styles = Models.of(Settings.read(os.environ), os.environ).bases.styles
    found = styles.find(args.search, category=args.category, class_name=args.class_name)
    body = [
        {
            "id": one.id,
            "title": one.title,
            "category": one.category.title,
            "category_id": one.category.id,
            "fits": list(one.fits),
            "prompt": one.prompt,
            "negative": one.negative,
        }
        for one in found
    ]
    by_category = [one for one in styles.values() if one in found]
    rows = [(f"  {one.id}", one.title, ", ".join(one.fits_groups)) for one in by_category]
    heading, *lines = table([("  ID", "TITLE", "FITS"), *rows]).splitlines()
    text = [heading] if lines else ["No style is like that."]
    before = None
    for one, line in zip(by_category, lines, strict=True):
        if one.category != before:
            text.append(f"{one.category.title} ({one.category.id})")
            before = one.category
        text.append(line)
    left_out = [trouble.message for trouble in styles.troubles]
    return Answer(body={"styles": body, "left_out": left_out}, text="\n".join(text))
