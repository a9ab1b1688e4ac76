"""Tunes from the request to their first avatars: what is held, kept, recorded, and asked for once."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from studio.domain import (
    OWNER,
    Cancelled,
    Conflict,
    Drawn,
    ImageRequest,
    IsCancelled,
    Job,
    NotEnoughCredits,
    NotFound,
    Refused,
    Report,
    Runner,
    StudioError,
    Task,
    Trained,
    TuneRequest,
    WeightsMissing,
)
from studio.pipelines.hub_cache import NOTE
from studio.rules import new_id
from studio.service import Studio
from studio.settings import REPOSITORY, Settings
from studio.tunes import CONSENT, LOSSES, SAMPLE

CLIENT = "client"


class Trainer:
    """Trains nothing, but says it did; or fails."""

    def __init__(self) -> None:
        self.error: StudioError | None = None
        self.tasks: list[Task] = []

    def __call__(self, task: Task, report: Report, is_cancelled: IsCancelled) -> Iterator[Trained]:
        self.tasks.append(task)
        if self.error:
            raise self.error
        file = task.folder / "lora.safetensors"
        file.write_bytes(task.job_id.encode())
        recipe = {
            "subject": "sks person",
            "native": 128,
            "draws_in": 25,
            "base": {"id": "starter", "family": "starter"},
        }
        yield Trained(index=0, file=file, losses=tuple(1 / (step + 1) for step in range(500)), recipe=recipe)


class Painter:
    """Paints a grey square for each picture, and notes which tune it was given."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []

    def __call__(self, task: Task, report: Report, is_cancelled: IsCancelled) -> Iterator[Drawn]:
        self.tasks.append(task)
        request = task.request
        assert isinstance(request, ImageRequest)
        for index in range(request.count):
            file = task.folder / f"{index}.png"
            Image.new("L", (8, 8), 99).save(file)
            yield Drawn(index=index, file=file, width=8, height=8, seed=request.seeds[index], recipe={})


