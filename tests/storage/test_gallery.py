"""Looking through pictures: pages that hang together, filters that find all and nothing else, favourites."""

import json

import pytest
from PIL import Image

from studio.domain import OWNER, NotFound, Picture
from studio.jobs import Jobs
from studio.storage import gallery, pictures, tables
from studio.storage.gallery import Filter, Page
from studio.storage.small import SIDE, small
from tests.fakes import CLIENT, Bench, FakeRunner, request


@pytest.fixture
def jobs(bench: Bench) -> Jobs:
    return bench.jobs(FakeRunner())


def made(jobs: Jobs, account: str = OWNER, **fields: object) -> list[str]:
    """The ids of a job's pictures, newest first."""
    job = jobs.submit(account, request(**fields))
    jobs.run_next()
    with jobs.database.read() as tx:
        return [one.id for one in pictures.of_job(tx, job.id)][::-1]


def page(bench: Bench, sieve: Filter | None = None, *, limit: int = 3, account: str = OWNER, **where: str) -> Page:
    with bench.database.read() as tx:
        return gallery.page(tx, account, sieve or Filter(), limit=limit, **where)


def ids(found: Page) -> list[str]:
    return [one.id for one in found.pictures]


def test_pages_follow_each_other_without_a_gap_in_both_directions(bench: Bench, jobs: Jobs) -> None:
    all_ids = made(jobs, count=8)
    first = page(bench)
    second = page(bench, before=ids(first)[-1])
    third = page(bench, before=ids(second)[-1])
    assert ids(first) + ids(second) + ids(third) == all_ids
    assert [(one.first, one.total, one.is_last) for one in (first, second, third)] == [
        (0, 8, False),
        (3, 8, False),
        (6, 8, True),
    ]
    assert ids(page(bench, after=ids(third)[0])) == ids(second)
    assert ids(page(bench, after=ids(second)[0])) == ids(first)


def test_the_last_page_is_full(bench: Bench, jobs: Jobs) -> None:
    all_ids = made(jobs, count=8)
    assert ids(page(bench, after="")) == all_ids[-3:]


def test_going_back_to_the_beginning_shows_a_full_first_page(bench: Bench, jobs: Jobs) -> None:
    all_ids = made(jobs, count=5)
    assert ids(page(bench, after=all_ids[1])) == all_ids[:3]


def test_a_page_is_found_though_its_neighbour_was_deleted(bench: Bench, jobs: Jobs) -> None:
    all_ids = made(jobs, count=6)
    with bench.database.write() as tx:
        pictures.delete(tx, OWNER, [all_ids[2]], now=bench.clock())
    after = page(bench, before=all_ids[2])
    assert ids(after) == all_ids[3:]
    assert (after.first, after.total) == (2, 5)


def test_filters_find_all_and_nothing_else(bench: Bench, jobs: Jobs) -> None:
    plain = made(jobs, prompt="An OLD man")
    styled = made(jobs, prompt="an old Woman", style="storybook")
    umlaut = made(jobs, prompt="Ein GRÜNER Frosch", base="other")
    assert ids(page(bench, Filter(text="old"))) == styled + plain
    assert ids(page(bench, Filter(text="woman old"))) == styled
    assert ids(page(bench, Filter(text="grüner"))) == umlaut
    assert ids(page(bench, Filter(text="100%"))) == []
    assert ids(page(bench, Filter(style="storybook"))) == styled
    assert ids(page(bench, Filter(base="other"))) == umlaut
    assert ids(page(bench, Filter(kind="image"))) == umlaut + styled + plain
    assert ids(page(bench, Filter(kind="upscale"))) == []


def test_favourites_are_found_and_unmarked_again(bench: Bench, jobs: Jobs) -> None:
    all_ids = made(jobs, count=3)
    with bench.database.write() as tx:
        gallery.mark(tx, OWNER, all_ids[1:], favourite=True)
        gallery.mark(tx, OWNER, all_ids[2:], favourite=False)
    assert ids(page(bench, Filter(favourites=True))) == [all_ids[1]]


def test_nobody_sees_or_marks_what_is_anothers(bench: Bench, jobs: Jobs) -> None:
    mine = made(jobs, count=2)
    assert page(bench, account=CLIENT).total == 0
    with bench.database.read() as tx:
        assert gallery.choices(tx, CLIENT) == gallery.Choices(kinds=(), bases=(), styles=())
    with pytest.raises(NotFound), bench.database.write() as tx:
        gallery.mark(tx, CLIENT, mine, favourite=True)
    with pytest.raises(NotFound):
        page(bench, account=CLIENT, before=mine[0])
    assert page(bench, Filter(favourites=True)).total == 0


def test_there_is_to_choose_from_what_pictures_have(bench: Bench, jobs: Jobs) -> None:
    made(jobs, style="toon")
    made(jobs, style="comic", base="other")
    with bench.database.read() as tx:
        assert gallery.choices(tx, OWNER) == gallery.Choices(
            kinds=("image",), bases=("other", "starter"), styles=("comic", "toon")
        )


@pytest.mark.parametrize("sieve", [Filter(), Filter(style="toon", favourites=True)])
def test_what_asks_for_no_words_is_found_without_reading_prompts(bench: Bench, jobs: Jobs, sieve: Filter) -> None:
    assert plans(bench, jobs, sieve) == {"picture_newest (account=? AND seq<?)", "picture_newest (account=? AND seq>?)"}


def test_words_are_looked_for_without_reading_whole_rows(bench: Bench, jobs: Jobs) -> None:
    sieve = Filter(text="smiling wo", style="toon", favourites=True)
    assert plans(bench, jobs, sieve) == {"picture_words (account=? AND seq<?)", "picture_words (account=? AND seq>?)"}


