"""Each picture is one file and one row, found page by page."""

from pathlib import Path

import pytest

from studio.domain import OWNER, Drawn, Job, NotFound, Picture
from studio.rules import new_id
from studio.storage import job_store, pictures, uploads
from tests.fakes import CLIENT, Bench, content, request


@pytest.fixture
def job(bench: Bench) -> Job:
    made = new_id()
    with bench.database.write() as tx:
        job_store.insert(tx, job_id=made, account=OWNER, request=request(count=8), asked="", charges=(), now=0)
        return job_store.get(tx, OWNER, made)


def add(bench: Bench, job: Job, index: int) -> bool:
    file = bench.folder.root / f"{index}.png"
    file.write_bytes(content(job.id, index))
    drawn = Drawn(index=index, file=file, width=512, height=768, seed=index, recipe={"prompt": "ä", "steps": 30})
    with bench.database.write() as tx:
        return pictures.add(tx, bench.folder.pictures, job, drawn, now=bench.clock())


def page(bench: Bench, **options: object) -> list[Picture]:
    with bench.database.read() as tx:
        return pictures.newest(tx, OWNER, **options)  # type: ignore[arg-type]


def test_a_picture_is_its_file_and_its_row(bench: Bench, job: Job) -> None:
    assert add(bench, job, 3)
    (picture,) = page(bench)
    assert (bench.folder.pictures / picture.file).read_bytes() == content(job.id, 3)
    assert (picture.job, picture.index, picture.width, picture.height, picture.seed) == (job.id, 3, 512, 768, 3)
    assert (picture.kind, picture.base, picture.recipe) == ("image", "starter", {"prompt": "ä", "steps": 30})


def test_adding_it_twice_is_harmless(bench: Bench, job: Job) -> None:
    assert add(bench, job, 3)
    assert not add(bench, job, 3)
    assert bench.count("picture") == len(bench.files()) == 1
    assert not (bench.folder.root / "3.png").exists()


def test_pages_meet_without_gap_or_overlap_while_pictures_are_added(bench: Bench, job: Job) -> None:
    for index in range(5):
        add(bench, job, index)
    first = page(bench, limit=2)
    add(bench, job, 5)
    second = page(bench, limit=2, before=first[-1].id)
    third = page(bench, limit=2, before=second[-1].id)
    assert [picture.index for picture in first + second + third] == [4, 3, 2, 1, 0]


def test_a_page_is_read_from_an_index(bench: Bench, job: Job) -> None:
    add(bench, job, 0)
    (last,) = page(bench)
    ran: list[str] = []
    with bench.database.read() as tx:
        tx.set_trace_callback(ran.append)
        pictures.newest(tx, OWNER, before=last.id)
        tx.set_trace_callback(None)
        plan = tx.execute(f"EXPLAIN QUERY PLAN {ran[-1]}").fetchall()
    assert [row["detail"] for row in plan] == ["SEARCH picture USING INDEX picture_newest (account=? AND seq<?)"]


def test_another_accounts_picture_does_not_exist(bench: Bench, job: Job) -> None:
    add(bench, job, 0)
    (picture,) = page(bench)
    with bench.database.read() as tx:
        assert pictures.get(tx, OWNER, picture.id) == picture
        with pytest.raises(NotFound):
            pictures.get(tx, CLIENT, picture.id)
        assert pictures.newest(tx, CLIENT) == []


def test_an_upload_is_kept_for_its_account_until_it_is_removed(bench: Bench) -> None:
    folder: Path = bench.folder.uploads
    with bench.database.write() as tx:
        upload = uploads.add(tx, folder, CLIENT, b"png", now=bench.clock())
    with bench.database.write() as tx:
        assert uploads.path(tx, folder, CLIENT, upload, field="init").read_bytes() == b"png"
        with pytest.raises(NotFound) as caught:
            uploads.path(tx, folder, OWNER, upload, field="init")
        assert caught.value.field == "init"
        uploads.remove_unused(tx, folder, OWNER, upload)
        assert bench.files()
        uploads.remove_unused(tx, folder, CLIENT, upload)
    assert bench.files() == []
