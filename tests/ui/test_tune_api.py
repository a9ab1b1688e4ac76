"""Tunes by the API: looked at, trained, listed and drawn with, and refused by the field."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from studio.domain import OWNER
from studio.rules import new_id
from tests.ui import apprentice
from tests.ui.conftest import Served
from tests.ui.test_api import ended

ENDPOINTS = {
    "/tune_check": ["files", "class_name", "photos", "crop"],
    "/tune_train": [
        "files", "name", "class_name", "consent", "base", "steps", "styles", "photos", "crop", "leave_out_bad", "rank",
        "seed", "caption", "text_encoder", "prior", "mirrored", "policy", "id",
    ],
    "/tunes": ["limit", "before"],
    "/avatars": [
        "tune", "style", "prompt", "negative", "base", "size", "steps", "count", "super_resolution", "face_enhance",
        "guidance", "scheduler", "seed", "strength", "id",
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[Client]:
    asker = Client(served.url, verbose=False)
    yield asker
    asker.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    return [handle_file(str(file)) for file in apprentice.photos(tmp_path_factory.mktemp("photos"))]


def train(client: Client, files: list[Any], **given: Any) -> dict[str, Any]:
    asked = {"name": "Ada", "class_name": "object", "photos": "drawn", "consent": True, "styles": []} | given
    return client.predict(files, **asked, api_name="/tune_train")


def test_the_endpoints_and_their_arguments_are_the_commands(client: Client) -> None:
    told: Any = client.view_api(return_format="dict", print_info=False)
    named = {
        name: [one["parameter_name"] for one in end["parameters"]] for name, end in told["named_endpoints"].items()
    }
    assert {name: named[name] for name in ENDPOINTS} == ENDPOINTS


def test_photos_become_a_tune_and_its_avatars_and_are_found_by_it(client: Client, served: Served, files: Any) -> None:
    assert client.predict(files, "object", "drawn", api_name="/tune_check")["may_start"]
    otherwise = {"text_encoder": False, "prior": False, "mirrored": False}
    job = train(client, files, styles=["toon"], **otherwise)
    assert {name: job["request"][name] for name in otherwise} == otherwise
    assert (job["kind"], job["price"], job["charges"][0]["kind"]) == ("tune", 1, "tune")
    assert ended(client, job["id"])["state"] == "done"
    tune = next(one for one in client.predict(api_name="/tunes")["tunes"] if one["id"] == job["tune"])
    assert (tune["name"], tune["state"], tune["job"]) == ("Ada", "ready", job["id"]) and tune["losses"]
    for first in served.studio.tuning.first_jobs(OWNER, tune["id"]):
        assert ended(client, first.id)["delivered"] == 8
    asked = {"prompt": "{subject} in the snow", "count": 2, "seed": 7, "strength": 0.8, "super_resolution": True}
    more = client.predict(tune["id"], **asked, api_name="/avatars")
    assert [(one["kind"], one["amount"]) for one in more["charges"]] == [("tune_image", 2), ("playground", 2)]
    done = ended(client, more["id"])
    assert (done["state"], done["request"]["prompt"]) == ("done", "sks object in the snow")
    found = client.predict(tune=tune["id"], api_name="/pictures")
    assert found["total"] == 10 and {one["tune"] for one in found["pictures"]} == {tune["id"]}
    assert [one["id"] for one in found["pictures"][:2]] == [one["id"] for one in done["made"][::-1]]


def test_the_same_id_twice_is_one_training(client: Client, files: Any) -> None:
    same = new_id()
    jobs = [train(client, files, id=same, seed=1) for _ in range(2)]
    assert jobs[0]["id"] == jobs[1]["id"] == same and jobs[0]["tune"] == jobs[1]["tune"]


def test_a_page_of_tunes_goes_on_where_the_last_one_ended(client: Client, files: Any) -> None:
    for name in ("one", "two"):
        train(client, files, name=name)
    first = client.predict(limit=1, api_name="/tunes")["tunes"]
    second = client.predict(limit=1, before=first[0]["id"], api_name="/tunes")["tunes"]
    assert (first[0]["name"], second[0]["name"]) == ("two", "one")


def test_bad_photos_stop_the_start_with_what_is_wrong_and_can_be_left_out(
    client: Client, served: Served, files: Any, tmp_path: Path
) -> None:
    Image.new("RGB", (40, 40), "red").save(tmp_path / "tiny.png")
    mixed = [*files, handle_file(str(tmp_path / "tiny.png"))]
    with pytest.raises(AppError, match=r"tiny\.png: The photo is too small: 40x40"):
        train(client, mixed)
    job = train(client, mixed, leave_out_bad=True, id=(same := new_id()))
    assert job["id"] == same and len(job["request"]["photos"]) == len(files)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"consent": False}, "without consent"),
        ({"consent": "yes"}, "consent"),
        ({"name": " "}, "name"),
        ({"class_name": "horse"}, "class"),
        ({"photos": "painted"}, "photos"),
        ({"crop": "left"}, "crop"),
        ({"base": "nowhere"}, "base"),
        ({"steps": "50"}, "steps"),
        ({"steps": 9}, "steps"),
        ({"rank": 0}, "rank"),
        ({"styles": ["toon", "toon"]}, "styles"),
        ({"styles": "toon"}, "styles"),
        ({"policy": "keep-all"}, "policy"),
        ({"leave_out_bad": 1}, "leave_out_bad"),
        ({"id": "mine"}, "id"),
        ({"files": 3}, "files"),
    ],
)
def test_what_is_refused_names_the_field_and_trains_nothing(
    client: Client, served: Served, files: Any, asked: dict[str, Any], said: str
) -> None:
    before = len(served.studio.tuning.all(OWNER))
    given = dict(asked)
    photos = files[: given.pop("files", len(files))]
    with pytest.raises(AppError, match=said):
        train(client, photos, **given)
    assert len(served.studio.tuning.all(OWNER)) == before


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"tune": "../x"}, "tune"),
        ({"tune": new_id()}, "no such tune"),
        ({"count": 9}, "count"),
        ({"size": "500x500"}, "width"),
        ({"steps": 0}, "steps"),
        ({"prompt": 7}, "prompt"),
        ({"strength": 3}, "tune_strength"),
        ({"face_enhance": "yes"}, "face_enhance"),
    ],
)
def test_avatars_that_cannot_be_made_are_refused_by_the_field(
    client: Client, served: Served, files: Any, asked: dict[str, Any], said: str
) -> None:
    ready = next((one.id for one in served.studio.tuning.all(OWNER) if one.state == "ready"), None)
    if ready is None:
        job = train(client, files)
        ended(client, job["id"])
        ready = job["tune"]
    with pytest.raises(AppError, match=said):
        client.predict(**{"tune": ready, **asked, "api_name": "/avatars"})
