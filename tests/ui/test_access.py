"""What is let in and what is given out: one's own pictures by id, nothing by path, nothing to other pages."""

import asyncio
import contextlib
import csv
import io
import json
import os
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from studio.domain import OWNER
from studio.rules import new_id
from studio.settings import Settings
from studio.ui import views
from studio.ui.access import BODY_MOST, Guard, blocked_paths, is_served
from studio.ui.visit import Visit
from studio.ui.words import Words
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
    (picture,) = served.pictures(prompt="a man", style="flat-cartoon")
    told = httpx.get(f"{served.url}media/pictures/{picture.id}/about", headers={"accept-language": "de-AT,en;q=0.5"})
    assert ["Größe", "512 x 512"] in told.json()["pairs"]
    assert ["Stil", "Flacher Cartoon"] in told.json()["pairs"] and ["Basismodell", "Starter"] in told.json()["pairs"]

    job = served.studio.job(OWNER, picture.job)
    visit = Visit(studio=served.studio, account=OWNER, words=Words("de"))
    assert views.title_of(visit, job) == "a man · Flacher Cartoon"
    warned = replace(job, warnings=("Z-Image takes no negative prompt: it was left out.",))
    assert "Z-Image nimmt keinen negativen Prompt" in views.outcome(visit.words, warned)


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
        said = _joined(served, {"data": values, "fn_index": generate["id"]})
        if said:
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
    promised = (
        "quote generate tune_check tune_train avatars upscale face_enhance remove_background "
        "job cancel pictures tunes balance"
    )
    assert set(named) <= {f"/{name}" for name in promised.split()}


GARBAGE: tuple[Any, ...] = (None, "x" * 3000, "\x00", "../../studio.db", {"path": "/etc/hostname"}, ["a"], -1, 1e308)
TYPED = ("textbox", "state", "html")  # what takes any value; the others are checked by Gradio before a handler sees it


def test_no_event_of_the_page_stumbles_over_what_it_is_sent(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    before = served.studio.jobs(OWNER, limit=1)
    config = httpx.get(f"{served.url}config").json()
    events = [one for one in config["dependencies"] if one["backend_fn"] and one["api_visibility"] == "private"]
    assert len(events) > 20
    for number, event in enumerate(events):
        for garbage in (GARBAGE[number % len(GARBAGE)], GARBAGE[(3 * number + 1) % len(GARBAGE)]):
            kinds = [_component(config, id) for id in event["inputs"]]
            values = [garbage if one["type"] in TYPED else one["props"].get("value") for one in kinds]
            sent = dict.fromkeys(("ids", "job", "place", "on", "fields", "lost", "account", "seq", "name"), garbage)
            told = _joined(served, {"data": values, "fn_index": event["id"], "event_data": sent})
            assert "root:" not in told
            assert "The log has it" not in told, (event["api_name"], garbage)
    assert not [record for record in caplog.records if "a handler broke" in record.message]
    assert served.studio.jobs(OWNER, limit=1) == before


def _joined(served: Served, body: dict[str, Any]) -> str:
    """What comes of an event that is asked for as the page asks."""
    session = new_id()
    joined = httpx.post(f"{served.url}gradio_api/queue/join", json={**body, "session_hash": session}, timeout=60)
    if joined.status_code != 200:
        return ""
    with httpx.stream("GET", f"{served.url}gradio_api/queue/data?session_hash={session}", timeout=60) as told:
        return "".join(line for line in told.iter_lines() if "process_completed" in line)


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
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://[::1"},
        {"origin": "http://127.0.0.1:3000"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
    ids=["another origin", "no origin at all", "a broken one", "another program here", "another site", "another port"],
)
def test_another_page_changes_nothing_here(served: Served, headers: dict[str, str]) -> None:
    before = served.studio.jobs(OWNER, limit=1)
    body = json.dumps({"data": ["a"]})
    for address in ("gradio_api/call/generate", "gradio_api/queue/join", "gradio_api/upload", "media/zip"):
        assert httpx.post(served.url + address, content=body, headers=headers).status_code == 403
    assert httpx.post(f"{served.url}media/settings", content=body, headers=headers).status_code == 403
    assert served.studio.jobs(OWNER, limit=1) == before


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost:3000", "null"])
def test_another_pages_script_reads_nothing_here(served: Served, origin: str) -> None:
    (picture,) = served.pictures()
    for address in ("config", "gradio_api/info", f"media/pictures/{picture.id}.png"):
        assert httpx.get(served.url + address, headers={"origin": origin}).status_code == 403, address
    # Nor as a picture on a page of its own.
    answer = httpx.get(f"{served.url}media/pictures/{picture.id}.png", headers={"sec-fetch-site": "cross-site"})
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_a_link_from_elsewhere_opens_the_page(served: Served) -> None:
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert httpx.get(served.url, headers=headers).status_code == 200


def test_the_page_can_neither_be_framed_nor_made_to_talk_to_another_host(served: Served) -> None:
    told = httpx.get(served.url).headers["content-security-policy"]
    rules = {rule.split()[0]: rule.split()[1:] for rule in told.split(";")}
    assert rules["frame-ancestors"] == rules["form-action"] == rules["base-uri"] == ["'self'"]
    assert set(rules["default-src"]) == {"'self'", "data:", "blob:", "'unsafe-inline'", "'unsafe-eval'"}


def test_what_the_page_does_not_use_of_gradio_is_not_there(served: Served) -> None:
    for address in (
        "vibe-code",
        "proxy=http://127.0.0.1:9/",
        "dev/reload",
        "deep_link?session_hash=x",
        "stream/a/b/1/x",
    ):
        assert httpx.get(f"{served.url}gradio_api/{address}").status_code == 404, address
    for address in ("component_server", "process_recording", "vibe-edit/", "undo-vibe-edit/"):
        assert httpx.post(f"{served.url}gradio_api/{address}", json={}).status_code == 404, address
    for address in ("monitoring", "monitoring/summary", "openapi.json", "docs", "redoc"):
        assert httpx.get(served.url + address).status_code == 404, address


def test_a_websocket_is_denied_whoever_asks() -> None:
    sent: list[Any] = []

    async def app(*_: Any) -> None:
        raise AssertionError("it came through")

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    guard = Guard(app, hosts=frozenset({"localhost"}), upload_bytes=1)
    headers = [(b"host", b"localhost")]
    asyncio.run(guard({"type": "websocket", "path": "/", "headers": headers}, receive, send))
    assert [message["type"] for message in sent] == ["websocket.close"]


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
