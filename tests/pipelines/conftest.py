"""What the tests of the pipelines share."""

from collections.abc import Iterator

import pytest

from tests.pipelines.web import Web, serving


@pytest.fixture
def web() -> Iterator[Web]:
    with serving() as web:
        yield web
