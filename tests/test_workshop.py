"""The tools as they are asked for: pictures handed in, one charge for each that comes out, and what became of each."""

import io
import resource
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from studio.domain import (
    OWNER,
    Cancelled,
    Conflict,
    Job,
    NotEnoughCredits,
    NotFound,
    Refused,
    StorageFailed,
    WeightsMissing,
)
from studio.pipelines import recipe
from studio.pipelines.picture_files import read
from studio.pipelines.weights import Catalogue
from studio.rules import new_id
from studio.service import Studio
from studio.settings import Settings
from studio.tools import BACKGROUND_MODELS
from studio.workshop import KINDS
from tests.fakes import CLIENT, FakeRunner, StillClock
from tests.touch_up import NO_FACE, TouchUp

WEIGHTS = ("realesrgan-x4plus", "realesrgan-x4plus-anime", "dlib-face", "dlib-landmarks5", "u2netp")


@dataclass
class Bench:
    """A studio whose tools are the touch-up, and what can be counted of it."""

    studio: Studio
    tool: TouchUp

    def taken(self, *files: Path, account: str = OWNER) -> list[str]:
        return [self.studio.workshop.take_in(account, file).upload for file in files]

    def done(self, kind: str, *files: Path, account: str = OWNER, **fields: Any) -> Job:
        job = self.studio.workshop.submit(account, kind, fields, self.taken(*files, account=account))
        return self.studio.wait(account, job.id)

    def files(self) -> list[Path]:
        data = self.studio.settings.data
        return sorted(path for path in data.rglob("*") if path.is_file() and not path.name.startswith("studio.db"))


