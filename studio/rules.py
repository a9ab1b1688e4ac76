"""What single values may be: each rule returns the value as it is kept, or raises `Refused` naming field and limits."""

import json
import re
import uuid
from collections.abc import Sequence
from contextlib import suppress
from typing import cast

from studio.errors import Refused

MOST_STEPS = 150
MOST_COUNT = 8
MOST_SEED = 2**32 - 1
MOST_PROMPT = 2_000  # characters; what a model's text encoder then leaves out is told as a warning
SIDE_STEP, SIDE_LEAST, SIDE_MOST = 64, 128, 1024
SIZE_RULE = f"width and height: each a multiple of {SIDE_STEP} from {SIDE_LEAST} to {SIDE_MOST}"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@/-]{0,199}")
_NAME_RULE = "letters, digits and . _ - @ /, at most 200, beginning with a letter or digit"
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def shown(value: object) -> str:
    """The value as a message may quote it: short, and harmless on a terminal."""
    words = repr(value)
    return words if len(words) <= 60 else words[:57] + "..."


def whole(field: str, value: object, least: int, most: int) -> int:
    """The value if it is an `int` (no bool, no 50.0, no "50") within the limits; else `Refused`."""
    if type(value) is not int or not least <= value <= most:
        allowed = f"{least} to {most}"
        raise Refused(
            f"{field} must be a whole number from {allowed}, not {shown(value)}.", field=field, allowed=allowed
        )
    return value


def number(field: str, value: object, least: float, most: float) -> float:
    """The value as a float if it is a finite number within the limits; else `Refused`."""
    # NaN and the infinities fail the comparison, so they need no word of their own.
    if type(value) not in (int, float) or not least <= cast(float, value) <= most:
        allowed = f"{least:g} to {most:g}"
        raise Refused(f"{field} must be a number from {allowed}, not {shown(value)}.", field=field, allowed=allowed)
    return float(cast(float, value))


def flag(field: str, value: object) -> bool:
    """The value if it is true or false; else `Refused`."""
    if type(value) is not bool:
        raise Refused(f"{field} must be true or false, not {shown(value)}.", field=field, allowed="true, false")
    return value


def text(field: str, value: object, *, most: int, empty: bool = False) -> str:
    """The value, with line ends made `\\n`, if it is a text without control characters; else `Refused`."""
    allowed = f"{'0' if empty else '1'} to {most} characters, without control characters"
    if type(value) is not str:
        raise Refused(f"{field} must be a text, not {shown(value)}.", field=field, allowed=allowed)
    value = value.replace("\r\n", "\n")
    if not empty and not value.strip():
        raise Refused(f"{field} is empty: write what it should say.", field=field, allowed=allowed)
    if len(value) > most:
        raise Refused(f"{field} has {len(value)} characters; at most {most} are allowed.", field=field, allowed=allowed)
    if found := _CONTROL.search(value):
        raise Refused(
            f"{field} has a control character (U+{ord(found.group()):04X}) at position {found.start() + 1}; "
            "only line breaks and tabs are allowed.",
            field=field,
            allowed=allowed,
        )
    return value


def name(field: str, value: object) -> str:
    """The value if it can be the id of something (a base, a style, an upload), never a path upwards; else `Refused`."""
    if type(value) is not str or not _NAME.fullmatch(value) or ".." in value or "//" in value:
        raise Refused(f"{field} must be an id, not {shown(value)}.", field=field, allowed=_NAME_RULE)
    return value


def known_fields(kind: str, allowed: Sequence[str], body: object) -> dict[str, object]:
    """The fields of a JSON object that stands for a request of that kind; another field is `Refused`."""
    if not isinstance(body, dict):
        raise Refused(f"A request must be a JSON object, not {shown(body)}.", allowed="a JSON object")
    given = cast(dict[object, object], body)
    for key in given:
        if key not in allowed:
            raise Refused(
                f"There is no field {shown(key)} in a request of kind {kind}.",
                field=str(key)[:60],
                allowed=", ".join(allowed),
            )
    return {str(key): value for key, value in given.items()}


def job_id(value: object, *, field: str = "id") -> str:
    """The UUID in its usual form. Clients make it, so that asking twice is one job. Raises `Refused`."""
    if isinstance(value, str):
        with suppress(ValueError):
            return str(uuid.UUID(value))
    raise Refused(f"{field} must be a UUID, not {shown(value)}.", field=field, allowed="a UUID")


def new_id() -> str:
    """A fresh random UUID."""
    return str(uuid.uuid4())


def canonical(body: object) -> str:
    """The one JSON text of a value: what is compared and hashed. Raises ValueError for NaN and infinities."""
    return json.dumps(body, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
