"""A studio in a process of its own, on the starter model, and a person at a browser who visits it."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client

ROOT = Path(__file__).resolve().parents[2]
# How long anything on the page may take, in milliseconds; more for a machine that is busy with other things.
PATIENCE = 1000 * int(os.environ.get("LIKENESS_PATIENCE", "120"))
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
MISSING = "there is no Chromium: apt-get install chromium, or name one in CHROMIUM"


def needed() -> str:
    """Where Chromium is. Skips the test where there is none; in CI that is a failure."""
    if CHROMIUM is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(MISSING)
    return str(CHROMIUM)


@dataclass(frozen=True, kw_only=True)
class Home:
    """The studio that is served, and its API for what a test needs to be there."""

    url: str
    api: Client

    def ended(self, job_id: str) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE / 1000
        while time.monotonic() < deadline:
            job = self.api.predict(job_id, api_name="/job")
            if job["state"] in ("done", "failed", "cancelled"):
                return job
            time.sleep(0.1)
        raise AssertionError("the job did not end")

    def made(self, prompt: str, **asked: Any) -> dict[str, Any]:
        """A job over the API, seen through; small and rough where nothing else is asked."""
        given = {"size": "128x128", "steps": 1, **asked}
        return self.ended(self.api.predict(prompt, **given, api_name="/generate")["id"])


@contextmanager
def served(data: Path) -> Iterator[Home]:
    """`serve` as a person starts it, on a data folder of its own; with LIKENESS_ARTIST=1 plain shapes are drawn
    instead, for a machine on which the model would take too long."""
    environment = os.environ | {"STUDIO_DATA": str(data), "STUDIO_PORT": "0", "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "studio", "serve"]
    if "LIKENESS_ARTIST" in os.environ:
        command = [sys.executable, "-m", "tests.ui.serving", str(data), "0.2"]
    said = data.with_name("said.txt")
    with (
        said.open("w") as out,
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=subprocess.STDOUT) as process,
    ):
        try:
            deadline = time.monotonic() + PATIENCE / 1000
            while not (found := re.search(r"http://\S+", said.read_text())):
                assert process.poll() is None and time.monotonic() < deadline, said.read_text()
                time.sleep(0.1)
            api = Client(found[0], verbose=False)
            yield Home(url=found[0].rstrip("/") + "/", api=api)
            api.close()
        finally:
            process.terminate()
            process.wait(60)


class Visitor:
    """A page that somebody looks at, and what he does there."""

    def __init__(self, page: Any, url: str) -> None:
        self.page = page
        self.url = url
        self.faults: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", self._heard)
        page.goto(url)
        self.ready()

    def _heard(self, message: Any) -> None:
        if message.type == "error":
            self.faults.append(f"{message.text} {message.location.get('url', '')}")

    def ready(self) -> None:
        self.page.locator("body[data-ready]").wait_for()

    def at(self, query: str, **options: Any) -> Any:
        return self.page.locator(query, **options)

    def tab(self, name: str) -> None:
        self.at(f"#tab-{name}-button").click()
        self.at(f"#tab-{name}-button[aria-selected=true]").wait_for()

    def write(self, prompt: str) -> None:
        self.at("#prompt textarea").fill(prompt)

    def number(self, field: str, value: int) -> None:
        box = self.at(f"#{field} input[type=number]")
        box.fill(str(value))
        box.press("Tab")

    def ask(self, prompt: str, *, count: int, steps: int) -> None:
        """Fills the form for small pictures, which come soon."""
        self.write(prompt)
        self.at("#size label").last.click()
        for field in ("width", "height"):
            self.number(field, 128)
        self.number("count", count)
        self.number("steps", steps)

    def price(self) -> int:
        """What the button says that it will cost."""
        found = re.search(r"(\d+) credit", self.at("#generate").inner_text())
        assert found, self.at("#generate").inner_text()
        return int(found[1])

    def go(self) -> str:
        """Presses Ctrl+Enter in the prompt; gives the job's id once it is on the stage."""
        before = self.job() if self.at("#stage .job").count() else ""
        prompt = self.at("#prompt textarea")
        prompt.press("Control+Enter")
        # By its words too: where nothing was asked for here yet, the stage shows what others have asked for.
        self.at(f'#stage .job:not([data-job="{before}"])', has_text=prompt.input_value()).wait_for()
        return self.job()

    def job(self) -> str:
        return str(self.at("#stage .job").get_attribute("data-job"))

    def state(self, *states: str) -> None:
        """Waits until the job on the stage is in one of these states."""
        self.at(", ".join(f"#stage .job[data-state={one}]" for one in states)).wait_for()

    def leaf(self, way: str) -> None:
        """Turns to the "older" or the "newer" page of the gallery."""
        self.at(f".pager button:nth-of-type({3 if way == 'older' else 2})").click()

    def shelf(self) -> list[str]:
        return self.page.evaluate("() => [...document.querySelectorAll('#shelf [data-id]')].map(one => one.dataset.id)")

    def shelf_is(self, test: str, *given: Any) -> None:
        """Waits until a JavaScript test of the gallery's ids holds: `(ids, given) => ...`."""
        ids = "[...document.querySelectorAll('#shelf [data-id]')].map(one => one.dataset.id)"
        self.page.wait_for_function(f"given => ({test})({ids}, ...given)", arg=[*given])

    def wider(self) -> int:
        """By how many pixels the page is wider than the window."""
        return self.page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")


def held(page: Any) -> tuple[int, int]:
    """Elements and bytes of JavaScript that the page holds when all rubbish is collected."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    found = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    session.detach()
    return int(found["Nodes"]), int(found["JSHeapUsedSize"])
