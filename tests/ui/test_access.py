"""What is let in and what is given out: one's own pictures by id, nothing by path, nothing to other pages."""

import contextlib
import csv
import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from studio.domain import OWNER
from studio.rules import new_id
from studio.settings import Settings
from studio.ui.access import BODY_MOST, blocked_paths, is_served
from tests.fakes import CLIENT
from tests.ui.conftest import Served, png

SECRETS = ("studio.db", "worker.lock", "pictures", "uploads", "jobs")


# --- pictures by id --------------------------------------------------------------------------------------------------


def test_a_picture_is_given_whole_small_and_as_a_download(served: Served) -> None:
    (picture,) = served.pictures(seed=7, width=768, height=1024)
    whole = httpx.get(f"{served.url}media/pictures/{picture.id}.png")
    assert whole.content == served.studio.gallery.file(OWNER, picture.id).read_bytes()
    assert whole.headers["cache-control"].startswith("private")
    assert whole.headers["x-content-type-options"] == "nosniff"
    small = httpx.get(f"{served.url}media/pictures/{picture.id}/small")
    assert Image.open(io.BytesIO(small.content)).size == (336, 448)
    saved = httpx.get(f"{served.url}media/pictures/{picture.id}.png?download")
    assert saved.headers["content-disposition"] == f'attachment; filename="likeness-7-{picture.id[:8]}.png"'


def test_what_is_anothers_deleted_or_not_there_is_not_found(served: Served) -> None:
    served.studio.open_account(CLIENT)
    served.studio.counter.grant(OWNER, CLIENT, "playground", 5, reason="for the test")
    theirs = served.studio.gallery.of_job(CLIENT, served.done(CLIENT).id)[0]
    (gone,) = served.pictures()
    served.studio.gallery.small(OWNER, gone.id)
    served.studio.gallery.delete(OWNER, [gone.id])
    for id in (theirs.id, gone.id, new_id(), "x", "..%2F..%2Fstudio.db"):
        for address in (f"media/pictures/{id}.png", f"media/pictures/{id}/small", f"media/pictures/{id}/about"):
            assert httpx.get(served.url + address).status_code == 404, address
    assert httpx.get(f"{served.url}media/jobs/{theirs.job}/preview").status_code == 404
    for ids in (theirs.id, f"{theirs.id},{gone.id}"):
        assert httpx.post(f"{served.url}media/zip", data={"ids": ids}).status_code == 404


def test_what_a_picture_tells_is_escaped_by_nobody_but_shown_as_text(served: Served) -> None:
    (picture,) = served.pictures(prompt="<b>${alert(1)}</b>")
    told = httpx.get(f"{served.url}media/pictures/{picture.id}/about")
    assert told.headers["content-type"] == "application/json"
    assert ["Prompt", "<b>${alert(1)}</b>"] in told.json()["pairs"]
    assert "Steps: 30" in told.json()["parameters"]


def test_its_words_come_in_the_readers_language(served: Served) -> None:
    (picture,) = served.pictures()
    told = httpx.get(f"{served.url}media/pictures/{picture.id}/about", headers={"accept-language": "de-AT,en;q=0.5"})
    assert ["Größe", "512 x 512"] in told.json()["pairs"]


def test_a_zip_has_every_picture_once_and_their_recipes(served: Served) -> None:
    made = served.pictures(prompt="=HYPERLINK(1)", negative="-x", count=2, seed=3)
    ids = ",".join(one.id for one in (*made, made[0]))
    answer = httpx.post(f"{served.url}media/zip", data={"ids": ids})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        rows = list(csv.DictReader(io.StringIO(archive.read("recipes.csv").decode())))
        first = archive.read(names[0])
    assert len(names) == 3
    assert first == served.studio.gallery.file(OWNER, made[0].id).read_bytes()
    assert [row["file"] for row in rows] == names[:2]
    assert [row["seed"] for row in rows] == ["3", "4"]
    # A spreadsheet must not take a prompt for a formula.
    assert (rows[0]["prompt"], rows[0]["negative"]) == ("'=HYPERLINK(1)", "'-x")
    assert not list((served.studio.settings.data / "cache").glob("**/*.zip"))


