"""A runner that draws: plain shapes, but real PNGs with recipe, mark and progress, as fast as told."""

import colorsys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from PIL import Image, ImageDraw

from studio.domain import Cancelled, Drawn, ImageRequest, IsCancelled, Progress, Report, StudioError, Task
from studio.pipelines.recipe import save_png


@dataclass
class Artist:
    """Draws a face of plain shapes in colours that come from the seed.

    `pause` is how long a step takes, in seconds. Prompts with the word "fail" fail, after the first picture.
    """

    pause: float = 0.0
    steps: int = 8
    asked: list[Task] = field(default_factory=list[Task])

    def __call__(self, task: Task, report: Report, is_cancelled: IsCancelled) -> Iterator[Drawn]:
        self.asked.append(task)
        request = task.request
        assert isinstance(request, ImageRequest)
        total = request.count * self.steps
        for index, seed in enumerate(request.seeds):
            if index in task.done:
                continue
            if "fail" in request.prompt and index:
                raise StudioError("The artist has run out of paint.", field="size", allowed="fewer pictures")
            image = portrait(request.width, request.height, seed)
            for step in range(self.steps):
                if is_cancelled():
                    raise Cancelled
                preview = task.folder / "preview.jpg"
                shown = image.resize((max(step * 4, 4), max(step * 4, 4))).resize((192, 192))
                shown.save(task.folder / "preview.part", "JPEG")
                (task.folder / "preview.part").replace(preview)
                report(Progress(step=index * self.steps + step, steps=total, preview=preview))
                time.sleep(self.pause)
            recipe = recipe_of(request, seed)
            file = task.folder / f"{index}.png"
            save_png(image, file, recipe)
            yield Drawn(index=index, file=file, width=image.width, height=image.height, seed=seed, recipe=recipe)


def recipe_of(request: ImageRequest, seed: int) -> dict[str, object]:
    return {
        "format": 1,
        "kind": request.kind,
        "prompt": request.prompt + (f", {request.style} style" if request.style else ""),
        "negative": request.negative,
        "asked": {"prompt": request.prompt, "negative": request.negative},
        "style": request.style,
        "base": {"id": request.base, "family": "starter", "revision": "1", "licence": "Apache-2.0"},
        "steps": request.steps,
        "scheduler": request.scheduler or "ddim",
        "sampler": "DDIM",
        "guidance": 3.0 if request.guidance is None else request.guidance,
        "seed": seed,
        "width": request.width,
        "height": request.height,
        "asked_size": [request.width, request.height],
        "super_resolution": request.super_resolution,
        "versions": {"likeness": "Likeness 1"},
    }


def portrait(width: int, height: int, seed: int) -> Image.Image:
    def colour(turn: float, light: float, strength: float = 0.5) -> tuple[int, int, int]:
        red, green, blue = colorsys.hls_to_rgb((seed * 0.137 + turn) % 1, light, strength)
        return round(red * 255), round(green * 255), round(blue * 255)

    image = Image.new("RGB", (width, height), colour(0.5, 0.72))
    draw = ImageDraw.Draw(image)
    side, x, y = min(width, height), width / 2, height * 0.48

    def oval(dx: float, dy: float, w: float, h: float, fill: tuple[int, int, int]) -> None:
        box = (x + (dx - w) * side, y + (dy - h) * side, x + (dx + w) * side, y + (dy + h) * side)
        draw.ellipse(box, fill=fill)

    oval(0, 0.62, 0.42, 0.3, colour(0.2, 0.4))
    oval(0, -0.06, 0.31, 0.34, colour(0.05, 0.22))
    oval(0, 0.02, 0.22, 0.28, (236, 194, 164))
    for eye in (-0.09, 0.09):
        oval(eye, -0.02, 0.03, 0.035, (255, 255, 255))
        oval(eye, -0.02, 0.015, 0.02, (40, 40, 40))
    draw.arc(
        (x - 0.1 * side, y + 0.02 * side, x + 0.1 * side, y + 0.17 * side), 20, 160, (150, 60, 60), max(side // 60, 2)
    )
    return image
