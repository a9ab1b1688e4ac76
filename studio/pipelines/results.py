"""What a tool makes of a picture: its bands of rows, and the file they become, with what was done and the AI mark.

A picture the studio made keeps its recipe and its mark. Any other gets the mark that is true of it, by IPTC's list of
digital source types (https://cv.iptc.org/newscodes/digitalsourcetype/).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from studio.pipelines.picture_files import Array, Photo, eight_bits, read
from studio.pipelines.png import mask_in
from studio.pipelines.recipe import MARK, OWN_KEY, XMP, XMP_KEY
from studio.pipelines.versions import versions

SOURCE_TYPES = MARK.rpartition("/")[0]
GENERATED = f"{SOURCE_TYPES}/compositeWithTrainedAlgorithmicMedia"  # a photo with pixels that a model made up
EDITED = f"{SOURCE_TYPES}/algorithmicallyEnhanced"  # a photo of which an algorithm left something out
MOST_RECIPE = 50_000  # characters of a recipe that came with a file


@dataclass(frozen=True, kw_only=True)
class Result:
    """A picture in the making: `bands` are (rows, width, channels) arrays from top to bottom, made as they are asked
    for. `did` says what was done; `mask` is a grey PNG that goes with the file."""

    width: int
    height: int
    channels: int
    depth: int
    profile: bytes | None
    bands: Iterable[Array]
    did: Mapping[str, Any]
    source_type: str
    mask: bytes | None = None


def recipe_of(kind: str, photo: Photo, result: Result) -> dict[str, Any]:
    """The recipe a result carries: that of the picture it was made from, where the studio made that, and every tool
    that has worked on it since, in order."""
    step = {"tool": kind, "from": [photo.width, photo.height], "to": [result.width, result.height], **result.did}
    step["versions"] = versions()
    before = photo.carried.recipe
    if not isinstance(before, dict) or len(json.dumps(before)) > MOST_RECIPE:
        before = {"format": 1, "kind": kind}
    done = before.get("tools")
    return {**before, "tools": [*(done if isinstance(done, list) else []), step]}


def texts_of(photo: Photo, result: Result, recipe: Mapping[str, Any]) -> dict[str, str]:
    """The file's text chunks: A1111's `parameters` as they came, the recipe, and the mark."""
    mark = MARK if photo.carried.marked else result.source_type
    texts = {OWN_KEY: json.dumps(recipe, ensure_ascii=False, sort_keys=True), XMP_KEY: XMP.replace(MARK, mark)}
    words = photo.carried.parameters
    return {"parameters": words, **texts} if words and len(words) <= MOST_RECIPE else texts


def mask_png(path: Path) -> bytes | None:
    """What was cut out on a picture, as a grey PNG: its transparency, or the mask that goes with its file. None where
    it has neither. Raises Refused where it is no picture."""
    if (kept := mask_in(path)) is not None:
        return kept
    alpha = read(path).alpha
    if alpha is None:
        return None
    done, png = cv2.imencode(".png", eight_bits(alpha))
    return png.tobytes() if done else None