@pytest.mark.parametrize("ids", ["", ",", "x", "," * 3000, ",".join(["a"] * 501)])
def test_a_zip_of_nothing_or_of_too_much_is_refused(served: Served, ids: str) -> None:
    assert httpx.post(f"{served.url}media/zip", data={"ids": ids}).status_code in (400, 404)


def test_a_picture_that_was_made_here_gives_its_settings_back(served: Served) -> None:
    (picture,) = served.pictures(prompt="an old man", style="toon", seed=11, steps=20)
    content = served.studio.gallery.file(OWNER, picture.id).read_bytes()
    told = httpx.post(f"{served.url}media/settings", content=content).json()
    assert told["lost"] == []
    expected = {"prompt": "an old man", "style": "toon", "seed": 11, "steps": 20}
    assert {name: told["fields"][name] for name in expected} == expected


def test_a_picture_without_settings_is_told_so_in_one_sentence(served: Served) -> None:
    answer = httpx.post(f"{served.url}media/settings", content=png())
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("This picture does not say how it was made.")


# --- nothing by path -------------------------------------------------------------------------------------------------


def test_no_file_of_the_machine_or_of_the_data_folder_is_given_by_its_path(served: Served) -> None:
    served.pictures()
    data = served.studio.settings.data
    # The worker may still be clearing a job's folder away: os.walk passes over what goes meanwhile.
    inside = [Path(folder) / name for folder, _, names in os.walk(data) for name in names]
    assert {path.name for path in inside} & {"studio.db"}
    for path in (Path("/etc/hostname"), Path(__file__), *inside):
        answer = httpx.get(f"{served.url}gradio_api/file={path}")
        assert answer.status_code in (403, 404), path
    for path in SECRETS:
        assert httpx.get(f"{served.url}gradio_api/file={data / path}").status_code in (403, 404)


def posted_files(served: Served) -> dict[str, Any]:
    secret = served.studio.settings.data / "studio.db"
    paths = ("/etc/hostname", str(secret), str(Path(__file__)), "file:///etc/hostname", "http://127.0.0.1:9/x.png")
    return {path: {"path": path, "meta": {"_type": "gradio.FileData"}, "orig_name": "x.png"} for path in paths}


def test_a_posted_file_never_reads_what_was_not_uploaded_over_the_api(served: Served) -> None:
    before = served.studio.jobs(OWNER, limit=1)
    for path, file in posted_files(served).items():
        body = {"data": ["a", "", None, "starter", "512x512", 30, None, None, None, 1, False, file, 0.5, None, None]}
        asked = httpx.post(f"{served.url}gradio_api/call/generate", json=body, timeout=30)
        if asked.status_code == 200:
            told = httpx.get(f"{served.url}gradio_api/call/generate/{asked.json()['event_id']}", timeout=30)
            assert "event: error" in told.text, path
            assert "root:" not in told.text
    assert served.studio.jobs(OWNER, limit=1) == before


def test_a_posted_file_never_reads_what_was_not_uploaded_over_the_pages_own_events(served: Served) -> None:
    config = httpx.get(f"{served.url}config").json()
    generate = next(one for one in config["dependencies"] if one["api_name"] == "generate_1" or _makes(one, config))
    labels = [_component(config, id)["props"] for id in generate["inputs"]]
    before = served.studio.jobs(OWNER, limit=1)
    for path, file in posted_files(served).items():
        values = [file if props.get("elem_id") == "init" else props.get("value") for props in labels]
        values[1] = "a prompt"
        session = new_id()
        body = {"data": values, "fn_index": generate["id"], "session_hash": session}
        joined = httpx.post(f"{served.url}gradio_api/queue/join", json=body, timeout=30)
        if joined.status_code == 200:
            with httpx.stream("GET", f"{served.url}gradio_api/queue/data?session_hash={session}", timeout=30) as told:
                said = "".join(line for line in told.iter_lines() if "process_completed" in line)
            assert '"success":false' in said.replace(" ", ""), (path, said)
    assert served.studio.jobs(OWNER, limit=1) == before


