"""The page's API, asked as programs ask it: what it promises runs, what is bad is refused by the field."""

import io
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from studio.domain import OWNER
from studio.rules import new_id
from tests.ui.conftest import Served, png


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[Client]:
    asker = Client(served.url, verbose=False)
    yield asker
    asker.close()


def ended(client: Client, job_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        job = client.predict(job_id, api_name="/job")
        if job["state"] in ("done", "failed", "cancelled"):
            return job
        time.sleep(0.05)
    raise AssertionError("the job did not end within a minute")


def test_the_endpoints_are_the_promised_ones_and_say_what_they_do(client: Client) -> None:
    named: dict[str, Any] = client.view_api(return_format="dict", print_info=False)["named_endpoints"]  # type: ignore[index]
    assert set(named) == {"/quote", "/generate", "/job", "/cancel", "/pictures", "/balance"}
    for endpoint in named.values():
        assert endpoint["description"]


def test_pictures_are_made_charged_and_served(client: Client, served: Served) -> None:
    job = client.predict("a person", size="512x768", steps=60, count=2, seed=5, api_name="/generate")
    assert (job["state"] in ("queued", "running", "done"), job["price"], job["kind"]) == (True, 4, "playground")
    done = ended(client, job["id"])
    assert (done["state"], done["delivered"], done["charged"]) == ("done", 2, {"playground": 4})
    assert [picture["seed"] for picture in done["made"]] == [5, 6]
    got = httpx.get(served.url + done["made"][0]["url"])
    assert Image.open(io.BytesIO(got.content)).size == (512, 768)
    listed = client.predict(limit=200, api_name="/pictures")["pictures"]
    assert {picture["id"] for picture in done["made"]} <= {picture["id"] for picture in listed}
    assert client.predict(api_name="/balance")["playground"]["held"] == 0


def test_the_quote_is_what_is_then_charged(client: Client) -> None:
    asked = {"size": "1024x1024", "steps": 101, "count": 2, "super_resolution": True}
    quoted = client.predict(**asked, api_name="/quote")
    done = ended(client, client.predict("dear", **asked, api_name="/generate")["id"])
    assert quoted["price"] == 22
    assert done["charged"] == {"playground": 22}


def test_a_page_of_pictures_goes_on_where_the_last_one_ended(client: Client) -> None:
    ended(client, client.predict("three", count=3, api_name="/generate")["id"])
    first = client.predict(limit=2, api_name="/pictures")["pictures"]
    second = client.predict(limit=2, before=first[-1]["id"], api_name="/pictures")["pictures"]
    assert len({one["id"] for one in (*first, *second)}) == len(first) + len(second)


def test_the_same_id_twice_is_one_job(client: Client) -> None:
    same = new_id()
    first, second = (client.predict("once", id=same, seed=1, api_name="/generate") for _ in range(2))
    assert first["id"] == second["id"] == same


def test_a_job_is_cancelled_and_costs_what_it_delivered(client: Client, served: Served) -> None:
    served.artist.pause = 0.1
    try:
        job = client.predict("slow", count=8, api_name="/generate")
        client.predict(job["id"], api_name="/cancel")
        done = ended(client, job["id"])
    finally:
        served.artist.pause = 0.0
    assert done["state"] == "cancelled"
    assert done["charged"] == {"playground": done["delivered"]}


def test_a_picture_to_start_from_and_a_mask_are_handed_in(client: Client, served: Served, tmp_path: Path) -> None:
    (tmp_path / "init.png").write_bytes(png(96, 64, "red"))
    (tmp_path / "mask.png").write_bytes(png(96, 64, "white"))
    files: dict[str, Any] = {
        "init": handle_file(str(tmp_path / "init.png")),
        "mask": handle_file(str(tmp_path / "mask.png")),
    }
    done = ended(client, client.predict("painted", **files, strength=0.4, api_name="/generate")["id"])
    assert done["state"] == "done"
    task = served.artist.asked[-1]
    assert set(task.inputs) == {"init", "mask"}
    assert done["request"]["strength"] == 0.4


BAD: list[tuple[dict[str, Any], str]] = [
    ({"prompt": " "}, "prompt"),
    ({"prompt": "x" * 10_000}, "prompt"),
    ({"prompt": "a\x1b[31m"}, "prompt"),
    ({"prompt": 7}, "prompt"),
    ({"prompt": "a", "steps": 151}, "steps"),
    ({"prompt": "a", "steps": 50.7}, "steps"),
    ({"prompt": "a", "steps": "50"}, "steps"),
    ({"prompt": "a", "steps": True}, "steps"),
    ({"prompt": "a", "size": "513x512"}, "width"),
    ({"prompt": "a", "size": "512x64"}, "height"),
    ({"prompt": "a", "size": "1088x512"}, "width"),
    ({"prompt": "a", "size": 512}, "size"),
    ({"prompt": "a", "count": 9}, "count"),
    ({"prompt": "a", "seed": 2**63}, "seed"),
    ({"prompt": "a", "guidance": "7"}, "guidance"),
    ({"prompt": "a", "base": "nowhere"}, "base"),
    ({"prompt": "a", "style": "nowhere"}, "style"),
    ({"prompt": "a", "scheduler": "lcm"}, "scheduler"),
    ({"prompt": "a", "strength": 0.5}, "strength"),
    ({"prompt": "a", "id": "mine"}, "id"),
]


@pytest.mark.parametrize(("given", "named"), BAD, ids=[f"{named} {index}" for index, (_, named) in enumerate(BAD)])
def test_bad_input_is_refused_by_the_field_and_makes_no_job(
    client: Client, served: Served, given: dict[str, Any], named: str
) -> None:
    before = served.studio.jobs(OWNER, limit=1)
    with pytest.raises(AppError, match=named):
        client.predict(**given, api_name="/generate")
    assert served.studio.jobs(OWNER, limit=1) == before


def test_nan_over_the_wire_is_refused(served: Served) -> None:
    before = served.studio.jobs(OWNER, limit=1)
    body = f'{{"data": ["a", "", null, "starter", "512x512", 30, {math.nan}]}}'.replace("nan", "NaN")
    asked = httpx.post(
        f"{served.url}gradio_api/call/generate", content=body, headers={"content-type": "application/json"}
    )
    if asked.status_code == 200:
        told = httpx.get(f"{served.url}gradio_api/call/generate/{asked.json()['event_id']}", timeout=30).text
        assert "event: error" in told
    assert served.studio.jobs(OWNER, limit=1) == before


@pytest.mark.parametrize("limit", [0, 201, 1.5, "5", True])
def test_a_page_has_1_to_200_pictures(client: Client, limit: Any) -> None:
    with pytest.raises(AppError, match="limit"):
        client.predict(limit=limit, api_name="/pictures")


def test_a_job_that_is_not_there_is_not_found(client: Client) -> None:
    for endpoint in ("/job", "/cancel"):
        with pytest.raises(AppError, match="no such job"):
            client.predict(new_id(), api_name=endpoint)
