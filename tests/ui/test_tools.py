"""The tools on the page and in its API: what was handed in is worked on, and what cannot be read is named."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from studio.domain import OWNER, Picture, Refused
from studio.pipelines.picture_files import read
from studio.rules import new_id
from studio.tools import MOST_UPLOADS
from studio.ui import playground, tool_asking, tool_results, tools
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


def asked(visit: Visit, tool: tools.Tool, *values: Any) -> list[Any]:
    """What a click on the button comes to in the end."""
    *_, last = tool_asking.asked_for(visit, tool.kind, tool.options, *values)
    return last


def test_the_button_says_what_it_costs(visit: Visit, tabs: dict[str, tools.Tool]) -> None:
    options = tabs["upscale"].options
    said = tool_asking.labelled(visit, "upscale", options, "one,two", ["three.png"], 4, "auto")["value"]
    assert said == "Upscale 3 pictures – 6 credits"
    assert tool_asking.labelled(visit, "upscale", options, "", None, 4, "auto")["value"] == "Upscale"


def test_a_click_queues_what_can_be_read_and_says_of_each_what_cannot(
    served: Served, visit: Visit, tabs: dict[str, tools.Tool], tmp_path: Path
) -> None:
    files = [str(png(tmp_path / "a.png")), str(cut_short(tmp_path / "<b>.jpg"))]
    sent = served.pictures(count=1)[0].id
    focus, said, *emptied = asked(visit, tabs["upscale"], new_id(), f"{sent},{new_id()}", files, 2, "auto")
    assert emptied == [None, "", ""], "what was queued is not paid again with the next batch"
    assert served.ended(focus).delivered == 2
    assert "&lt;b&gt;.jpg is damaged" in said and "There is no such picture" in said
    head, results, seen = tools.looked(visit, "upscale", focus, {})
    assert "2 of 2 pictures" in head and results.count("data-compare") == 2
    again = tools.looked(visit, "upscale", focus, seen)
    assert [one.get("__type__") for one in again[:2]] == ["update", "update"], "at rest nothing is sent anew"


def test_with_no_picture_nothing_is_queued(visit: Visit, tabs: dict[str, tools.Tool]) -> None:
    before = len(visit.studio.jobs(visit.account))
    _, said, *kept = asked(visit, tabs["face"], new_id(), "", None, 0.8, "auto")
    assert "drop some here" in said
    assert [one.get("__type__") for one in kept] == ["update"] * 3, "what was refused stays as it was handed in"
    assert len(visit.studio.jobs(visit.account)) == before


def test_a_double_click_is_one_job(visit: Visit, tabs: dict[str, tools.Tool], tmp_path: Path) -> None:
    ticket, files = new_id(), [str(png(tmp_path / "a.png"))]
    one, two = (asked(visit, tabs["face"], ticket, "", files, 0.8, "auto")[0] for _ in range(2))
    assert one == two == ticket


def test_while_pictures_are_taken_in_it_is_told_how_many_are(
    served: Served, visit: Visit, tabs: dict[str, tools.Tool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool_asking, "LOOK", 0.001)
    files = [str(png(tmp_path / f"{width}.png", width)) for width in range(20, 40)]
    *told, last = tool_asking.asked_for(visit, "face", tabs["face"].options, new_id(), "", files, 0.8, "auto")
    assert told and all("of 20</p>" in one[1] and 'role="progressbar"' in one[1] for one in told)
    assert served.ended(last[0]).delivered == 20


def test_who_closes_the_tab_meanwhile_has_asked_all_the_same(
    served: Served, visit: Visit, tabs: dict[str, tools.Tool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool_asking, "LOOK", 0.001)
    ticket, files = new_id(), [str(png(tmp_path / f"{width}.png", width)) for width in range(20, 40)]
    asking = tool_asking.asked_for(visit, "face", tabs["face"].options, ticket, "", files, 0.8, "auto")
    next(asking)
    asking.close()
    again = asked(visit, tabs["face"], ticket, "", files, 0.8, "auto")
    assert again[0] == ticket
    assert served.ended(ticket).delivered == 20


def test_more_than_a_job_has_is_refused_before_anything_is_read(visit: Visit, tabs: dict[str, tools.Tool]) -> None:
    before = len(visit.studio.jobs(visit.account))
    _, said, *_ = asked(visit, tabs["face"], new_id(), "a,b", ["gone.png"] * MOST_UPLOADS, 0.8, "auto")
    assert "202 pictures are 2 too many for one job, which has at most 200." in said
    assert len(visit.studio.jobs(visit.account)) == before


def test_what_is_left_out_is_named_as_far_as_anybody_reads(visit: Visit) -> None:
    none = {"count": 0, "names": []}
    other = {"count": 1, "names": ["<b>.raw"]}
    more = {"count": 40, "names": ["a.png", "b.png"]}
    said = tool_asking.left_out(visit, {"other": other, "more": more})
    assert "1 left out, since only JPEG, PNG, WebP and HEIF are taken: &lt;b&gt;.raw." in said
    assert "40 left out, since one job has at most 200 pictures: a.png, b.png and 38 more." in said
    assert tool_asking.left_out(visit, {"other": none, "more": none}) == ""
    for bad in (None, 7, {"count": "7", "names": []}, {"count": 1, "names": ["x" * 300]}, {"count": -1, "names": []}):
        with pytest.raises(Refused):
            tool_asking.left_out(visit, {"other": none, "more": bad})


def test_more_pictures_sent_than_a_job_has_are_left_out_and_that_is_said(
    visit: Visit, tabs: dict[str, tools.Tool]
) -> None:
    sent = [new_id() for _ in range(MOST_UPLOADS + 3)]
    kept, _, left, *rest = tools.put(visit, [tabs["face"], tabs["upscale"]], "face", ["", ""], lambda before: sent)
    assert kept.split(",") == sent[:MOST_UPLOADS]
    assert "3 left out, since one job has at most 200 pictures." in left
    assert [one.get("__type__") for one in rest] == ["update"] * 3


def test_a_job_that_failed_can_be_tried_again_for_the_price_on_its_button(
    served: Served, visit: Visit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = served.studio.job(OWNER, made(served, png(tmp_path / "a.png"))[0].job)
    assert tool_results.again(visit, job) is None
    monkeypatch.setattr(served.studio.workshop, "left", lambda account, job: ("one", "two"))
    button = tool_results.again(visit, job)
    assert button is not None
    assert "Try 2 pictures again – 4 credits" in button and f'data-job="{job.id}"' in button


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
