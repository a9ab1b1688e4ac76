"""Lessons: the sitter's own word is taught to mean what the base has words for in the photos.

All photos of a sitter are in one style; learnt from them alone, he is himself in that style and hardly in others. But
for some traits - the colour of the hair, of the skin - the base has words, and knows how they look in every style. So
it tells which of them fit the photos, and what it makes of these in each style it has to make of the sitter's word.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy
import torch

from studio.domain import Cancelled, IsCancelled
from studio.photo_report import COUPLE, FACELESS
from studio.pipelines.tuning.class_pictures import one_of
from studio.pipelines.tuning.plan import Plan
from studio.pipelines.tuning.recipe import ANSWER, Example, Lot, TuneRecipe, loss
from studio.tunes import subject_of

LESSONS = 192
AT_ONCE = 8
LEAST_NOISE = 0.3  # a share of the whole; with less, what is under it is seen without words
SURE = 0.99  # of the loss with the first word: what is better by less may be chance


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """An example with the answer that is right for it under that lot."""

    example: Example
    lot: Lot


@torch.no_grad()
def drawn_up(
    recipe: TuneRecipe, plan: Plan, own: Sequence[Example], prior: Sequence[Example], is_cancelled: IsCancelled
) -> list[Lesson]:
    """Lessons on the base's own pictures of the class; none where the row has no traits, the class is not of one face,
    or there are no such pictures. To be called before anything is learnt, while the networks are the base's. Raises
    Cancelled."""
    training = plan.training
    if not (training.traits and prior) or plan.request.class_name in (*FACELESS, COUPLE):
        return []
    # 1. The base's words for the sitter.
    sitter = _with(plan.request.class_name, described(recipe, plan, own, is_cancelled))
    # 2. What it says of noisy pictures by those words, is what it is to say by his own.
    lots = _lots(plan.seed, LESSONS, least=0.0)
    lessons: list[Lesson] = []
    for start in range(0, LESSONS, AT_ONCE):
        rows = range(start, start + AT_ONCE)
        prompts = [training.class_prompts[row % len(training.class_prompts)] for row in rows]
        asked = [one.format(subject=sitter) for one in prompts]
        pictures = [prior[row % len(prior)] for row in rows]
        answers = recipe.compare(
            [recipe.retold(one, prompt) for one, prompt in zip(pictures, asked, strict=True)], lots[start:][:AT_ONCE]
        ).said.float()
        for row, picture, prompt, answer in zip(rows, pictures, prompts, answers, strict=True):
            example = recipe.retold(picture, prompt.format(subject=subject_of(plan.request.class_name)))
            lessons.append(Lesson(example={**example, ANSWER: answer}, lot=lots[row]))
    return lessons


@torch.no_grad()
def described(recipe: TuneRecipe, plan: Plan, own: Sequence[Example], is_cancelled: IsCancelled) -> str:
    """The words, one of each group of traits, by which the base denoises the photos best: what it has words for, it can
    tell apart (Li et al., 2023, https://arxiv.org/abs/2303.16203). Raises Cancelled."""
    lots = _lots(plan.seed, len(own), least=LEAST_NOISE)
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for row, one in enumerate(own):
        by_shape.setdefault(tuple(next(iter(one.values())).shape), []).append(row)

    def off(words: str) -> float:
        if is_cancelled():
            raise Cancelled
        name = plan.request.class_name
        prompt = plan.prompt.replace(subject_of(name), _with(name, words), 1)
        total = 0.0
        for rows in by_shape.values():
            for start in range(0, len(rows), AT_ONCE):
                some = rows[start : start + AT_ONCE]
                photos = [recipe.retold(own[row], prompt) for row in some]
                total += float(loss(recipe, photos, [lots[row] for row in some]).sum())
        return total

    chosen: list[str] = []
    for group in plan.training.traits:
        losses = [off(", ".join([*chosen, trait] if trait else chosen)) for trait in group]
        best = int(numpy.argmin(losses))
        trait = group[best if losses[best] < SURE * losses[0] else 0]
        chosen += [trait] if trait else []
    return ", ".join(chosen)


def _with(class_name: str, words: str) -> str:
    return f"{one_of(class_name)} with {words}" if words else one_of(class_name)


def _lots(seed: int, count: int, *, least: float) -> list[Lot]:
    """Lots whose times are spread evenly from `least` to 1, in any order."""
    drawn = numpy.random.default_rng(seed)
    times = least + (1 - least) * (drawn.permutation(count) + 0.5) / count
    return [Lot(time=float(time), seed=int(drawn.integers(2**62))) for time in times]