def plans(bench: Bench, jobs: Jobs, sieve: Filter) -> set[str]:
    """What the queries for a middle page walk, but for the rows that are shown."""
    all_ids = made(jobs, count=8, style="toon")
    with bench.database.write() as tx:
        gallery.mark(tx, OWNER, all_ids, favourite=True)
    ran: list[str] = []
    with bench.database.read() as tx:
        tx.set_trace_callback(ran.append)
        found = gallery.page(tx, OWNER, sieve, limit=3, before=all_ids[2])
        tx.set_trace_callback(None)
        steps = [row["detail"] for query in ran for row in tx.execute(f"EXPLAIN QUERY PLAN {query}")]
    assert ids(found) == all_ids[3:6]
    beside = (
        "SEARCH picture USING INTEGER PRIMARY KEY",
        "SEARCH picture USING INDEX sqlite_autoindex_picture_1 (id=?)",
    )
    walked = {step for step in steps if not step.startswith(beside)}
    assert all(step.startswith("SEARCH picture USING COVERING INDEX ") for step in walked)
    return {step.removeprefix("SEARCH picture USING COVERING INDEX ") for step in walked}


def test_signs_that_mean_something_to_the_database_are_looked_for_as_they_are(bench: Bench, jobs: Jobs) -> None:
    made(jobs, prompt="plain")
    percent = made(jobs, prompt="100% red")
    underscore = made(jobs, prompt="a_b")
    backslash = made(jobs, prompt=r"a\b")
    assert ids(page(bench, Filter(text="%"))) == percent
    assert ids(page(bench, Filter(text="0% r"))) == percent
    assert ids(page(bench, Filter(text="_"))) == underscore
    assert ids(page(bench, Filter(text="\\"))) == backslash


def test_a_filtered_page_says_where_it_lies_and_how_many_there_are(bench: Bench, jobs: Jobs) -> None:
    liked: list[str] = []
    for style in ("toon", "comic") * 4:
        liked = made(jobs, count=2, style=style)[:1] + liked
    with bench.database.write() as tx:
        gallery.mark(tx, OWNER, liked, favourite=True)
    for sieve, expected in ((Filter(favourites=True), liked), (Filter(favourites=True, text="WOMAN"), liked)):
        first = page(bench, sieve)
        second = page(bench, sieve, before=ids(first)[-1])
        last = page(bench, sieve, after="")
        beyond = page(bench, sieve, before=expected[-1])
        assert ids(first) + ids(second) == expected[:6]
        assert ids(last) == expected[-3:]
        assert ids(page(bench, sieve, after=ids(second)[0])) == ids(first)
        assert ids(page(bench, sieve, after=expected[1])) == ids(first)
        assert [(one.first, one.total, one.is_last) for one in (first, second, last, beyond)] == [
            (0, 8, False),
            (3, 8, False),
            (5, 8, True),
            (8, 8, True),
        ]


def test_pictures_made_before_they_could_be_searched_are_found(bench: Bench, jobs: Jobs) -> None:
    made(jobs, prompt="Ein GRÜNER Frosch")
    with bench.database.write() as tx:
        for index in ("picture_words", "picture_kind", "picture_base", "picture_style", "picture_tune"):
            tx.execute(f"DROP INDEX {index}")
        tx.execute("ALTER TABLE picture DROP COLUMN searchable")
        tables.m007_gallery(tx)
        tables.m009_gallery_indexes(tx)
    assert page(bench, Filter(text="grüner frosch")).total == 1


# --- small copies ----------------------------------------------------------------------------------------------------


def a_picture(bench: Bench, jobs: Jobs, image: Image.Image) -> Picture:
    (made_id,) = made(jobs)
    with bench.database.read() as tx:
        picture = pictures.get(tx, OWNER, made_id)
    image.save(bench.folder.pictures / picture.file, "PNG")
    return picture


def test_a_small_copy_keeps_shape_and_transparency(bench: Bench, jobs: Jobs) -> None:
    picture = a_picture(bench, jobs, Image.new("RGBA", (512, 1024), (255, 0, 0, 0)))
    path = small(bench.folder.pictures, picture)
    with Image.open(path) as image:
        assert (image.size, image.mode, image.format) == ((SIDE // 2, SIDE), "RGBA", "WEBP")
    written = path.stat().st_mtime_ns
    assert small(bench.folder.pictures, picture).stat().st_mtime_ns == written


def test_a_small_copy_goes_with_its_picture(bench: Bench, jobs: Jobs) -> None:
    picture = a_picture(bench, jobs, Image.new("RGB", (64, 64)))
    path = small(bench.folder.pictures, picture)
    with bench.database.write() as tx:
        pictures.delete(tx, OWNER, [picture.id], now=bench.clock())
    with bench.database.write() as tx:
        pictures.erase(tx, bench.folder.pictures, picture)
    assert not path.exists()


def test_a_file_that_is_no_picture_is_not_found_and_leaves_nothing(bench: Bench, jobs: Jobs) -> None:
    (made_id,) = made(jobs)
    with bench.database.read() as tx:
        picture = pictures.get(tx, OWNER, made_id)
    with pytest.raises(NotFound):
        small(bench.folder.pictures, picture)
    assert not list(bench.folder.root.glob("small/*/*"))


def test_what_is_searched_is_what_was_asked_not_what_a_style_made_of_it() -> None:
    recipe = {"prompt": "An old man, storybook style", "asked": {"prompt": "An old MAN", "negative": ""}}
    assert pictures.searchable(json.loads(json.dumps(recipe))) == "an old man"
    assert pictures.searchable({}) == ""
