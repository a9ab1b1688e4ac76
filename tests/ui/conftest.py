"""A page for the tests of this folder: one studio with the artist for all of them, served once."""

import io
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from studio.domain import OWNER, Clock, Job, Picture, utc_now
from studio.service import Studio
from studio.settings import Settings
from studio.workshop import KINDS
from tests.touch_up import TouchUp
from tests.ui.apprentice import Apprentice
from tests.ui.artist import Artist
from tests.ui.serving import a_base, tool_weights

PATIENCE = 60.0
# Gradio reads these when it is imported, which collecting these tests does.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("GRADIO_TEMP_DIR", tempfile.mkdtemp(prefix="likeness-tests-"))

from studio.ui.serve import launch  # noqa: E402
from studio.ui.visit import Visit  # noqa: E402
from studio.ui.words import Words  # noqa: E402


@dataclass
class Served:
    """A studio, the artist who draws for it, and where its page is."""

    studio: Studio
    artist: Artist
    url: str

    def done(self, account: str = OWNER, **fields: Any) -> Job:
        """A job that was seen through by the page's own worker."""
        job = self.studio.generate(account, {"prompt": "a smiling woman", **fields})
        return self.ended(job.id, account)

    def ended(self, job_id: str, account: str = OWNER) -> Job:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            job = self.studio.job(account, job_id)
            if job.ended:
                return job
            time.sleep(0.02)
        raise AssertionError("the job did not end")

    def pictures(self, **fields: Any) -> list[Picture]:
        return self.studio.gallery.of_job(OWNER, self.done(**fields).id)


def opened(root: Path, artist: Artist, *, clock: Clock = utc_now, **settings: Any) -> Studio:
    a_base(root / "models")
    # The cache is where Gradio was told when it was imported.
    set_as = Settings(data=root / "data", models=root / "models", **{"port": 0, "upload_mb": 1, **settings})
    tool_weights(root / "models")
    runners = {"image": artist, "tune": Apprentice(), **dict.fromkeys(KINDS, TouchUp())}
    return Studio.open(set_as, {"HF_HUB_CACHE": str(root / "hub")}, runners=runners, clock=clock)


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    artist = Artist()
    studio = opened(tmp_path_factory.mktemp("served"), artist)
    page = launch(studio)
    studio.start()
    yield Served(studio, artist, f"http://127.0.0.1:{page.server_port}/")
    page.close(verbose=False)
    studio.stop()
    assert studio.verify() == [], "the tests leave an account book that agrees with itself"
    studio.close()


@pytest.fixture
def visit(served: Served) -> Visit:
    return Visit(studio=served.studio, account=OWNER, words=Words("en"))


def png(width: int = 96, height: int = 96, colour: str = "white") -> bytes:
    body = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(body, "PNG")
    return body.getvalue()
