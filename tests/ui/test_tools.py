"""The tools on the page and in its API: what was handed in is worked on, and what cannot be read is named."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from studio.domain import OWNER, Picture
from studio.pipelines.picture_files import read
from studio.rules import new_id
from studio.ui import playground, tool_results, tools
from studio.ui.tool_options import hex_of
from studio.ui.visit import Visit
from tests.test_workshop import cut_short, png
from tests.touch_up import NO_FACE
from tests.ui.conftest import Served
from tests.ui.test_api import described, ended


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[Client]:
    asker = Client(served.url, verbose=False)
    yield asker
    asker.close()


def made(served: Served, *files: Path, kind: str = "upscale", **fields: Any) -> list[Picture]:
    """What a tool makes of files, by the page's own worker."""
    workshop = served.studio.workshop
    job = workshop.submit(OWNER, kind, fields, [workshop.take_in(OWNER, file).upload for file in files])
    return served.studio.gallery.of_job(OWNER, served.ended(job.id).id)


# --- the API ---------------------------------------------------------------------------------------------------------


def test_the_endpoints_and_their_arguments_are_the_promised_ones(client: Client) -> None:
    named = described(client)
    told = {name: [one["parameter_name"] for one in endpoint["parameters"]] for name, endpoint in named.items()}
    assert told["/upscale"] == ["files", "scale", "model", "id"]
    assert told["/face_enhance"] == ["files", "strength", "model", "id"]
    assert told["/remove_background"] == ["files", "model", "matting", "on", "behind", "id"]


def test_pictures_are_upscaled_charged_and_served_and_a_bad_one_is_named(client: Client, tmp_path: Path) -> None:
    files = [png(tmp_path / "a.png"), cut_short(tmp_path / "b.jpg"), png(tmp_path / "c.png", 40)]
    job = client.predict([handle_file(str(file)) for file in files], scale=2, api_name="/upscale")
    assert (job["price"], job["pictures"], [error["file"] for error in job["errors"]]) == (2, 2, ["b.jpg"])
    assert job["errors"][0]["error"] == "b.jpg is damaged or cut short."
    done = ended(client, job["id"])
    assert (done["state"], done["charged"]) == ("done", {"playground": 2})
    assert [(one["width"], one["height"]) for one in done["made"]] == [(60, 40), (80, 40)]


def test_the_same_id_again_is_the_same_job_and_a_picture_behind_is_used(client: Client, tmp_path: Path) -> None:
    file, ground, id = png(tmp_path / "a.png"), png(tmp_path / "b.png", 40), new_id()
    jobs = [
        client.predict([handle_file(str(file))], behind=handle_file(str(ground)), id=id, api_name="/remove_background")
        for _ in range(2)
    ]
    assert jobs[0]["id"] == jobs[1]["id"] == id
    assert jobs[0]["request"]["on"] == "picture"
    assert ended(client, id)["state"] == "done"


def test_a_picture_without_a_face_is_not_charged(client: Client, tmp_path: Path) -> None:
    job = client.predict([handle_file(str(png(tmp_path / "a.png", NO_FACE)))], api_name="/face_enhance")
    done = ended(client, job["id"])
    assert (done["error"], done["charged"]) == ("No face was found.", {"playground": 0})


