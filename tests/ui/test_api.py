"""The page's API, asked as programs ask it: what it promises runs, what is bad is refused by the field."""

import io
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


ENDPOINTS = {
    "/quote": ["size", "steps", "count", "super_resolution", "tool", "scale", "avatars", "face_enhance"],
    "/generate": [
        "prompt", "negative", "style", "base", "size", "steps", "guidance", "scheduler", "seed", "count",
        "super_resolution", "init", "strength", "mask", "id",
    ],
    "/job": ["id"],
    "/cancel": ["id"],
    "/pictures": ["limit", "before", "text", "kind", "base", "style", "favourites", "tune"],
    "/balance": [],
}  # fmt: skip


def described(client: Client) -> dict[str, Any]:
    told: Any = client.view_api(return_format="dict", print_info=False)
    return told["named_endpoints"]


def test_the_endpoints_and_their_arguments_are_the_promised_ones(client: Client) -> None:
    named = described(client)
    told = {name: [one["parameter_name"] for one in endpoint["parameters"]] for name, endpoint in named.items()}
    assert {name: told[name] for name in ENDPOINTS} == ENDPOINTS


def test_every_endpoint_and_every_argument_says_what_it_is_and_what_is_allowed(client: Client) -> None:
    for name, endpoint in described(client).items():
        assert endpoint["description"].endswith("."), name
        for argument in endpoint["parameters"]:
            assert argument["label"] == argument["parameter_name"], name
            assert argument["python_type"]["description"].endswith("."), (name, argument["label"])


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


def test_a_quote_is_for_tools_and_avatars_too(client: Client) -> None:
    assert client.predict(tool="upscale", scale=4, count=200, api_name="/quote")["kind"] == "playground"
    avatars = client.predict(avatars=40, super_resolution=True, api_name="/quote")
    assert [(one["kind"], one["count"]) for one in avatars["charges"]] == [("tune_image", 40), ("playground", 40)]
    both = client.predict(avatars=40, super_resolution=True, face_enhance=True, api_name="/quote")
    assert [(one["kind"], one["amount"]) for one in both["charges"]] == [("tune_image", 40), ("playground", 80)]


def test_pictures_are_found_as_the_gallery_finds_them(client: Client, served: Served) -> None:
    done = ended(client, client.predict("A Purple heron", style="toon", count=2, api_name="/generate")["id"])
    ids = [one["id"] for one in done["made"]]
    served.studio.gallery.mark(OWNER, ids[:1], favourite=True)
    asked: dict[str, Any] = {"text": "heron purple", "kind": "image", "base": "starter", "style": "toon"}
    found = client.predict(**asked, api_name="/pictures")
    assert ([one["id"] for one in found["pictures"]], found["total"]) == (ids[::-1], 2)
    told = {name: found["pictures"][0][name] for name in ("job", "prompt", "kind", "base", "style", "favourite")}
    assert told == {
        "job": done["id"], "prompt": "A Purple heron", "kind": "image", "base": "starter", "style": "toon",
        "favourite": False,
    }  # fmt: skip
    liked = client.predict(**asked, favourites=True, api_name="/pictures")
    assert [one["id"] for one in liked["pictures"]] == ids[:1]
    assert client.predict(text="heron green", api_name="/pictures") == {"pictures": [], "total": 0}


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


