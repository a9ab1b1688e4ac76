"""The studio's endpoints as tools for language models: with the optional packages, and what is said without them."""

import ast
import asyncio
import importlib.util
from pathlib import Path
from typing import Any

import httpx
import pytest

from studio.domain import OWNER, Refused
from studio.ui.serve import launch
from tests.ui.artist import Artist
from tests.ui.conftest import opened

INSTALLED = importlib.util.find_spec("mcp") is not None


@pytest.mark.skipif(INSTALLED, reason="requirements-mcp.txt is installed")
def test_without_its_packages_the_setting_says_what_to_install(tmp_path: Path) -> None:
    studio = opened(tmp_path, Artist(), mcp=True)
    try:
        with pytest.raises(Refused, match=r"^mcp is on, .* -m pip install -r requirements-mcp\.txt$") as refused:
            launch(studio)
    finally:
        studio.close()
    assert refused.value.field == "mcp"


@pytest.mark.skipif(not INSTALLED, reason="wants requirements-mcp.txt")
def test_with_its_packages_every_endpoint_is_a_tool_and_refuses_as_the_page_does(tmp_path: Path) -> None:
    studio = opened(tmp_path, Artist(), mcp=True)
    page = launch(studio)
    address = f"http://127.0.0.1:{page.server_port}/gradio_api/mcp/"
    try:
        schema = {tool["name"]: tool for tool in httpx.get(f"{address}schema", timeout=60).json()}
        endpoints = httpx.get(f"http://127.0.0.1:{page.server_port}/gradio_api/info", timeout=60).json()
        quoted, refused, asked = asyncio.run(
            called(
                address,
                ("quote", {"size": "512x768", "steps": 60, "count": 2}),
                ("generate", {"prompt": " "}),
                ("generate", {"prompt": "a person", "seed": 5}),
            )
        )
        foreign = httpx.post(address, json={}, headers={"origin": "http://evil.example"}, timeout=60)
        jobs = studio.jobs(OWNER)
    finally:
        page.close(verbose=False)
        studio.close()
    assert {f"/{name}" for name in schema} == set(endpoints["named_endpoints"])
    assert "1 to 150" in schema["generate"]["inputSchema"]["properties"]["steps"]["description"]
    assert ast.literal_eval(quoted.content[0].text)["price"] == 4
    assert refused.isError
    assert "prompt is empty" in refused.content[0].text
    assert [job.id for job in jobs] == [ast.literal_eval(asked.content[0].text)["id"]]
    assert foreign.status_code == 403


async def called(address: str, *calls: tuple[str, dict[str, Any]]) -> list[Any]:
    """What the tools answer, asked as a language model's program asks."""
    mcp: Any = importlib.import_module("mcp")
    transport: Any = importlib.import_module("mcp.client.streamable_http")
    async with (
        transport.streamablehttp_client(address) as (reading, writing, _),
        mcp.ClientSession(reading, writing) as session,
    ):
        await session.initialize()
        return [await session.call_tool(name, arguments) for name, arguments in calls]