class Atelier:
    """A studio with both, and the owner's client."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.trainer, self.painter = Trainer(), Painter()
        (folder / "models").mkdir()
        (folder / "models" / "starter").symlink_to(REPOSITORY / "models" / "starter")
        settings = Settings.read({"STUDIO_DATA": str(folder / "data"), "STUDIO_MODELS": str(folder / "models")})
        self.runners: dict[str, Runner] = {"tune": self.trainer, "image": self.painter}
        self.studio = Studio.open(settings, {}, runners=self.runners)
        self.studio.open_account(CLIENT)

    def photos(self, count: int = 4) -> list[Path]:
        files = [self.folder / f"photo-{number}.png" for number in range(count)]
        for number, file in enumerate(files):
            if not file.exists():
                Image.effect_noise((32, 32), 10 + number).convert("RGB").save(file)
        return files

    def train(self, account: str = OWNER, **fields: Any) -> Job:
        """A training seen through to its end, and whatever is queued after it."""
        asked = {"name": "Ada", "class_name": "woman", "consent": CONSENT} | fields
        job = self.studio.tuning.train(account, asked, self.photos())
        return self.studio.wait(account, job.id)

    def run_all(self) -> None:
        for account in (OWNER, CLIENT):
            for job in self.studio.active_jobs(account):
                self.studio.wait(account, job.id)

    def posted(self, account: str) -> tuple[int, int]:
        """Tune and tune-image credits that are there, with what is held."""
        balances = self.studio.counter.balances(account)
        return balances["tune"].posted, balances["tune_image"].posted


@pytest.fixture
def atelier(tmp_path: Path) -> Iterator[Atelier]:
    made = Atelier(tmp_path)
    yield made
    made.studio.close()


def test_a_tune_is_trained_kept_and_followed_by_sixty_four_avatars(atelier: Atelier) -> None:
    job = atelier.train()
    (tune,) = atelier.studio.tuning.all(OWNER)
    assert (job.state, tune.state, tune.name, tune.job) == ("done", "ready", "Ada", job.id)
    assert (atelier.folder / "data" / "tunes" / f"{tune.id}.safetensors").read_text() == job.id
    assert len(tune.losses) == 200 and tune.losses[0] > tune.losses[-1]
    assert tune.expires_at == (tune.trained_at or 0) + 30 * 86_400
    atelier.run_all()
    tasks = atelier.painter.tasks
    assert len(tasks) == 8 and {task.request.pictures for task in tasks} == {8}
    assert len({task.request.style for task in tasks}) == 8
    assert all(task.tune and task.tune.read_text() == job.id for task in tasks)
    assert atelier.studio.tuning.get(OWNER, tune.id).styles_left == ()


def test_the_eight_styles_are_those_that_were_chosen(atelier: Atelier) -> None:
    atelier.train(styles=["toon", "comic"])
    atelier.run_all()
    assert [task.request.style for task in atelier.painter.tasks] == ["toon", "comic"]


def test_no_style_means_no_avatars(atelier: Atelier) -> None:
    atelier.train(styles=[])
    atelier.run_all()
    assert atelier.painter.tasks == []


def test_a_tune_costs_a_tune_credit_and_every_avatar_one_of_its_own(atelier: Atelier) -> None:
    atelier.studio.counter.grant(OWNER, CLIENT, "tune", 1, reason="bought")
    atelier.studio.counter.grant(OWNER, CLIENT, "tune_image", 70, reason="bought")
    atelier.train(CLIENT)
    atelier.run_all()
    assert atelier.posted(CLIENT) == (0, 6)


def test_with_too_few_credits_the_tune_is_trained_and_the_rest_waits_to_be_asked_for(atelier: Atelier) -> None:
    atelier.studio.counter.grant(OWNER, CLIENT, "tune", 1, reason="bought")
    atelier.studio.counter.grant(OWNER, CLIENT, "tune_image", 20, reason="bought")
    atelier.train(CLIENT)
    atelier.run_all()
    (tune,) = atelier.studio.tuning.all(CLIENT)
    assert (tune.state, len(tune.styles_left)) == ("ready", 6)
    assert atelier.posted(CLIENT) == (0, 4)
    with pytest.raises(NotEnoughCredits):
        atelier.studio.tuning.first_avatars(CLIENT, tune.id)
    atelier.studio.counter.grant(OWNER, CLIENT, "tune_image", 60, reason="bought")
    assert len(atelier.studio.tuning.first_avatars(CLIENT, tune.id)) == 6
    atelier.run_all()
    assert atelier.posted(CLIENT) == (0, 16)


def test_without_a_tune_credit_nothing_begins_and_nothing_is_kept(atelier: Atelier) -> None:
    with pytest.raises(NotEnoughCredits):
        atelier.train(CLIENT)
    assert atelier.studio.tuning.all(CLIENT) == []
    assert list((atelier.folder / "data" / "uploads").iterdir()) == []


def test_a_training_that_fails_gives_the_credit_back_and_makes_no_avatars(atelier: Atelier) -> None:
    atelier.studio.counter.grant(OWNER, CLIENT, "tune", 1, reason="bought")
    atelier.trainer.error = StudioError("The loss of step 3 is no number.")
    job = atelier.train(CLIENT)
    (tune,) = atelier.studio.tuning.all(CLIENT)
    assert (job.state, tune.state) == ("failed", "failed")
    assert atelier.posted(CLIENT) == (1, 0) and atelier.painter.tasks == []
    with pytest.raises(Refused, match="has no model"):
        atelier.studio.tuning.avatars(CLIENT, tune.id, {})


def test_a_double_click_is_one_tune(atelier: Atelier) -> None:
    asked, job_id = {"name": "Ada", "class_name": "woman", "consent": CONSENT, "seed": 1}, new_id()
    jobs = [atelier.studio.tuning.train(OWNER, asked, atelier.photos(), job_id=job_id) for _ in range(3)]
    assert {job.id for job in jobs} == {job_id} and len(atelier.studio.tuning.all(OWNER)) == 1
    with pytest.raises(Conflict):
        atelier.studio.tuning.train(OWNER, asked | {"name": "Bob"}, atelier.photos(), job_id=job_id)


def test_consent_is_recorded_with_its_words_and_nothing_is_trained_without(atelier: Atelier) -> None:
    job = atelier.train(styles=[])
    with atelier.studio._database.read() as tx:  # the record has no door: nobody changes it
        row = tx.execute("SELECT * FROM consent").fetchone()
    assert (row["job"], row["account"], row["version"]) == (job.id, OWNER, CONSENT)
    assert "agreed" in row["statement"] and row["given_at"] > 0
    for missing in ({"consent": ""}, {"consent": "no"}):
        with pytest.raises(Refused) as refused:
            atelier.train(**missing)
        assert refused.value.field == "consent"
    with pytest.raises(Refused, match="statement"):
        atelier.studio.tuning.train(OWNER, {"name": "A"}, atelier.photos(), statement=" ")


def test_avatars_are_asked_for_with_the_sitter_in_their_prompt(atelier: Atelier) -> None:
    atelier.train(styles=[])
    (tune,) = atelier.studio.tuning.all(OWNER)
    prompts = {
        None: "sks person",
        "in the snow": "sks person, in the snow",
        "a statue of {subject} in a park": "a statue of sks person in a park",
    }
    for asked, made in prompts.items():
        job = atelier.studio.tuning.avatars(OWNER, tune.id, {} if asked is None else {"prompt": asked})
        assert isinstance(job.request, ImageRequest) and job.request.prompt == made
        assert (job.request.tune, job.request.width, job.request.steps) == (tune.id, 128, 25)
        assert [(charge.kind, charge.amount) for charge in job.charges] == [("tune_image", 1)]


def test_a_tune_is_drawn_on_every_base_that_its_weights_fit(atelier: Atelier) -> None:
    models = atelier.folder / "models"
    for base, kind, family in (("another", "StableDiffusionPipeline", "starter"), ("stranger", "ZImagePipeline", "")):
        (models / base).mkdir()
        (models / base / "model_index.json").write_text(json.dumps({"_class_name": kind}))
        (models / base / NOTE).write_text(json.dumps({"family": family}))
    atelier.train(styles=[])
    tuning = atelier.studio.tuning
    (tune,) = tuning.all(OWNER)
    assert tuning.drawn_on(tune) == ["starter", "another"]
    job = tuning.avatars(OWNER, tune.id, {"base": "another"})
    assert isinstance(job.request, ImageRequest)
    assert (job.request.base, job.request.tune, job.request.width, job.request.steps) == ("another", tune.id, 128, 25)
    for base, allowed in {"stranger": "families starter", "nowhere": "starter", 7: "letters"}.items():
        with pytest.raises(Refused) as refused:
            tuning.avatars(OWNER, tune.id, {"base": base})
        assert refused.value.field == "base" and allowed in str(refused.value.allowed)
    # What it was trained on need not be here any more, but is named as missing where it is asked for.
    atelier.train(styles=[], base="another")
    tune = tuning.all(OWNER)[0]
    shutil.rmtree(models / "another")
    assert tuning.drawn_on(tune) == ["another", "starter"]
    with pytest.raises(Refused, match="no base 'another' on this machine"):
        tuning.avatars(OWNER, tune.id, {})
    assert tuning.check_avatars(OWNER, tune.id, {"base": "starter"}).base == "starter"


def test_a_training_is_paused_and_resumed_and_costs_once(atelier: Atelier) -> None:
    tuning = atelier.studio.tuning
    atelier.studio.counter.grant(OWNER, CLIENT, "tune", 1, reason="bought")
    asked = {"name": "Ada", "class_name": "woman", "consent": CONSENT, "styles": []}
    job = tuning.train(CLIENT, asked, atelier.photos())
    tune = tuning.of_job(CLIENT, job.id)
    assert (tune.state, tuning.pause(CLIENT, tune.id).state, tuning.pause(CLIENT, tune.id).state) == (
        "waiting", "paused", "paused",
    )  # fmt: skip
    atelier.train(styles=[])  # the next one has the device
    assert atelier.studio.wait(CLIENT, job.id).state == "paused"
    assert atelier.studio.counter.balances(CLIENT)["tune"].held == 1
    assert tuning.resume(CLIENT, tune.id).state == "waiting"
    assert atelier.studio.wait(CLIENT, job.id).state == "done"
    assert tuning.get(CLIENT, tune.id).state == "ready" and atelier.posted(CLIENT) == (0, 0)
    for change in (tuning.pause, tuning.resume):
        with pytest.raises(Refused, match="it is ready"):
            change(CLIENT, tune.id)
        with pytest.raises(NotFound):
            change(OWNER, tune.id)


def test_losses_and_a_sample_are_there_while_it_trains_and_while_it_is_paused(atelier: Atelier) -> None:
    seen: list[tuple[str, tuple[float, ...], bytes | None]] = []
    tuning = atelier.studio.tuning

    def look() -> None:
        tune = tuning.all(OWNER)[0]
        sample = tuning.sample(OWNER, tune.id)
        seen.append((tune.state, tune.losses, sample and sample.read_bytes()))

    def train(task: Task, report: Report, is_cancelled: IsCancelled) -> Iterator[Trained]:
        look()
        (task.folder / LOSSES).write_text("[0.5, 0.25]")
        (task.folder / SAMPLE).write_bytes(b"picture")
        look()
        tuning.pause(OWNER, tuning.all(OWNER)[0].id)
        assert is_cancelled()
        raise Cancelled
        yield

    atelier.runners["tune"] = train
    atelier.train()
    look()
    assert seen == [
        ("training", (), None), ("training", (0.5, 0.25), b"picture"), ("paused", (0.5, 0.25), b"picture"),
    ]  # fmt: skip
    job = atelier.studio.cancel(OWNER, tuning.all(OWNER)[0].job)
    assert job.state == "cancelled"
    look()
    assert seen[-1] == ("cancelled", (), None)


def test_the_pictures_of_a_tune_are_found_by_it(atelier: Atelier) -> None:
    gallery, tuning = atelier.studio.gallery, atelier.studio.tuning
    made = {}
    for name in ("Ada", "Bob"):
        tune = tuning.of_job(OWNER, atelier.train(styles=[], name=name).id)
        jobs = [tuning.avatars(OWNER, tune.id, {"count": 2, "prompt": prompt}) for prompt in ("in snow", "in sand")]
        made[tune.id] = [one.id for job in jobs for one in gallery.of_job(OWNER, atelier.studio.wait(OWNER, job.id).id)]
    for tune, ids in made.items():
        page = gallery.page(OWNER, tune=tune)
        assert ([one.id for one in page.pictures], page.total) == (ids[::-1], 4)
        assert {one.tune for one in page.pictures} == {tune}
        older = gallery.page(OWNER, tune=tune, limit=1, before=ids[2])
        assert ([one.id for one in older.pictures], older.first, older.total) == ([ids[1]], 2, 4)
        assert gallery.page(OWNER, tune=tune, style="toon").total == 0
        assert gallery.page(CLIENT, tune=tune).total == 0
    assert gallery.page(OWNER).total == 8


@pytest.mark.usefixtures("nothing_shipped")
def test_faces_on_avatars_are_made_clearer_only_where_the_weights_are(atelier: Atelier) -> None:
    atelier.train(styles=[])
    (tune,) = atelier.studio.tuning.all(OWNER)
    with pytest.raises(WeightsMissing, match="models fetch"):
        atelier.studio.tuning.avatars(OWNER, tune.id, {"face_enhance": True})


def test_what_is_another_accounts_does_not_exist(atelier: Atelier) -> None:
    atelier.train(styles=[])
    (tune,) = atelier.studio.tuning.all(OWNER)
    assert atelier.studio.tuning.all(CLIENT) == []
    for ask in (
        lambda: atelier.studio.tuning.get(CLIENT, tune.id),
        lambda: atelier.studio.tuning.avatars(CLIENT, tune.id, {}),
        lambda: atelier.studio.tuning.first_avatars(CLIENT, tune.id),
    ):
        with pytest.raises(NotFound):
            ask()


def test_a_picture_of_a_tune_cannot_be_had_by_the_playground(atelier: Atelier) -> None:
    atelier.train(styles=[])
    (tune,) = atelier.studio.tuning.all(OWNER)
    with pytest.raises(Refused) as refused:
        atelier.studio.generate(OWNER, {"prompt": "x", "tune": tune.id})
    assert refused.value.field == "tune"


def test_first_avatars_that_a_crash_kept_from_being_asked_for_are_asked_for_at_the_next_start(
    atelier: Atelier, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = atelier.studio._jobs

    def crash() -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(jobs, "ask_for_first_avatars", crash)
        asked = {"name": "Ada", "class_name": "woman", "consent": CONSENT}
        atelier.studio.tuning.train(OWNER, asked, atelier.photos())
        with pytest.raises(SystemExit):
            jobs.run_next()
    assert atelier.studio.active_jobs(OWNER) == []
    jobs.recover()
    jobs.recover()
    assert len(atelier.studio.active_jobs(OWNER)) == 8


def test_a_text_encoder_that_cannot_be_trained_is_refused_before_anything_is_held(atelier: Atelier) -> None:
    folder = atelier.folder / "models" / "stranger"
    folder.mkdir()
    (folder / "model_index.json").write_text('{"_class_name": "ZImagePipeline"}')
    with pytest.raises(Refused, match="text encoder of Z-Image cannot be trained") as refused:
        atelier.train(base="stranger", text_encoder=True)
    assert refused.value.field == "text_encoder" and not atelier.studio.active_jobs(OWNER)


def test_a_family_that_only_draws_is_not_trained(atelier: Atelier) -> None:
    request = TuneRequest.from_json(
        {"name": "A", "class_name": "dog", "photos": list("abcd"), "consent": CONSENT, "base": "starter"}
    )
    assert atelier.studio.models.bases.check_tune(request).family.training is not None
    with pytest.raises(StudioError) as refused:
        atelier.train(base="flux2-klein-4b")
    assert refused.value.field == "base"