def _component(config: dict[str, Any], id: int) -> dict[str, Any]:
    return next(one for one in config["components"] if one["id"] == id)


def _makes(dependency: dict[str, Any], config: dict[str, Any]) -> bool:
    """Whether it is the click on Generate: the one that takes the prompt and the picture to start from."""
    taken = [_component(config, id)["props"].get("elem_id") for id in dependency["inputs"]]
    return "prompt" in taken and "init" in taken


def test_the_pages_events_are_not_offered_as_endpoints(served: Served) -> None:
    named = httpx.get(f"{served.url}gradio_api/info").json()["named_endpoints"]
    assert set(named) == {"/quote", "/generate", "/job", "/cancel", "/pictures", "/balance"}


# --- other pages -----------------------------------------------------------------------------------------------------


def test_the_page_answers_to_this_machines_names_alone(served: Served) -> None:
    assert httpx.get(served.url).status_code == 200
    for host in ("evil.example", "127.0.0.1.evil.example", "evil.example:7860", "", "localhost@evil.example"):
        assert httpx.get(served.url, headers={"Host": host}).status_code == 400, host


def test_hosts_are_told_apart_by_name_not_by_looks() -> None:
    names = frozenset({"localhost", "studio-pc"})
    for host in (
        "localhost",
        "LOCALHOST:7860",
        "127.0.0.1:7860",
        "192.168.1.5",
        "[::1]:7860",
        "studio-pc",
        "localhost.",
    ):
        assert is_served(host, names), host
    for host in ("localhost.evil.example", "evil", "1.2.3.4.evil", "[::1", "a@127.0.0.1", "127.0.0.1/x", ""):
        assert not is_served(host, names), host


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}],
    ids=["another origin", "no origin at all", "another site"],
)
def test_another_page_changes_nothing_here(served: Served, headers: dict[str, str]) -> None:
    before = served.studio.jobs(OWNER, limit=1)
    body = json.dumps({"data": ["a"]})
    for address in ("gradio_api/call/generate", "gradio_api/queue/join", "media/zip", "media/settings"):
        assert httpx.post(served.url + address, content=body, headers=headers).status_code == 403
    assert served.studio.jobs(OWNER, limit=1) == before


def test_the_pages_own_origin_is_let_in(served: Served) -> None:
    answer = httpx.post(f"{served.url}media/zip", data={"ids": "x"}, headers={"origin": served.url.rstrip("/")})
    assert answer.status_code in (400, 404)


# --- lengths ---------------------------------------------------------------------------------------------------------


def test_a_body_that_is_too_long_is_refused_before_it_is_read(served: Served) -> None:
    long = b"x" * (BODY_MOST + 1)
    assert httpx.post(f"{served.url}gradio_api/call/generate", content=long).status_code == 413
    assert httpx.post(f"{served.url}media/settings", content=long).status_code == 413


def test_a_body_that_hides_its_length_is_cut_off(served: Served) -> None:
    def endless() -> Any:
        for _ in range(BODY_MOST // 65536 + 20):
            yield b"x" * 65536

    with contextlib.suppress(httpx.TransportError):  # cut off in the middle: as good an answer
        assert httpx.post(f"{served.url}media/settings", content=endless(), timeout=30).status_code >= 400


def test_an_upload_past_the_limit_is_refused(served: Served) -> None:
    files = {"files": ("x.png", b"\x89PNG" + b"x" * (2 << 20), "image/png")}
    assert httpx.post(f"{served.url}gradio_api/upload", files=files).status_code == 413


def test_everything_of_the_data_folder_but_the_cache_is_blocked(served: Served) -> None:
    settings: Settings = served.studio.settings
    served.studio.gallery.small(OWNER, served.pictures()[0].id)
    present = {path.name for path in settings.data.iterdir()} - {"cache"}
    blocked = {Path(path).name for path in blocked_paths(settings)}
    assert {name for name in present if name not in blocked} == set()
    assert "cache" not in blocked
