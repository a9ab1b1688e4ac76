"""Lessons: the sitter's own word is taught to mean what the base has words for in the photos.

All photos of a sitter are in one style; learnt from them alone, he is himself in that style and hardly in others. But
for some traits - the colour of the hair, of the skin - the base has words, and knows how they look in every style. So
it tells which of them fit the photos, and what it makes of these in each style it has to make of the sitter's word.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy
import torch

from studio.domain import Cancelled, IsCancelled
from studio.photo_report import COUPLE, FACELESS
from studio.pipelines.tuning import checkpoint
from studio.pipelines.tuning.class_pictures import one_of
from studio.pipelines.tuning.plan import Plan
from studio.pipelines.tuning.recipe import ANSWER, Example, Lot, TuneRecipe, groups, loss
from studio.rules import canonical
from studio.tunes import subject_of

NAME = "lessons.safetensors"
LESSONS = 192
LOOKED_AT = 10  # photos at most
# Of the lots by which words are tried: with less noise they are hardly needed, with more nothing of the photo is left.
TIMES = (0.2, 0.65)
SURE = 0.99  # of the loss without the word: what is better by less may be chance


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """An example with the answer that is right for it under that lot."""

    example: Example
    lot: Lot


def drawn_up(
    recipe: TuneRecipe,
    plan: Plan,
    own: Sequence[Example],
    prior: Sequence[Example],
    folder: Path,
    is_cancelled: IsCancelled,
) -> list[Lesson]:
    """Lessons on the base's own pictures of the class; none where the row has no traits, the class is not of one face,
    or there are no such pictures.

    The answers are kept in the folder for who goes on later. Otherwise they are asked for, which has to be before
    anything is learnt, while the networks are the base's. Raises Cancelled and OSError.
    """
    name, training = plan.request.class_name, plan.training
    if not (training.traits and prior) or name in (*FACELESS, COUPLE):
        return []
    rows, lots = range(LESSONS), _lots(plan.seed, LESSONS, (0.0, 1.0))
    prompts = [training.class_prompts[row % len(training.class_prompts)] for row in rows]
    pictures = [prior[row % len(prior)] for row in rows]
    # 1. What the base says of noisy pictures by its own words for the sitter.
    belongs = _belongs(recipe, plan, prior)
    kept = checkpoint.read(folder, belongs, name=NAME)
    if kept is None:
        sitter = _with(name, described(recipe, plan, own, is_cancelled))
        asked = [recipe.retold(pictures[row], prompts[row].format(subject=sitter)) for row in rows]
        kept = {ANSWER: _answers(recipe, plan, asked, lots, is_cancelled)}
        checkpoint.save(folder, kept, belongs, name=NAME)
    # 2. That is what it is to say by his.
    subject = subject_of(name)
    own_words = [recipe.retold(pictures[row], prompts[row].format(subject=subject)) for row in rows]
    return [Lesson(example={**own_words[row], ANSWER: kept[ANSWER][row]}, lot=lots[row]) for row in rows]


def _belongs(recipe: TuneRecipe, plan: Plan, prior: Sequence[Example]) -> str:
    """What kept answers must agree with: everything that they hang on."""
    training, computed_in = plan.training, next(next(iter(recipe.parts.values())).parameters()).dtype
    told = [plan.belongs, training.class_prompts, training.traits, LESSONS, len(prior), str(computed_in)]
    return hashlib.sha256(canonical(told).encode()).hexdigest()


@torch.no_grad()
def _answers(
    recipe: TuneRecipe, plan: Plan, asked: Sequence[Example], lots: Sequence[Lot], is_cancelled: IsCancelled
) -> torch.Tensor:
    answers: list[torch.Tensor] = []
    at_once = _at_once(plan)
    for start in range(0, len(asked), at_once):
        if is_cancelled():
            raise Cancelled
        said = recipe.compare(asked[start : start + at_once], lots[start : start + at_once]).said
        answers.append(said.float().cpu())
    return torch.cat(answers)


def _at_once(plan: Plan) -> int:
    """As many as a step takes: without a way back they take less room than one example with it."""
    training = plan.training
    return training.batch + training.class_batch + training.lesson_batch


@torch.no_grad()
def described(recipe: TuneRecipe, plan: Plan, own: Sequence[Example], is_cancelled: IsCancelled) -> str:
    """The words, one of each group of traits, by which the base denoises the photos best: what it has words for, it can
    tell apart (Li et al., 2023, https://arxiv.org/abs/2303.16203). Raises Cancelled."""
    at_once = _at_once(plan)
    own = own[:: -(-len(own) // LOOKED_AT)]
    lots = _lots(plan.seed, len(own), TIMES)

    def off(words: str) -> float:
        if is_cancelled():
            raise Cancelled
        name = plan.request.class_name
        prompt = plan.prompt.replace(subject_of(name), _with(name, words), 1)
        photos = [recipe.retold(one, prompt) for one in own]
        return sum(float(loss(recipe, *group).sum()) for group in groups(photos, lots, at_once))

    chosen: list[str] = []
    for group in plan.training.traits:
        losses = [off(", ".join([*chosen, trait] if trait else chosen)) for trait in group]
        best = int(numpy.argmin(losses))
        trait = group[best if group[0] or losses[best] < SURE * losses[0] else 0]
        chosen += [trait] if trait else []
    return ", ".join(chosen)


def _with(class_name: str, words: str) -> str:
    return f"{one_of(class_name)} with {words}" if words else one_of(class_name)


def _lots(seed: int, count: int, within: tuple[float, float]) -> list[Lot]:
    """Lots whose times are spread evenly between two, in any order."""
    drawn = numpy.random.default_rng(seed)
    least, most = within
    times = least + (most - least) * (drawn.permutation(count) + 0.5) / count
    return [Lot(time=float(time), seed=int(drawn.integers(2**62))) for time in times]
