"""What was deleted has no address any more, whatever route is asked with whatever id it had."""

from pathlib import Path

from fastapi import FastAPI
from starlette.testclient import TestClient

from studio.domain import OWNER
from studio.ui import media
from tests.person import open_house, somebody


def test_every_old_address_answers_404(tmp_path: Path) -> None:
    house = open_house(tmp_path / "data")
    person = somebody(house)
    routes = media.routes(house.studio)
    client = TestClient(FastAPI(routes=[*routes]))
    by_id = [route.path for route in routes if "{id}" in route.path and "GET" in (route.methods or ())]
    ids = [person.tune, *person.pictures, *person.photos, *person.jobs]
    addresses = [path.replace("{id}", id) for path in by_id for id in ids]

    before = [client.get(address).status_code for address in addresses]
    assert before.count(200) >= 3 * len(person.pictures) + len(person.photos) + 1, "small, whole, about; photos; export"
    house.studio.retention.delete(OWNER, person.tune)
    assert {client.get(address).status_code for address in addresses} == {404}
    assert client.post("/media/zip", data={"ids": ",".join(person.pictures)}).status_code == 404
    house.studio.close()
