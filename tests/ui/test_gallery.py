"""The Gallery and its window for one picture: pages that were emptied, and what is told and offered of a picture."""

from dataclasses import replace

import httpx
import pytest

from studio.domain import OWNER
from studio.ui import gallery, media, recipe
from studio.ui.visit import Visit
from tests.ui.conftest import Served

UPSCALED = {"tool": "upscale", "from": [96, 64], "to": [192, 128], "model": "realesrgan-x4plus", "scale": 2}


def shelf(visit: Visit, text: str, place: str = "") -> str:
    return str(gallery.shown(visit, text, "", "", "", "", False, place))


def test_a_last_page_that_was_emptied_shows_the_one_before_it(
    served: Served, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery, "PER_PAGE", 2)
    made = [one.id for one in served.pictures(prompt="a lamplighter", count=4)]
    last = shelf(visit, "lamplighter", f"before:{made[2]}")
    assert made[0] in last and made[1] in last and made[2] not in last
    visit.studio.gallery.delete(OWNER, made[:2])
    left = shelf(visit, "lamplighter", f"before:{made[2]}")
    assert made[2] in left and made[3] in left


def test_what_a_tool_did_is_told(served: Served, visit: Visit) -> None:
    (picture,) = served.pictures(count=1)
    worked_on = replace(picture, recipe={**picture.recipe, "tools": [UPSCALED, {"tool": "background"}, "?"]})
    told = recipe.pairs(visit, worked_on)
    assert [value for _, value in told][-2:] == [
        "Upscaled: 96 x 64 → 192 x 128, realesrgan-x4plus",
        "Background removed",
    ]
    (row,) = media.recipes([worked_on]).splitlines()[1:]
    assert "upscale background" in row and row.startswith("likeness-")


def test_only_what_a_picture_can_be_used_for_is_offered(served: Served) -> None:
    (picture,) = served.pictures(count=1)
    about = httpx.get(f"{served.url}media/pictures/{picture.id}/about").json()
    assert about["cannot"] == [] and about["parameters"].startswith("a smiling woman")
    photo = replace(picture, kind="upscale", seed=None, recipe={"kind": "upscale", "tools": [UPSCALED]})
    assert media.cannot(photo, "") == ["reuse", "vary", "seed", "copy"]


def test_a_zip_that_cannot_be_made_says_why_in_the_readers_language(served: Served) -> None:
    asked = {"ids": ",".join(["x"] * 501)}
    said = httpx.post(f"{served.url}media/zip", data=asked, headers={"accept-language": "de"}).json()
    assert "500" in said["error"] and "pictures" not in said["error"]
