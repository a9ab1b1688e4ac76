"""What the page, the API and commands may ask: who may see what, what is refused before it costs anything."""

import io
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from PIL import Image

from studio.domain import (
    OWNER,
    Conflict,
    Job,
    NotEnoughCredits,
    NotFound,
    Refused,
    StudioError,
    WeightsMissing,
)
from studio.forgetting import UNDO
from studio.rules import new_id
from studio.service import Studio
from studio.settings import Settings
from studio.storage import deletions, job_store
from tests.fakes import CLIENT, FakeRunner, StillClock

PATIENCE = 20.0


@dataclass
class House:
    """A studio with a fake runner, and what can be counted of it."""

    studio: Studio
    runner: FakeRunner
    clock: StillClock

    def files(self) -> list[Path]:
        """Everything in the data folder but the database and the list of deletions."""
        kept = ("studio.db", "forgotten.log")
        return sorted(
            path for path in self.studio.settings.data.rglob("*") if path.is_file() and not path.name.startswith(kept)
        )

    def done(self, **fields: object) -> Job:
        """A job of the owner's that was seen through."""
        job = self.studio.generate(OWNER, {"prompt": "a smiling woman", **fields})
        return self.studio.wait(OWNER, job.id)


def a_base(models: Path, name: str = "starter") -> None:
    """A folder that is told for a base by its index; its weights are not looked at."""
    (models / name).mkdir(parents=True)
    index = {"_class_name": "StableDiffusionPipeline"}
    (models / name / "model_index.json").write_text(json.dumps(index))


@pytest.fixture
def house(tmp_path: Path, clock: StillClock) -> Iterator[House]:
    a_base(tmp_path / "models")
    runner = FakeRunner()
    settings = Settings(data=tmp_path / "data", models=tmp_path / "models")
    studio = Studio.open(settings, {"HF_HUB_CACHE": str(tmp_path / "cache")}, runners={"image": runner}, clock=clock)
    studio.open_account(CLIENT)
    yield House(studio, runner, clock)
    assert studio.verify() == []
    studio.close()


def png(width: int = 96, height: int = 64, colour: str = "white") -> bytes:
    body = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(body, "PNG")
    return body.getvalue()


# --- what is refused -------------------------------------------------------------------------------------------------

BAD: list[tuple[str, dict[str, object], str, str]] = [
    ("an empty prompt", {"prompt": " \n "}, "prompt", "1 to 2000 characters"),
    ("no prompt", {"prompt": None}, "prompt", "1 to 2000 characters"),
    ("too long a prompt", {"prompt": "x" * 10_000}, "prompt", "1 to 2000 characters"),
    ("a control character", {"prompt": "a\x1b[31m"}, "prompt", "without control characters"),
    ("too long a negative", {"negative": "x" * 10_000}, "negative", "0 to 2000 characters"),
    ("151 steps", {"steps": 151}, "steps", "1 to 150"),
    ("no steps", {"steps": 0}, "steps", "1 to 150"),
    ("half a step", {"steps": 50.7}, "steps", "1 to 150"),
    ("whole steps as a float", {"steps": 50.0}, "steps", "1 to 150"),
    ("steps as a text", {"steps": "50"}, "steps", "1 to 150"),
    ("steps as true", {"steps": True}, "steps", "1 to 150"),
    ("steps as NaN", {"steps": math.nan}, "steps", "1 to 150"),
    ("an odd width", {"width": 513}, "width", "a multiple of 64 from 128 to 1024"),
    ("too small a width", {"width": 64}, "width", "a multiple of 64 from 128 to 1024"),
    ("too large a height", {"height": 1088}, "height", "a multiple of 64 from 128 to 1024"),
    ("guidance as NaN", {"guidance": math.nan}, "guidance", "0 to 30"),
    ("guidance without end", {"guidance": math.inf}, "guidance", "0 to 30"),
    ("guidance as true", {"guidance": True}, "guidance", "0 to 30"),
    ("guidance as a text", {"guidance": "7"}, "guidance", "0 to 30"),
    ("nine pictures", {"count": 9}, "count", "1 to 8"),
    ("no picture", {"count": 0}, "count", "1 to 8"),
    ("a seed too large", {"seed": 2**63}, "seed", "0 to 4294967295"),
    ("a seed below 0", {"seed": -1}, "seed", "0 to 4294967295"),
    ("an unknown base", {"base": "nowhere"}, "base", "starter"),
    ("a base with a path", {"base": "../../etc"}, "base", "letters, digits"),
    ("an unknown style", {"style": "no-such"}, "style", "storybook"),
    ("an unknown scheduler", {"scheduler": "no-such"}, "scheduler", "ddim"),
    ("a scheduler the base has not", {"scheduler": "lcm"}, "scheduler", "ddim, dpmpp-2m"),
    ("strength without a picture", {"strength": 0.5}, "strength", "together with init"),
    ("a mask without a picture", {"mask": "upload"}, "mask", "together with init"),
    ("super-resolution as a text", {"super_resolution": "no"}, "super_resolution", "true, false"),
    ("a tune that is not there", {"tune": "mine"}, "tune", "no tune"),
    ("an unknown field", {"stepz": 3}, "stepz", "prompt"),
]