A_FILE = {"meta": {"_type": "gradio.FileData"}, "orig_name": "x.png"}
BAD_PICTURES: list[tuple[dict[str, Any], str]] = [
    ({"prompt": " "}, "prompt"),
    ({"prompt": "x" * 10_000}, "prompt"),
    ({"prompt": "a\x1b[31m"}, "prompt"),
    ({"prompt": "a\x00"}, "prompt"),
    ({"prompt": 7}, "prompt"),
    ({"prompt": None}, "prompt"),
    ({"prompt": ["a"]}, "prompt"),
    ({"prompt": "a", "negative": None}, "negative"),
    ({"prompt": "a", "negative": "a\x7f"}, "negative"),
    ({"prompt": "a", "steps": 151}, "steps"),
    ({"prompt": "a", "steps": 0}, "steps"),
    ({"prompt": "a", "steps": 50.7}, "steps"),
    ({"prompt": "a", "steps": "50"}, "steps"),
    ({"prompt": "a", "steps": True}, "steps"),
    ({"prompt": "a", "steps": None}, "steps"),
    ({"prompt": "a", "size": "513x512"}, "width"),
    ({"prompt": "a", "size": "512x64"}, "height"),
    ({"prompt": "a", "size": "1088x512"}, "width"),
    ({"prompt": "a", "size": 512}, "size"),
    ({"prompt": "a", "size": "x" * 10_000}, "size"),
    ({"prompt": "a", "count": 9}, "count"),
    ({"prompt": "a", "count": {"n": 1}}, "count"),
    ({"prompt": "a", "seed": 2**63}, "seed"),
    ({"prompt": "a", "seed": 2**32}, "seed"),
    ({"prompt": "a", "seed": -1}, "seed"),
    ({"prompt": "a", "seed": "7"}, "seed"),
    ({"prompt": "a", "guidance": "7"}, "guidance"),
    ({"prompt": "a", "guidance": 31}, "guidance"),
    ({"prompt": "a", "super_resolution": 1}, "super_resolution"),
    ({"prompt": "a", "super_resolution": "true"}, "super_resolution"),
    ({"prompt": "a", "base": "nowhere"}, "base"),
    ({"prompt": "a", "base": "../studio.db"}, "base"),
    ({"prompt": "a", "style": "nowhere"}, "style"),
    ({"prompt": "a", "style": 5}, "style"),
    ({"prompt": "a", "scheduler": "lcm"}, "scheduler"),
    ({"prompt": "a", "strength": 0.5}, "strength"),
    ({"prompt": "a", "init": "x.png"}, "init"),
    ({"prompt": "a", "init": ["x.png"]}, "init"),
    ({"prompt": "a", "id": "mine"}, "id"),
    ({"prompt": "a", "id": 7}, "id"),
]
BAD_QUOTES: list[tuple[dict[str, Any], str]] = [
    ({"size": "500x500"}, "width"),
    ({"steps": "50"}, "steps"),
    ({"count": 9}, "count"),
    ({"super_resolution": "no"}, "super_resolution"),
    ({"tool": "hammer"}, "tool"),
    ({"tool": ["upscale"]}, "tool"),
    ({"tool": "upscale", "scale": 3}, "scale"),
    ({"tool": "upscale"}, "scale"),
    ({"tool": "face", "scale": 2}, "scale"),
    ({"tool": "face", "count": True}, "count"),
    ({"tool": "face", "avatars": 2}, "avatars"),
    ({"avatars": "40"}, "avatars"),
    ({"avatars": 100_001}, "avatars"),
    ({"avatars": 4, "super_resolution": 0}, "super_resolution"),
    ({"avatars": 4, "face_enhance": "yes"}, "face_enhance"),
    ({"face_enhance": True}, "face_enhance"),
]
BAD_PAGES: list[tuple[dict[str, Any], str]] = [
    *(({"limit": limit}, "limit") for limit in (0, 201, 1.5, "5", True, None)),
    *(({"before": before}, "before") for before in ("x", 7, ["a"], {"a": 1})),
    *(({"text": words}, "text") for words in (7, None, "a" * 201, "a\x00", ["a"])),
    *(({field: value}, field) for field in ("kind", "base", "style") for value in (7, "", "a b", {"a": 1})),
    *(({"favourites": value}, "favourites") for value in (1, "yes", None)),
]
BAD_IDS: list[tuple[dict[str, Any], str]] = [
    ({"id": id}, "id") for id in ("x", 7, None, ["a"], "../../etc", "a" * 5000)
]


def cases(endpoint: str, some: list[tuple[dict[str, Any], str]]) -> list[Any]:
    return [pytest.param(endpoint, *one, id=f"{endpoint[1:]} {one[1]} {number}") for number, one in enumerate(some)]


@pytest.mark.parametrize(
    ("endpoint", "given", "named"),
    [
        *cases("/generate", BAD_PICTURES),
        *cases("/quote", BAD_QUOTES),
        *cases("/pictures", BAD_PAGES),
        *cases("/job", BAD_IDS),
        *cases("/cancel", BAD_IDS),
    ],
)
def test_bad_input_is_refused_in_one_sentence_that_names_the_field(
    client: Client, served: Served, endpoint: str, given: dict[str, Any], named: str
) -> None:
    before = served.studio.jobs(OWNER, limit=1)
    with pytest.raises(AppError, match=rf"\b{named}\b") as refused:
        client.predict(**given, api_name=endpoint)
    told = str(refused.value)
    assert "log" not in told, "it was refused, not stumbled over"
    assert len(told) < 400
    assert served.studio.jobs(OWNER, limit=1) == before


A_PICTURE = '["%s", "", null, "starter", "512x512", %s, %s, null, null, 1, false, null, null, null, null]'
A_PAGE = '[48, %s, "%s", null, null, null, false, null]'
RAW = [
    ("generate", A_PICTURE % ("a", "30", "NaN"), "guidance"),
    ("generate", A_PICTURE % ("a", "30", "-Infinity"), "guidance"),
    ("generate", A_PICTURE % ("a", "30", "1e999"), "guidance"),
    ("generate", A_PICTURE % ("a", "NaN", "null"), "steps"),
    ("generate", A_PICTURE % ("\\ud800", "30", "null"), "prompt"),
    ("pictures", A_PAGE % ('"\\ud800"', ""), "before"),
    ("pictures", A_PAGE % ("null", "\\udfff"), "text"),
]


@pytest.mark.parametrize(
    ("endpoint", "data", "named"), RAW, ids=[f"{one[2]} {number}" for number, one in enumerate(RAW)]
)
def test_what_no_client_would_send_is_refused_too(served: Served, endpoint: str, data: str, named: str) -> None:
    before = served.studio.jobs(OWNER, limit=1)
    address = f"{served.url}gradio_api/call/{endpoint}"
    asked = httpx.post(address, content=f'{{"data": {data}}}', headers={"content-type": "application/json"}, timeout=60)
    assert asked.status_code == 200
    told = httpx.get(f"{address}/{asked.json()['event_id']}", timeout=60).text
    assert "event: error" in told
    assert f'"error": "{named} ' in told
    assert served.studio.jobs(OWNER, limit=1) == before


def test_a_job_that_is_not_there_is_not_found(client: Client) -> None:
    for endpoint in ("/job", "/cancel"):
        with pytest.raises(AppError, match="no such job"):
            client.predict(new_id(), api_name=endpoint)