def a_file(path: Path, size: int) -> None:
    """A file of that length that takes no room: weights count as here by it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)


@pytest.fixture
def bench(tmp_path: Path, clock: StillClock) -> Iterator[Bench]:
    catalogue = Catalogue.read()
    for name in WEIGHTS:
        weight = catalogue.weight(name)
        a_file(tmp_path / "models" / weight.file, weight.bytes)
    tool = TouchUp()
    settings = Settings(data=tmp_path / "data", models=tmp_path / "models")
    runners = {"image": FakeRunner(), **dict.fromkeys(KINDS, tool)}
    studio = Studio.open(settings, {"HF_HUB_CACHE": str(tmp_path / "cache")}, runners=runners, clock=clock)
    studio.open_account(CLIENT)
    yield Bench(studio, tool)
    assert studio.verify() == []
    studio.close()


def png(path: Path, width: int = 30, height: int = 20, colour: str = "teal", mode: str = "RGB") -> Path:
    Image.new("RGB", (width, height), colour).convert(mode).save(path)
    return path


def bomb(path: Path) -> Path:
    """A PNG whose header says 20000 x 20000."""
    body = io.BytesIO()
    Image.new("L", (1, 1)).save(body, "PNG")
    whole = bytearray(body.getvalue())
    whole[16:24] = (20_000).to_bytes(4, "big") * 2
    whole[29:33] = zlib.crc32(whole[12:29]).to_bytes(4, "big")
    path.write_bytes(whole)
    return path


def cut_short(path: Path) -> Path:
    body = io.BytesIO()
    Image.effect_noise((200, 200), 80).save(body, "JPEG")
    path.write_bytes(body.getvalue()[:-2000])
    return path


def written(content: bytes) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        path.write_bytes(content)
        return path

    return write


def animation(path: Path) -> Path:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(path, "WEBP", save_all=True, append_images=frames[1:])
    return path


# --- what is charged -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "fields", "price"),
    [("upscale", {"scale": 2}, 1), ("upscale", {"scale": 4}, 2), ("face", {}, 1), ("background", {}, 1)],
)
def test_every_picture_that_comes_out_is_charged_once(
    bench: Bench, tmp_path: Path, kind: str, fields: dict[str, Any], price: int
) -> None:
    bench.studio.counter.grant(OWNER, CLIENT, "playground", 10, reason="for the test")
    files = [png(tmp_path / f"{colour}.png", colour=colour) for colour in ("red", "blue", "teal")]
    job = bench.studio.workshop.submit(CLIENT, kind, fields, bench.taken(*files, account=CLIENT))
    assert bench.studio.counter.balances(CLIENT)["playground"].held == 3 * price
    job = bench.studio.wait(CLIENT, job.id)
    assert (job.state, job.delivered) == ("done", 3)
    balance = bench.studio.counter.balances(CLIENT)["playground"]
    assert (balance.posted, balance.held) == (10 - 3 * price, 0)
    assert bench.studio.workshop.quote(kind, 3, scale=fields.get("scale"))[0].amount == 3 * price


def test_a_picture_that_cannot_be_done_is_told_not_charged_and_stops_no_other(bench: Bench, tmp_path: Path) -> None:
    bench.studio.counter.grant(OWNER, CLIENT, "playground", 3, reason="for the test")
    files = [png(tmp_path / "a.png"), png(tmp_path / "b.png", width=NO_FACE), png(tmp_path / "c.png", width=31)]
    job = bench.done("face", *files, account=CLIENT)
    assert (job.state, job.delivered) == ("failed", 2)
    assert bench.studio.counter.balances(CLIENT)["playground"].available == 1
    pieces = bench.studio.workshop.pieces(CLIENT, job.id)
    assert [(piece.name, piece.picture is not None, piece.said) for piece in pieces] == [
        ("a.png", True, None),
        ("b.png", False, "No face was found."),
        ("c.png", True, None),
    ]


def test_one_picture_that_cannot_be_done_costs_nothing_and_says_why(bench: Bench, tmp_path: Path) -> None:
    bench.studio.counter.grant(OWNER, CLIENT, "playground", 1, reason="for the test")
    job = bench.done("face", png(tmp_path / "a.png", width=NO_FACE), account=CLIENT)
    assert (job.state, job.error, job.delivered) == ("failed", "No face was found.", 0)
    assert bench.studio.counter.balances(CLIENT)["playground"].available == 1
    assert bench.studio.workshop.pieces(CLIENT, job.id)[0].said == "No face was found."


def test_where_credits_are_missing_nothing_is_queued_and_nothing_kept(bench: Bench, tmp_path: Path) -> None:
    before = bench.files()
    with pytest.raises(NotEnoughCredits):
        bench.done("upscale", png(tmp_path / "a.png"), account=CLIENT)
    assert (bench.studio.jobs(CLIENT), bench.files()) == ([], before)


def test_a_double_click_is_one_job_and_another_request_under_its_id_is_refused(bench: Bench, tmp_path: Path) -> None:
    taken, job_id = bench.taken(png(tmp_path / "a.png")), new_id()
    submit = bench.studio.workshop.submit
    first = submit(OWNER, "upscale", {"scale": 2}, taken, job_id=job_id)
    again = submit(OWNER, "upscale", {"scale": 2}, bench.taken(tmp_path / "a.png"), job_id=job_id)
    assert first.id == again.id and len(bench.studio.jobs(OWNER)) == 1
    with pytest.raises(Conflict):
        submit(OWNER, "upscale", {"scale": 4}, bench.taken(tmp_path / "a.png"), job_id=job_id)
    assert bench.studio.wait(OWNER, first.id).state == "done", "its picture was not dropped with the refusal"


def test_a_job_that_was_broken_off_goes_on_with_what_is_left(bench: Bench, tmp_path: Path) -> None:
    files = [png(tmp_path / f"{width}.png", width=width) for width in (20, 21, 22)]
    taken = bench.taken(*files)

    def stop(photo: Any) -> None:
        if photo.width == 21:
            raise KeyboardInterrupt

    bench.tool.before = stop
    job = bench.studio.workshop.submit(OWNER, "face", {}, taken)
    with pytest.raises(KeyboardInterrupt):
        bench.studio._jobs.run_next()  # pyright: ignore[reportPrivateUsage] - dies as a killed process does
    bench.tool.before = lambda photo: None
    job = bench.studio.wait(OWNER, job.id)
    assert (job.state, job.delivered, job.attempt) == ("done", 3, 2)
    assert len(bench.tool.asked[-1].done) < 3


# --- what is done again ----------------------------------------------------------------------------------------------


def halved(bench: Bench, tmp_path: Path, how: Callable[[Bench, Job], None], **fields: Any) -> Job:
    """A job of three pictures, ended by `how` before its last."""
    bench.studio.counter.grant(OWNER, CLIENT, "playground", 3, reason="for the test")
    taken = bench.taken(*(png(tmp_path / f"{width}.png", width=width) for width in (20, 21, 22)), account=CLIENT)
    job = bench.studio.workshop.submit(CLIENT, "background", fields, taken)

    def end(photo: Any) -> None:
        if photo.width == 22:
            how(bench, job)

    bench.tool.before = end
    ended = bench.studio.wait(CLIENT, job.id)
    bench.tool.before = lambda photo: None
    return ended


def cancel(bench: Bench, job: Job) -> None:
    bench.studio.cancel(job.account, job.id)
    raise Cancelled


def fail(bench: Bench, job: Job) -> None:
    raise WeightsMissing("The model is gone.", field="model")


@pytest.mark.parametrize(("how", "state"), [(cancel, "cancelled"), (fail, "failed")])
def test_what_is_left_of_a_job_is_done_again_and_only_that_is_paid(
    bench: Bench, tmp_path: Path, how: Callable[[Bench, Job], None], state: str
) -> None:
    job = halved(bench, tmp_path, how, on="#ff8000")
    assert job.state == state
    left = bench.studio.workshop.left(CLIENT, job)
    again = [bench.studio.workshop.again(CLIENT, job.id) for _ in range(2)]
    assert again[0].id == again[1].id, "pressed twice it is one job"
    done = bench.studio.wait(CLIENT, again[0].id)
    assert (done.state, done.delivered) == ("done", len(left))
    assert done.request.to_json() | {"uploads": []} == job.request.to_json() | {"uploads": []}
    assert job.delivered + done.delivered == 3
    assert bench.studio.counter.balances(CLIENT)["playground"].available == 0


def test_what_was_made_and_deleted_is_not_made_again(bench: Bench, tmp_path: Path) -> None:
    job = halved(bench, tmp_path, fail)
    left = bench.studio.workshop.left(CLIENT, job)
    bench.studio.gallery.delete(CLIENT, [one.id for one in bench.studio.gallery.of_job(CLIENT, job.id)])
    assert bench.studio.workshop.left(CLIENT, job) == left


def test_nothing_is_left_of_a_job_that_is_done_and_of_pictures_that_cannot_be_done(
    bench: Bench, tmp_path: Path
) -> None:
    done = bench.done("face", png(tmp_path / "a.png"))
    alone = bench.done("face", png(tmp_path / "b.png", width=NO_FACE))
    among = bench.done("face", tmp_path / "a.png", tmp_path / "b.png")
    assert [bench.studio.workshop.left(OWNER, job) for job in (done, alone, among)] == [()] * 3
    with pytest.raises(Refused, match="can be done again"):
        bench.studio.workshop.again(OWNER, among.id)
    with pytest.raises(NotFound):
        bench.studio.workshop.again(CLIENT, among.id)


# --- what is handed in -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (cut_short, "a.png is damaged or cut short."),
        (written(b""), "a.png is empty: it has 0 bytes."),
        (written(b"These are words, and no picture."), "a.png is no picture that can be read."),
        (bomb, "a.png has more than 50 megapixels."),
        (animation, "a.png is an animation."),
        (lambda path: path, "a.png is not there."),
        (lambda path: path.mkdir() or path, "a.png cannot be read: Is a directory."),
    ],
    ids=["cut short", "0 bytes", "a text", "a bomb", "an animation", "not there", "a folder"],
)
def test_a_broken_file_is_one_sentence_and_leaves_nothing(
    bench: Bench, tmp_path: Path, make: Callable[[Path], Path], said: str
) -> None:
    before = bench.files()
    begun = time.monotonic()
    with pytest.raises(Refused) as caught:
        bench.studio.workshop.take_in(OWNER, make(tmp_path / "a.png"))
    assert (caught.value.message, caught.value.field) == (said, "files")
    assert time.monotonic() - begun < 5
    assert bench.files() == before


def test_a_full_disk_is_one_sentence_and_leaves_nothing(bench: Bench, tmp_path: Path) -> None:
    file, before = png(tmp_path / "a.png", 300, 300), bench.files()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(StorageFailed, match="is full"):
            bench.studio.workshop.take_in(OWNER, file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert bench.files() == before


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "CMYK", "1"])
def test_pictures_of_every_kind_are_kept_as_they_look(bench: Bench, tmp_path: Path, mode: str) -> None:
    file = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    random = np.random.default_rng(7)
    Image.fromarray(random.integers(0, 255, (9, 7, 4), np.uint8), "RGBA").convert("RGB").convert(mode).save(file)
    (upload,) = bench.taken(file)
    with bench.studio._database.read() as tx:  # pyright: ignore[reportPrivateUsage]
        kept = read(bench.studio._folder.uploads / f"{upload}.png")  # pyright: ignore[reportPrivateUsage]
        assert tx.execute("SELECT name FROM upload").fetchone()["name"] == file.name
    was = read(file)
    assert np.array_equal(kept.rgb, was.rgb)
    assert (kept.alpha is None) == (was.alpha is None)


def test_sixteen_bits_transparency_and_profile_come_out_of_a_tool_as_they_went_in(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    pixels = np.random.default_rng(7).integers(0, 65535, (5, 6, 4)).astype(np.uint16)
    cv2.imwrite(str(file), pixels)
    job = bench.done("face", file)
    (picture,) = bench.studio.gallery.of_job(OWNER, job.id)
    made, was = read(bench.studio.gallery.file(OWNER, picture.id)), read(file)
    assert made.depth == 16
    assert made.alpha is not None and was.alpha is not None
    assert np.array_equal(made.colour, was.colour[::-1]) and np.array_equal(made.alpha, was.alpha[::-1])


def test_where_a_photo_was_taken_is_left_behind_and_it_stands_upright(bench: Bench, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8825)[2] = (48.0, 8.0, 0.0)
    exif[0x010F] = "A maker of cameras"
    Image.new("RGB", (40, 20), "teal").save(tmp_path / "a.jpg", exif=exif)
    taken = bench.studio.workshop.take_in(OWNER, tmp_path / "a.jpg")
    assert (taken.width, taken.height) == (20, 40)
    body = (bench.studio.settings.data / "uploads" / f"{taken.upload}.png").read_bytes()
    assert b"maker" not in body and b"eXIf" not in body


def test_the_same_picture_handed_in_twice_is_kept_once(bench: Bench, tmp_path: Path) -> None:
    one, two = bench.taken(png(tmp_path / "a.png"), png(tmp_path / "b.png"))
    assert one == two
    job = bench.done("face", tmp_path / "a.png", tmp_path / "b.png")
    assert job.delivered == 2


def test_a_picture_of_the_gallery_keeps_its_recipe_and_mark_and_tells_what_was_done(
    bench: Bench, tmp_path: Path
) -> None:
    told = {
        "kind": "image", "prompt": "a smiling woman", "steps": 9, "sampler": "DDIM", "guidance": 3.0, "seed": 7,
        "width": 30, "height": 20, "base": {"id": "starter", "revision": "1"}, "versions": {"likeness": "1"},
    }  # fmt: skip
    recipe.save_png(Image.new("RGB", (30, 20), "teal"), tmp_path / "a.png", told)
    first = bench.done("face", tmp_path / "a.png")
    (picture,) = bench.studio.gallery.of_job(OWNER, first.id)
    taken = bench.studio.workshop.take_picture(OWNER, picture.id)
    job = bench.studio.wait(OWNER, bench.studio.workshop.submit(OWNER, "upscale", {"scale": 2}, [taken.upload]).id)
    (larger,) = bench.studio.gallery.of_job(OWNER, job.id)
    carried = recipe.read(bench.studio.gallery.file(OWNER, larger.id))
    assert carried.marked and carried.fields["Prompt"] == "a smiling woman"
    assert larger.recipe == carried.recipe
    steps: Any = larger.recipe["tools"]
    assert [step["tool"] for step in steps] == ["face", "upscale"]
    assert (larger.recipe["prompt"], larger.width, larger.kind) == ("a smiling woman", 60, "upscale")
    before = read(bench.studio.workshop.before(OWNER, larger.id))
    assert np.array_equal(before.colour, read(bench.studio.gallery.file(OWNER, picture.id)).colour)


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("nothing_shipped")
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_missing_is_one_sentence_before_anything_is_handed_in(tmp_path: Path, kind: str) -> None:
    settings = Settings(data=tmp_path / "data", models=tmp_path / "models")
    studio = Studio.open(settings, {"HF_HUB_CACHE": str(tmp_path / "cache")})
    begun = time.monotonic()
    with pytest.raises(WeightsMissing, match="models fetch"):
        studio.workshop.check(kind, {})
    assert time.monotonic() - begun < 1
    studio.close()


@pytest.mark.parametrize(
    ("kind", "fields", "field", "allowed"),
    [
        ("upscale", {"scale": 3}, "scale", "2, 4"),
        ("upscale", {"model": "waifu2x"}, "model", "realesrgan-x4plus"),
        ("face", {"strength": 2}, "strength", "0.05 to 1"),
        ("background", {"model": "auto"}, "model", ", ".join(BACKGROUND_MODELS)),
        ("background", {"on": "mauve"}, "on", "#rrggbb"),
        ("background", {"on": "picture"}, "behind", "picture"),
        ("background", {"scale": 2}, "scale", "matting"),
        ("image", {}, "tool", "upscale, face, background"),
    ],
)
def test_bad_input_is_one_sentence(
    bench: Bench, kind: str, fields: dict[str, object], field: str, allowed: str
) -> None:
    with pytest.raises(Refused) as caught:
        bench.studio.workshop.check(kind, fields)
    assert caught.value.field == field
    assert allowed in f"{caught.value.message} {caught.value.allowed}"


def test_what_is_anothers_is_not_there(bench: Bench, tmp_path: Path) -> None:
    workshop = bench.studio.workshop
    job = bench.done("face", png(tmp_path / "a.png"))
    (picture,) = bench.studio.gallery.of_job(OWNER, job.id)
    (upload,) = bench.taken(tmp_path / "a.png")
    attempts: list[Callable[[], object]] = [
        lambda: workshop.pieces(CLIENT, job.id),
        lambda: workshop.before(CLIENT, picture.id),
        lambda: workshop.mask(CLIENT, picture.id),
        lambda: workshop.take_picture(CLIENT, picture.id),
        lambda: workshop.submit(CLIENT, "face", {}, [upload]),
        lambda: workshop.take_in("nobody", tmp_path / "a.png"),
    ]
    for attempt in attempts:
        with pytest.raises(NotFound):
            attempt()
    assert workshop.before(OWNER, picture.id).is_file()