@pytest.mark.parametrize(("fields", "field", "allowed"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_input_is_one_sentence_and_costs_nothing(
    house: House, fields: dict[str, object], field: str, allowed: str
) -> None:
    with pytest.raises(Refused) as caught:
        house.studio.generate(OWNER, {"prompt": "a smiling woman", **fields})
    assert caught.value.field == field
    assert allowed in str(caught.value.allowed)
    assert caught.value.message.endswith(".")
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 250
    assert house.studio.jobs(OWNER) == []
    assert house.studio.counter.history(OWNER) == []
    assert house.files() == []


def test_a_base_that_is_known_but_not_here_is_told_with_the_command_that_gets_it(house: House) -> None:
    with pytest.raises(WeightsMissing, match="models fetch sd15") as caught:
        house.studio.generate(OWNER, {"prompt": "x", "base": "sd15"})
    assert caught.value.field == "base"
    assert house.studio.counter.history(OWNER) == []


@pytest.mark.parametrize(
    ("init", "mask", "field"),
    [
        (b"no picture", None, "init"),
        (png(), b"no picture", "mask"),
        (png(), png(64, 64), "mask"),
        (Path("/nowhere/at/all.png"), None, "init"),
        (b"x" * (26 << 20), None, "init"),
    ],
)
def test_a_bad_picture_to_start_from_costs_nothing_and_leaves_nothing(
    house: House, init: bytes | Path, mask: bytes | None, field: str
) -> None:
    with pytest.raises(StudioError) as caught:
        house.studio.generate(OWNER, {"prompt": "x"}, init=init, mask=mask)
    assert caught.value.field == field
    assert house.studio.jobs(OWNER) == []
    assert house.files() == []


def test_a_request_that_is_refused_after_its_picture_was_taken_in_leaves_no_picture(house: House) -> None:
    with pytest.raises(NotEnoughCredits):
        house.studio.generate(CLIENT, {"prompt": "x"}, init=png(), mask=png())
    with pytest.raises(Refused):
        house.studio.generate(OWNER, {"prompt": "x"}, init=png(), job_id="no uuid")
    assert house.files() == []
    house.studio.generate(OWNER, {"prompt": "x"}, init=png())
    with pytest.raises(Refused):
        house.studio.generate(OWNER, {"prompt": "y"}, init=png(), job_id="no uuid")
    assert len(house.files()) == 1, "the picture that a job needs stays"


def test_a_picture_cannot_be_given_both_as_an_id_and_as_a_file(house: House) -> None:
    with pytest.raises(Refused, match="init is given twice"):
        house.studio.generate(OWNER, {"prompt": "x", "init": "abc"}, init=png())


# --- what is made ----------------------------------------------------------------------------------------------------


def test_pictures_are_made_charged_and_found(house: House) -> None:
    job = house.done(count=3, seed=7)
    assert (job.state, job.delivered) == ("done", 3)
    pictures = house.studio.gallery.of_job(OWNER, job.id)
    assert [picture.seed for picture in pictures] == [7, 8, 9]
    assert [picture.id for picture in house.studio.gallery.newest(OWNER)] == [
        picture.id for picture in reversed(pictures)
    ]
    assert all(house.studio.gallery.file(OWNER, picture.id).is_file() for picture in pictures)
    assert -sum(entry.posted_change for entry in house.studio.counter.history(OWNER) if entry.phase == "capture") == 3


def test_the_quote_is_what_is_charged_then(house: House) -> None:
    fields: dict[str, object] = {"width": 768, "height": 1024, "steps": 120, "count": 2, "super_resolution": True}
    quoted = house.studio.quote(fields)
    assert [charge.amount for charge in quoted] == [2 * (8 + 1)]
    assert house.done(**fields).charges == quoted


@pytest.mark.parametrize("fields", [{"steps": 151}, {"steps": "50"}, {"width": 513}, {"count": 9}, {"steps": True}])
def test_the_quote_refuses_what_the_request_would(house: House, fields: dict[str, object]) -> None:
    with pytest.raises(Refused):
        house.studio.quote(fields)


def test_the_runner_gets_the_pictures_that_were_handed_in(house: House) -> None:
    mask = Image.new("L", (96, 64))
    mask.paste(255, (0, 0, 48, 64))
    body = io.BytesIO()
    mask.save(body, "PNG")
    job = house.studio.generate(
        OWNER, {"prompt": "x", "strength": 0.4, "width": 256, "height": 128}, init=png(), mask=body.getvalue()
    )
    house.studio.wait(OWNER, job.id)
    (task,) = house.runner.asked
    assert task.inputs.keys() == {"init", "mask"}
    with Image.open(task.inputs["init"]) as init, Image.open(task.inputs["mask"]) as given:
        assert init.size == given.size == (256, 128)
        assert [given.getpixel((x, 64)) for x in (10, 246)] == [255, 0]


def test_the_same_click_is_one_job_also_with_a_picture(house: House) -> None:
    job_id = new_id()
    jobs = {house.studio.generate(OWNER, {"prompt": "x"}, init=png(), job_id=job_id).id for _ in range(5)}
    assert jobs == {job_id}
    assert len(house.studio.jobs(OWNER)) == 1
    assert len(house.files()) == 1
    with pytest.raises(Conflict):
        house.studio.generate(OWNER, {"prompt": "y"}, init=png(), job_id=job_id)


def test_the_page_works_its_queue_by_itself(house: House) -> None:
    house.studio.start()
    job = house.studio.generate(OWNER, {"prompt": "x", "count": 2})
    deadline = time.monotonic() + PATIENCE
    while not house.studio.job(OWNER, job.id).ended:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert house.studio.job(OWNER, job.id).state == "done"
    assert house.studio.active_jobs(OWNER) == []
    assert house.studio.trouble is None
    assert house.studio.stop()


def test_a_waiting_job_that_is_cancelled_costs_nothing(house: House) -> None:
    job = house.studio.generate(OWNER, {"prompt": "x"})
    assert [one.id for one in house.studio.active_jobs(OWNER)] == [job.id]
    assert house.studio.cancel(OWNER, job.id).state == "cancelled"
    assert house.studio.counter.balances(OWNER)["playground"].held == 0
    assert house.files() == []


def test_a_job_whose_process_died_is_cancelled_at_once(house: House) -> None:
    job = house.studio.generate(OWNER, {"prompt": "x"})
    with house.studio._database.write() as tx:  # pyright: ignore[reportPrivateUsage]
        assert job_store.claim(tx, "a process that died", now=0)
    assert house.studio.cancel(OWNER, job.id).state == "cancelled"
    assert house.studio.counter.balances(OWNER)["playground"].held == 0


# --- whose it is -----------------------------------------------------------------------------------------------------

ASKED: list[Callable[[Studio, str, Job, str], object]] = [
    lambda studio, who, job, picture: studio.job(who, job.id),
    lambda studio, who, job, picture: studio.cancel(who, job.id),
    lambda studio, who, job, picture: studio.preview(who, job.id),
    lambda studio, who, job, picture: studio.wait(who, job.id),
    lambda studio, who, job, picture: studio.jobs(who, before=job.id),
    lambda studio, who, job, picture: studio.gallery.of_job(who, job.id),
    lambda studio, who, job, picture: studio.gallery.picture(who, picture),
    lambda studio, who, job, picture: studio.gallery.file(who, picture),
    lambda studio, who, job, picture: studio.gallery.newest(who, before=picture),
    lambda studio, who, job, picture: studio.gallery.delete(who, [picture]),
    lambda studio, who, job, picture: studio.gallery.restore(who, [picture]),
]


@pytest.mark.parametrize("asked", ASKED, ids=range(len(ASKED)))
@pytest.mark.parametrize("who", [CLIENT, "nobody"])
def test_what_is_anothers_does_not_exist(house: House, asked: Callable[..., object], who: str) -> None:
    job = house.done()
    picture = house.studio.gallery.newest(OWNER)[0].id
    with pytest.raises(NotFound) as caught:
        asked(house.studio, who, job, picture)
    with pytest.raises(NotFound) as missing:
        asked(house.studio, who, replace(job, id=new_id()), new_id())
    assert caught.value.message == missing.value.message
    assert house.studio.gallery.picture(OWNER, picture).deleted_at is None


def test_lists_show_only_ones_own(house: House) -> None:
    house.done()
    assert house.studio.jobs(CLIENT) == []
    assert house.studio.gallery.newest(CLIENT) == []
    assert house.studio.counter.history(CLIENT) == []


def test_a_picture_that_another_account_handed_in_cannot_be_used(house: House) -> None:
    job = house.studio.generate(OWNER, {"prompt": "x"}, init=png())
    house.studio.counter.grant(OWNER, CLIENT, "playground", 5, reason="a gift")
    with pytest.raises(NotFound, match="init names a picture that is not here"):
        house.studio.generate(CLIENT, {"prompt": "x", "init": job.request.inputs()["init"]})
    assert house.studio.counter.balances(CLIENT)["playground"].held == 0


@pytest.mark.parametrize("ask", ["generate", "balances", "history", "grant"])
def test_an_account_that_is_not_there_can_do_nothing(house: House, ask: str) -> None:
    studio = house.studio
    asks: dict[str, Callable[[], object]] = {
        "generate": lambda: studio.generate("nobody", {"prompt": "x"}, init=png()),
        "balances": lambda: studio.counter.balances("nobody"),
        "history": lambda: studio.counter.history("nobody"),
        "grant": lambda: studio.counter.grant(OWNER, "nobody", "playground", 1, reason="a gift"),
    }
    with pytest.raises(NotFound, match="no such account"):
        asks[ask]()
    assert house.files() == []


# --- deleting --------------------------------------------------------------------------------------------------------


def test_a_deleted_picture_is_out_of_sight_at_once_and_can_be_restored(house: House) -> None:
    job = house.done(count=2)
    first, second = house.studio.gallery.of_job(OWNER, job.id)
    house.studio.gallery.delete(OWNER, [first.id])
    assert [picture.id for picture in house.studio.gallery.newest(OWNER)] == [second.id]
    assert [picture.id for picture in house.studio.gallery.of_job(OWNER, job.id)] == [second.id]
    with pytest.raises(NotFound):
        house.studio.gallery.file(OWNER, first.id)
    house.studio.gallery.restore(OWNER, [first.id])
    assert house.studio.gallery.file(OWNER, first.id).is_file()


def test_of_several_pictures_all_are_deleted_or_none(house: House) -> None:
    house.done(count=2)
    ids = [picture.id for picture in house.studio.gallery.newest(OWNER)]
    with pytest.raises(NotFound):
        house.studio.gallery.delete(OWNER, [*ids, new_id()])
    assert len(house.studio.gallery.newest(OWNER)) == 2


def swept_at(studio: Studio, moment: int) -> None:
    """Waits for the sweep that a start begins, beside everything else."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with studio._database.read() as tx:
            if deletions.seen(tx) == moment:
                return
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_was_deleted_an_hour_ago_is_erased_at_the_next_start(house: House) -> None:
    job = house.done(count=2)
    first, second = house.studio.gallery.of_job(OWNER, job.id)
    file = house.studio.gallery.file(OWNER, first.id)
    house.studio.gallery.delete(OWNER, [first.id])
    house.clock.now += UNDO
    house.studio.start()
    swept_at(house.studio, house.clock())
    assert house.studio.stop()
    assert file.is_file(), "the hour is not over yet"

    house.clock.now += 1
    again = Studio.open(house.studio.settings, {}, runners={"image": house.runner}, clock=house.clock)
    again.start()
    swept_at(again, house.clock())
    assert again.stop()
    assert not file.exists()
    with pytest.raises(NotFound, match="gone for good"):
        again.gallery.restore(OWNER, [first.id])
    assert again.gallery.file(OWNER, second.id).is_file()
    assert again.verify() == []
    again.close()


def test_a_deletion_erases_what_was_deleted_long_before(house: House) -> None:
    job = house.done(count=2)
    first, second = house.studio.gallery.of_job(OWNER, job.id)
    file = house.studio.gallery.file(OWNER, first.id)
    house.studio.gallery.delete(OWNER, [first.id])
    house.clock.now += UNDO + 1
    house.studio.gallery.delete(OWNER, [second.id])
    assert not file.exists()
    house.studio.gallery.restore(OWNER, [second.id])


# --- what there is ---------------------------------------------------------------------------------------------------


def test_bases_say_what_they_take_whether_they_are_here_or_not(house: House) -> None:
    bases = {base.id: base for base in house.studio.bases()}
    assert bases["starter"].here
    assert bases["starter"].schedulers[0] == ("ddim", "DDIM")
    assert bases["starter"].takes_init
    assert not bases["sdxl"].here
    assert bases["sdxl"].native == 1024
    assert not bases["klein-4b"].takes_guidance


def test_a_base_of_ones_own_stands_with_the_others(house: House) -> None:
    a_base(house.studio.settings.models, "my-own")
    assert any(base.id == "my-own" and base.here for base in house.studio.bases())
    assert house.done(base="my-own").state == "done"


def test_opening_a_studio_again_changes_nothing(house: House) -> None:
    house.done()
    before = house.studio.counter.history(OWNER)
    again = Studio.open(house.studio.settings, {}, runners={"image": house.runner})
    assert again.counter.history(OWNER) == before
    again.close()


def test_a_grant_with_the_same_key_is_one_grant(house: House) -> None:
    key = new_id()
    for _ in range(3):
        house.studio.counter.grant(OWNER, CLIENT, "tune_image", 8, reason="a gift", key=key)
    assert house.studio.counter.balances(CLIENT)["tune_image"].available == 8
    with pytest.raises(Conflict):
        house.studio.counter.grant(OWNER, CLIENT, "tune_image", 9, reason="a gift", key=key)


# --- the gallery -----------------------------------------------------------------------------------------------------


def test_favourites_are_marked_filtered_and_recalled(house: House) -> None:
    job = house.done(count=2, steps=20)
    first, second = house.studio.gallery.of_job(OWNER, job.id)
    house.studio.gallery.mark(OWNER, [second.id], favourite=True)
    page = house.studio.gallery.page(OWNER, favourites=True, text="woman")
    assert [one.id for one in page.pictures] == [second.id]
    assert house.studio.gallery.choices(OWNER).bases == ("starter",)
    assert house.studio.gallery.recall(OWNER, first.id).fields["prompt"] == "a smiling woman"
    assert house.studio.gallery.page(CLIENT).total == 0
    for ask in (house.studio.gallery.recall, house.studio.gallery.small):
        with pytest.raises(NotFound):
            ask(CLIENT, first.id)
    with pytest.raises(NotFound):
        house.studio.gallery.mark(CLIENT, [first.id], favourite=True)


def test_the_owner_is_on_the_house_plan_and_a_client_on_none(house: House) -> None:
    assert house.studio.counter.plan(OWNER).name == "house"
    assert house.studio.counter.plan(CLIENT).name is None
    assert house.studio.prices().tools["upscale-x2"] == 1
