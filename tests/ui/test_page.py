"""The page as its API and its addresses show it: what is asked runs, what is not yours or not allowed is refused."""

import io
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from gradio_client import Client
from PIL import Image

from studio.domain import Drawn, ImageRequest, StudioError, Task
from studio.rules import new_id
from studio.service import Studio
from studio.settings import Settings
from studio.ui import page, playground


def draw(task: Task, report: Any, is_cancelled: Any) -> Iterator[Drawn]:
    """Draws plain pictures at once."""
    wanted = task.request
    assert isinstance(wanted, ImageRequest)
    for index, seed in enumerate(wanted.seeds):
        file = task.folder / f"{index}.png"
        Image.new("RGB", (64, 64), (index * 30, 90, 120)).save(file)
        yield Drawn(
            index=index, file=file, width=64, height=64, seed=seed, recipe={"prompt": wanted.prompt, "steps": 4}
        )


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    studio = Studio.open(Settings(data=tmp_path_factory.mktemp("page") / "data"), {}, runners={"image": draw})
    yield studio
    studio.close()


@pytest.fixture(scope="module")
def url(studio: Studio) -> Iterator[str]:
    blocks = page.build(studio).queue(api_open=False)
    _, address, _ = blocks.launch(prevent_thread_lock=True, quiet=True, **page.launch_options(studio))
    yield address
    blocks.close()
    studio.stop()


@pytest.fixture(scope="module")
def client(url: str) -> Client:
    return Client(url, verbose=False)


def ended(client: Client, job_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        job = client.predict(job_id, api_name="/job")
        if job["state"] in ("done", "failed", "cancelled"):
            return job
        time.sleep(0.1)
    raise AssertionError("the job did not end within a minute")


def test_the_public_endpoints_are_the_promised_ones(client: Client) -> None:
    named = client.view_api(return_format="dict", print_info=False)
    assert set(named["named_endpoints"]) == {"/quote", "/generate", "/job", "/cancel", "/pictures", "/balance"}  # type: ignore[index]


def test_pictures_asked_for_over_the_api_are_made_charged_and_served(client: Client, url: str) -> None:
    job = client.predict("a person", size="512x768", steps=60, count=2, seed=5, api_name="/generate")
    done = ended(client, job["id"])
    assert (done["state"], done["delivered"], done["charged"]) == ("done", 2, {"playground": 4})
    assert [picture["seed"] for picture in done["made"]] == [5, 6]
    got = httpx.get(url + done["made"][0]["url"])
    assert Image.open(io.BytesIO(got.content)).size == (64, 64)
    listed = client.predict(api_name="/pictures")["pictures"]
    assert {picture["id"] for picture in done["made"]} <= {picture["id"] for picture in listed}
    assert client.predict(api_name="/balance")["playground"]["held"] == 0


def test_the_same_id_twice_is_one_job(client: Client) -> None:
    same = new_id()
    first, second = (client.predict("once", id=same, seed=1, api_name="/generate") for _ in range(2))
    assert first["id"] == second["id"] == same


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"prompt": " "}, "prompt"),
        ({"prompt": "a", "steps": 151}, "steps"),
        ({"prompt": "a", "steps": 50.7}, "steps"),
        ({"prompt": "a", "steps": "50"}, "steps"),
        ({"prompt": "a", "steps": True}, "steps"),
        ({"prompt": "a", "size": "513x512"}, "width"),
        ({"prompt": "a", "count": 9}, "count"),
        ({"prompt": "a", "seed": 2**63}, "seed"),
        ({"prompt": "a", "base": "nowhere"}, "base"),
        ({"prompt": "x" * 10_001}, "prompt"),
    ],
)
def test_bad_input_over_the_api_is_refused_by_the_field_and_makes_no_job(
    client: Client, studio: Studio, given: dict[str, Any], named: str
) -> None:
    before = len(studio.jobs("owner"))
    with pytest.raises(Exception, match=named):
        client.predict(**given, api_name="/generate")
    assert len(studio.jobs("owner")) == before


def test_a_picture_that_is_not_there_is_not_found(url: str) -> None:
    for address in ("media/nothing.png", f"media/{new_id()}.png", f"preview/{new_id()}", "media/..%2Fstudio.db.png"):
        assert httpx.get(url + address).status_code == 404


def test_a_request_for_another_host_name_is_refused(url: str) -> None:
    assert httpx.get(url, headers={"Host": "evil.example"}).status_code == 400


def test_no_file_of_the_machine_or_of_the_data_folder_can_be_fetched_by_its_path(url: str, studio: Studio) -> None:
    for path in ("/etc/hostname", str(studio.settings.data / "studio.db"), str(Path(page.__file__))):
        assert httpx.get(f"{url}gradio_api/file={path}").status_code in (403, 404)


def test_the_price_on_the_button_is_the_price_that_is_charged(studio: Studio) -> None:
    values = ("a person", "", "", "starter", "768x512", 60.0, None, "", None, 3.0)
    assert playground.label(studio, *values) == "Generate - 6 playground credits"
    job = playground.submit(studio, "owner", new_id(), values)
    assert [charge.amount for charge in job.charges] == [6]


@pytest.mark.parametrize("steps", [50.7, float("nan"), float("inf"), True, "50", 0, 151])
def test_what_a_slider_cannot_mean_is_refused(studio: Studio, steps: object) -> None:
    values = ("a person", "", "", "starter", "512x512", steps, None, "", None, 1)
    with pytest.raises(StudioError, match="steps"):
        playground.submit(studio, "owner", new_id(), values)
