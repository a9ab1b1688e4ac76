"""What the tests of the pipelines share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipelines.web import Web, serving


@pytest.fixture
def web() -> Iterator[Web]:
    with serving() as web:
        yield web


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with a tiny random base of every layout. Nobody writes to it."""
    from tests.pipelines import tiny  # noqa: PLC0415 - diffusers takes seconds; the tests of fetching need none of it

    folder = tmp_path_factory.mktemp("models")
    tiny.sd(folder / "starter")
    tiny.sd(folder / "sd15", zero_snr=False)
    tiny.sdxl(folder / "sdxl")
    tiny.klein(folder / "klein-4b")
    tiny.klein(folder / "klein-base-4b", distilled=False)
    tiny.z_image(folder / "z-image")
    tiny.z_image(folder / "z-image-turbo")
    return folder