@pytest.mark.parametrize(
    ("endpoint", "arguments", "said"),
    [
        ("/upscale", {"scale": 3}, "scale must be one of 2, 4"),
        ("/face_enhance", {"strength": 7}, "strength must be a number from 0.05 to 1"),
        ("/remove_background", {"on": "mauve"}, "on must be transparent"),
        ("/upscale", {"id": "7"}, "id must be a UUID"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(
    client: Client, tmp_path: Path, endpoint: str, arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(AppError, match=said):
        client.predict([handle_file(str(png(tmp_path / "a.png")))], **arguments, api_name=endpoint)


@pytest.mark.parametrize("path", ["/etc/passwd", "../../etc/passwd", "", 7])
def test_a_file_that_was_not_uploaded_is_never_read(served: Served, path: Any) -> None:
    before = len(served.studio.jobs(OWNER))
    body = {"data": [[{"path": path, "meta": {"_type": "gradio.FileData"}}], 2, "auto", None]}
    asked = httpx.post(f"{served.url}gradio_api/call/upscale", json=body, timeout=60)
    if asked.status_code == 200:
        told = httpx.get(f"{served.url}gradio_api/call/upscale/{asked.json()['event_id']}", timeout=60).text
        assert "event: error" in told and "root:" not in told
    assert len(served.studio.jobs(OWNER)) == before


# --- what the page serves --------------------------------------------------------------------------------------------


def test_before_and_after_are_served_and_a_mask_where_there_is_one(served: Served, tmp_path: Path) -> None:
    (picture,) = made(served, png(tmp_path / "a.png"))
    before = httpx.get(f"{served.url}media/pictures/{picture.id}/before")
    (tmp_path / "before.png").write_bytes(before.content)
    assert read(tmp_path / "before.png").width == 30
    assert httpx.get(f"{served.url}media/pictures/{picture.id}/mask").status_code == 404
    assert httpx.get(f"{served.url}media/pictures/{new_id()}/before").status_code == 404
    drawn = served.pictures(count=1)[0]
    assert httpx.get(f"{served.url}media/pictures/{drawn.id}/before").status_code == 404


# --- the tabs --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tabs() -> dict[str, tools.Tool]:
    with gr.Blocks(), gr.Tabs():
        return {tool.kind: tool for tool in tools.laid_out()}


def test_the_button_says_what_it_costs(visit: Visit, tabs: dict[str, tools.Tool]) -> None:
    said = tools.labelled(visit, tabs["upscale"], "one,two", ["three.png"], 4, "auto")["value"]
    assert said == "Upscale 3 pictures – 6 credits"
    assert tools.labelled(visit, tabs["upscale"], "", None, 4, "auto")["value"] == "Upscale"


def test_a_click_queues_what_can_be_read_and_says_of_each_what_cannot(
    served: Served, visit: Visit, tabs: dict[str, tools.Tool], tmp_path: Path
) -> None:
    files = [str(png(tmp_path / "a.png")), str(cut_short(tmp_path / "<b>.jpg"))]
    sent = served.pictures(count=1)[0].id
    focus, said = tools.asked_for(visit, tabs["upscale"], new_id(), f"{sent},{new_id()}", files, 2, "auto")
    assert served.ended(focus).delivered == 2
    assert "&lt;b&gt;.jpg is damaged" in said and "There is no such picture" in said
    head, results, seen = tools.looked(visit, "upscale", focus, {})
    assert "2 of 2 pictures" in head and results.count("data-compare") == 2
    again = tools.looked(visit, "upscale", focus, seen)
    assert [one.get("__type__") for one in again[:2]] == ["update", "update"], "at rest nothing is sent anew"


def test_with_no_picture_nothing_is_queued(visit: Visit, tabs: dict[str, tools.Tool]) -> None:
    before = len(visit.studio.jobs(visit.account))
    _, said = tools.asked_for(visit, tabs["face"], new_id(), "", None, 0.8, "auto")
    assert "drop some here" in said
    assert len(visit.studio.jobs(visit.account)) == before


def test_a_double_click_is_one_job(visit: Visit, tabs: dict[str, tools.Tool], tmp_path: Path) -> None:
    ticket, files = new_id(), [str(png(tmp_path / "a.png"))]
    one, two = (tools.asked_for(visit, tabs["face"], ticket, "", files, 0.8, "auto")[0] for _ in range(2))
    assert one == two == ticket


def test_what_was_sent_and_deleted_meanwhile_is_not_shown(served: Served, visit: Visit) -> None:
    kept = served.pictures(count=1)[0].id
    shown = tool_results.tray(visit, "face", [kept, new_id()])
    assert shown.count("<li>") == 1
    assert tool_results.tray(visit, "face", [new_id()]) == ""


@pytest.mark.parametrize(
    ("picked", "colour"), [("#ff8800", "#ff8800"), ("rgba(255, 136, 0, 1)", "#ff8800"), ("rgb(0,0,0)", "#000000")]
)
def test_a_picked_colour_is_one_that_the_tool_takes(picked: str, colour: str) -> None:
    assert hex_of(picked) == colour


def test_the_playground_goes_on_showing_its_own_newest_job(served: Served, visit: Visit, tmp_path: Path) -> None:
    drawn = served.done()
    made(served, png(tmp_path / "a.png"))
    shown = playground.focused(visit, "")
    assert shown is not None and shown.id == drawn.id
