"""Small pictures of work in progress, at most one a second, made from latents without the decoder."""

import time
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from studio.pipelines.latents import LAYOUTS, colours_of, fit_colours

EVERY_S = 1.0
SIDE = 256  # of the longer side, pixels


class Previews:
    """The previews of one task, written one after the other to the same file in its folder."""

    def __init__(self, folder: Path, layout: str, colour_maps: dict[str, torch.Tensor]) -> None:
        self.folder = folder
        self.layout = layout
        self.colour_maps = colour_maps  # kept with the base, since it is the decoder's
        self._last = time.monotonic()  # none in the first second: quick work needs no preview

    def take(self, pipeline: Any, latents: torch.Tensor, height: int, width: int) -> Path | None:
        """The path of a new preview of the batch's first picture, or None where the last is younger than a second."""
        if time.monotonic() - self._last < EVERY_S:
            return None
        grid = LAYOUTS[self.layout](pipeline, latents[:1], height, width)
        if self.layout not in self.colour_maps:
            self.colour_maps[self.layout] = fit_colours(pipeline, self.layout, grid.shape[1])
        image = Image.fromarray(colours_of(grid[0], self.colour_maps[self.layout]).numpy())
        scale = SIDE / max(width, height)
        image = image.resize((round(width * scale), round(height * scale)), Image.Resampling.BILINEAR)
        # Under another name first: whoever looks always sees a whole picture.
        part, path = self.folder / "preview.part", self.folder / "preview.jpg"
        image.save(part, "JPEG", quality=80)
        part.replace(path)
        self._last = time.monotonic()
        return path
