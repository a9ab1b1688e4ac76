"""What is no number of steps is refused at every door - page, API, command, service - and leaves nothing behind."""

import json
import math
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from studio.cli.main import main
from studio.domain import OWNER, Refused
from studio.rules import new_id
from tests.ui.conftest import Served

BAD = [math.nan, math.inf, -math.inf, True, 50.7, -1, 0, 151, 2**63, "50"]
PATIENCE = 60.0


def service(served: Served, steps: Any) -> bool:
    """Whether the service takes so many steps."""
    try:
        served.studio.quote({"steps": steps})
        served.studio.generate(OWNER, {"prompt": "a face", "width": 128, "height": 128, "steps": steps})
    except Refused as error:
        assert error.field == "steps"
        return False
    return True


def api(served: Served, steps: Any) -> bool:
    """Whether the API does, asked as no client would let one ask."""
    said: list[str] = []
    told = httpx.get(f"{served.url}gradio_api/info", timeout=PATIENCE).json()["named_endpoints"]
    given = {"prompt": "a face", "size": "128x128", "steps": steps}
    for endpoint in ("quote", "generate"):
        names = {one["parameter_name"]: one["parameter_default"] for one in told[f"/{endpoint}"]["parameters"]}
        address = f"{served.url}gradio_api/call/{endpoint}"
        asked = send(address, {"data": [given.get(name, default) for name, default in names.items()]})
        said.append(httpx.get(f"{address}/{asked.json()['event_id']}", timeout=PATIENCE).text)
    refused = {"event: error" in one for one in said}
    assert len(refused) == 1, said
    return not refused.pop()


def page(served: Served, steps: Any) -> bool:
    """Whether a click on Generate does, with a slider that was tampered with."""
    config = httpx.get(f"{served.url}config", timeout=PATIENCE).json()
    props = {one["id"]: one["props"] for one in config["components"]}

    def named(dependency: dict[str, Any]) -> list[Any]:
        return [props[id].get("elem_id") for id in dependency["inputs"]]

    (click,) = (
        one for one in config["dependencies"] if {"ticket", "prompt", "steps"} <= set(named(one)) and one["queue"]
    )
    given = {"ticket": new_id(), "prompt": "a face", "steps": steps}
    values = [given.get(name, props[id].get("value")) for name, id in zip(named(click), click["inputs"], strict=True)]
    session = new_id()
    body = {"data": values, "fn_index": click["id"], "session_hash": session}
    joined = send(f"{served.url}gradio_api/queue/join", body)
    if joined.status_code == 422:  # refused beside the field
        return False
    address = f"{served.url}gradio_api/queue/data?session_hash={session}"
    try:
        with httpx.stream("GET", address, timeout=PATIENCE) as told:
            said = next(line for line in told.iter_lines() if "process_completed" in line)
    except httpx.RemoteProtocolError:  # Gradio refuses an infinity, and cannot say so in JSON
        return False
    answer = json.loads(said.removeprefix("data: "))
    return answer["success"] and "fault" not in json.dumps(answer["output"])


def command(served: Served, steps: Any) -> bool:
    """Whether the command line does; everything is a text there."""
    words = str(steps).lower() if isinstance(steps, bool) else str(steps)
    out = served.studio.settings.data.parent / "out"
    asked = ["generate", "a face", "--size", "128x128", "--steps", words, "--out", str(out), "--overwrite"]
    codes = {main(["quote", "--steps", words]), main(asked, runners={"image": served.artist})}
    assert len(codes) == 1
    return codes.pop() == 0


def send(address: str, body: dict[str, Any]) -> httpx.Response:
    # NaN and the infinities are no JSON, but Python writes and reads them.
    headers = {"content-type": "application/json"}
    return httpx.post(address, content=json.dumps(body), headers=headers, timeout=PATIENCE)


Door = Callable[[Served, Any], bool]
DOORS: list[Door] = [service, api, page, command]


@pytest.fixture(autouse=True)
def same_folder(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_DATA", str(served.studio.settings.data))
    monkeypatch.setenv("STUDIO_MODELS", str(served.studio.settings.models))


def everything(served: Served) -> dict[str, Any]:
    """Every row and every file of the data folder's; but for the time of the last sweep, which the studio's own
    clock moves whatever is asked of it."""
    data = served.studio.settings.data
    with closing(sqlite3.connect(f"file:{data / 'studio.db'}?mode=ro", uri=True)) as db:
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {one: sorted(map(repr, db.execute(f'SELECT * FROM "{one}"'))) for one in tables if one != "sweep"}
    files = sorted(str(path) for name in ("pictures", "uploads", "jobs") for path in Path(data / name).rglob("*"))
    return {**rows, "files": files}


@pytest.mark.parametrize("steps", BAD, ids=repr)
@pytest.mark.parametrize("door", DOORS)
def test_what_is_no_number_of_steps_is_refused_and_writes_nothing(served: Served, door: Door, steps: Any) -> None:
    if door is command and steps == "50":
        pytest.skip("everything is a text on the command line")
    before = everything(served)
    assert not door(served, steps)
    assert everything(served) == before


@pytest.mark.parametrize("door", DOORS)
def test_what_is_one_is_taken(served: Served, door: Door) -> None:
    before = len(served.studio.jobs(OWNER))
    assert door(served, 50)
    (job, *_) = made = served.studio.jobs(OWNER)
    assert len(made) == before + 1
    served.ended(job.id)
