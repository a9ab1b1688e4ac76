"""What the base has words for in photos, and how it is taught to the sitter's own word."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy
import pytest
import torch
from PIL import Image

from studio.domain import Cancelled, Task, TuneRequest
from studio.pipelines import loading
from studio.pipelines.bases import Bases
from studio.pipelines.device import Device
from studio.pipelines.families import FAMILIES, Training
from studio.pipelines.tuning import lessons
from studio.pipelines.tuning.diffusion import Diffusion
from studio.pipelines.tuning.flow import Flow
from studio.pipelines.tuning.images import photos_of
from studio.pipelines.tuning.lessons import Lesson
from studio.pipelines.tuning.plan import Plan, plan_of
from studio.pipelines.tuning.recipe import ANSWER, Example, Photo, TuneRecipe, loss
from studio.pipelines.weights import Catalogue
from studio.settings import Settings
from studio.tunes import CONSENT, photo_field
from tests.pipelines.test_tuning import OneBase

ROOT = Path(__file__).resolve().parents[2]
TRAITS = (("red hair", "blue hair"), ("", "glasses"))


def go_on() -> bool:
    return False


def request(**fields: Any) -> TuneRequest:
    asked: dict[str, Any] = {"name": "A", "class_name": "person", "consent": CONSENT, "seed": 3} | fields
    return TuneRequest(photos=tuple(f"photo-{row}" for row in range(4)), **asked)


def learner(models: Path, folder: Path, name: str = "starter", **fields: Any) -> tuple[TuneRecipe, Plan]:
    """A recipe on a tiny random base, or on the true starter, that has learnt nothing yet."""
    settings = Settings.read(
        {"STUDIO_DATA": str(folder / "data"), "STUDIO_MODELS": str(models), "STUDIO_PRECISION": "fp32"}
    )
    base = Bases((models,), folder, Catalogue.read()).find(name)
    training = base.family.training
    assert training is not None
    if models != ROOT / "models":
        training = replace(training, traits=TRAITS, lesson_batch=2, rank=2)
        base = replace(base, family=replace(base.family, native=64, training=training))
    bases: Any = OneBase(base)
    plan = plan_of(bases, request(**fields))
    pipeline: Any = loading.load(Device(settings), base, to_train=True)
    made_by = {"diffusion:Diffusion": Diffusion, "flow:Flow": Flow}[training.recipe]
    recipe = made_by(pipeline, base.family, training, rank=plan.rank, seed=plan.seed, text=plan.text)
    return recipe, plan


def noise_as_photos(recipe: TuneRecipe, prompt: str, count: int = 2, side: int = 64) -> list[Example]:
    drawn = numpy.random.default_rng(1)
    return recipe.encode(
        [Photo(pixels=drawn.integers(0, 256, (side, side, 3), dtype=numpy.uint8), prompt=prompt) for _ in range(count)]
    )


@pytest.mark.parametrize("name", ["starter", "klein-base-4b", "z-image"])
def test_a_lesson_is_what_the_base_says_of_its_own_words_for_the_sitter(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    recipe, plan = learner(models, tmp_path, name)
    prior = noise_as_photos(recipe, "a person")
    monkeypatch.setattr(lessons, "described", lambda *_: "blue hair")
    found = lessons.drawn_up(recipe, plan, prior, prior, tmp_path, go_on)
    assert len(found) == lessons.LESSONS
    assert numpy.allclose(sorted(one.lot.time for one in found)[::48], numpy.linspace(0, 0.75, 4), atol=0.01)
    # By the base's words the answer is right to the last digit; by the sitter's own there is something to learn.
    prompts = plan.training.class_prompts
    for row, lesson in enumerate(found[:8]):
        words = prompts[row % len(prompts)].format(subject="a person with blue hair")
        own = prompts[row % len(prompts)].format(subject="sks person")
        assert loss_of(recipe, Lesson(example=recipe.retold(lesson.example, words), lot=lesson.lot)) < 1e-10
        assert loss_of(recipe, lesson) == loss_of(
            recipe, Lesson(example=recipe.retold(lesson.example, own), lot=lesson.lot)
        )
        assert loss_of(recipe, lesson) > 1e-8


def loss_of(recipe: TuneRecipe, lesson: Lesson) -> float:
    with torch.no_grad():
        return float(loss(recipe, [lesson.example], [lesson.lot]))


def test_an_answer_that_is_known_takes_the_place_of_what_is_right_and_counts_in_full(
    models: Path, tmp_path: Path
) -> None:
    recipe, _ = learner(models, tmp_path)
    plain = noise_as_photos(recipe, "a person")
    lots = [lessons.Lot(time=0.999, seed=1), lessons.Lot(time=0.999, seed=2)]
    with torch.no_grad():
        compared = recipe.compare(plain, lots)
        known = {**plain[1], ANSWER: compared.said[1].float() + 2}
        both = loss(recipe, [plain[0], known], lots)
    assert compared.weight[1] < 1 and float(both[1]) == pytest.approx(4)
    assert float(both[0]) == pytest.approx(float(loss(recipe, plain, lots)[0].detach()))


@pytest.mark.parametrize(
    ("fields", "changed"),
    [({"class_name": "dog"}, {}), ({"class_name": "couple"}, {}), ({}, {"traits": ()}), ({}, {"prior": []})],
)
def test_there_are_none_without_a_face_of_ones_own_words_for_it_or_pictures_of_the_class(
    models: Path, tmp_path: Path, fields: dict[str, Any], changed: dict[str, Any]
) -> None:
    recipe, plan = learner(models, tmp_path, **fields)
    own = noise_as_photos(recipe, plan.prompt)
    prior = [] if "prior" in changed else own
    row = {name: value for name, value in changed.items() if name != "prior"}
    without = replace(plan, training=replace(plan.training, **row))
    assert lessons.drawn_up(recipe, without, own, prior, tmp_path, go_on) == []


def test_the_answers_are_kept_for_this_very_training_and_not_asked_for_again(models: Path, tmp_path: Path) -> None:
    recipe, plan = learner(models, tmp_path)
    own = noise_as_photos(recipe, plan.prompt)

    def answers(plan: Plan, is_cancelled: Callable[[], bool] = go_on) -> torch.Tensor:
        found = lessons.drawn_up(recipe, plan, own, own, tmp_path, is_cancelled)
        return torch.stack([one.example[ANSWER] for one in found])

    first = answers(plan)
    assert torch.equal(answers(plan, lambda: True), first), "nothing is looked for that could be cancelled"
    with pytest.raises(Cancelled):
        answers(replace(plan, belongs="another"), lambda: True)
    (tmp_path / lessons.NAME).write_bytes(b"torn")
    assert torch.equal(answers(plan), first)


def test_it_can_be_cancelled_while_words_are_looked_for(models: Path, tmp_path: Path) -> None:
    recipe, plan = learner(models, tmp_path)
    own = noise_as_photos(recipe, plan.prompt)
    with pytest.raises(Cancelled):
        lessons.drawn_up(recipe, plan, own, own, tmp_path, lambda: True)


def test_a_trait_that_is_hardly_better_is_not_taken(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, plan = learner(models, tmp_path, class_name="woman", caption="comic style")
    own = noise_as_photos(recipe, plan.prompt)
    asked: list[str] = []
    off = {"red hair": 1.0, "blue hair": 0.7, "blue hair, glasses": 0.699}

    def told(_recipe: TuneRecipe, photos: list[Example], _lots: list[Any]) -> torch.Tensor:
        return torch.tensor([off[asked[-1]]] * len(photos))

    def retold(_self: Any, example: Example, prompt: str) -> Example:
        words = prompt.removeprefix("portrait of a woman with ").removesuffix(", comic style")
        asked.append(words)
        return example

    monkeypatch.setattr(lessons, "loss", told)
    monkeypatch.setattr(Diffusion, "retold", retold)
    assert lessons.described(recipe, plan, own, go_on) == "blue hair"
    off["blue hair, glasses"], off["blue hair"] = 0.6, 0.995  # of two colours one is there
    assert lessons.described(recipe, plan, own, go_on) == "blue hair, glasses"


@pytest.mark.parametrize(
    ("style", "skin", "hair", "length", "glasses"),
    [("storybook", "tan", "blonde", "long", "no"), ("flat cartoon", "brown", "green", "short", "yes")],
)
def test_the_starter_tells_a_sitters_hair_skin_and_glasses_from_drawn_photos(
    tmp_path: Path, style: str, skin: str, hair: str, length: str, glasses: str
) -> None:
    pytest.importorskip("dicebear")
    from starter.drawing import cut_seed, draw  # noqa: PLC0415 - needs what was just looked for
    from starter.portrait import draw_lots, sitter_photos  # noqa: PLC0415

    random = Random(5)
    sitter = replace(
        draw_lots(random),
        style=style,
        skin=skin,
        hair=hair,
        length=length,
        glasses=glasses,
        beard="no",
        subject="person",
    )
    recipe, plan = learner(ROOT / "models", tmp_path, caption=f"{style} style")
    inputs = {photo_field(row): tmp_path / f"{row}.png" for row in range(4)}
    for shown, file in zip(sitter_photos(sitter, 4, random), inputs.values(), strict=True):
        Image.fromarray(numpy.asarray(draw(shown, random, cut=Random(cut_seed(sitter))))).save(file)
    task = Task(job_id="job", request=plan.request, folder=tmp_path, inputs=inputs)
    own = [example for group in photos_of(task, plan) for example in recipe.encode(group)]
    wanted = [f"{length} {hair} hair", f"{skin} skin", *(["glasses"] if glasses == "yes" else [])]
    assert lessons.described(recipe, plan, own, go_on) == ", ".join(wanted)


def test_every_row_with_traits_asks_for_lessons_and_has_pictures_to_give_them_on() -> None:
    rows = [row.training for row in FAMILIES.values() if row.training]
    taught = [row for row in rows if row.traits]
    assert taught and all(isinstance(row, Training) and row.lesson_batch and row.class_pictures for row in taught)
    assert all(row.lesson_batch == 0 for row in rows if not row.traits)
