"""Makes the faces on drawn pictures clearer, as the tool does on photos; a picture without a face stays as it is."""

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
from PIL import Image

from studio.domain import BrokenPicture, FaceRequest, Refused
from studio.pipelines import tool_weights
from studio.pipelines.bases import Bases
from studio.pipelines.device import Device
from studio.pipelines.larger import Enlarged
from studio.pipelines.picture_files import Photo

AS_USUAL = FaceRequest(uploads=("picture",))
NOTHING_FOUND = (
    "On some pictures no face could be made clearer: they are as they were drawn, and it is not charged there."
)


class Clearer:
    """Works on a device; the tool, which brings dlib, is loaded with the first picture."""

    def __init__(self, device: Device, bases: Bases) -> None:
        self.device = device
        self.bases = bases
        self._tool: Any = None

    def __call__(self, made: Enlarged, tick: Callable[[], None]) -> Enlarged:
        """The picture with its faces made clearer. `tick` is called now and then and may raise.

        Raises WeightsMissing, BrokenWeights and OutOfMemory.
        """
        tool_weights.check(AS_USUAL, self.bases)
        if self._tool is None:
            self._tool = import_module("studio.pipelines.face").FaceEnhance(self.device, self.bases)
        photo = Photo(colour=np.asarray(made.image.convert("RGB")))
        try:
            result = self._tool.enhanced(
                photo, tool_weights.face_model(AS_USUAL.model, self.bases), AS_USUAL.strength, lambda _part: tick()
            )
        except (Refused, BrokenPicture):  # no face, or none that would stay the same person
            return made
        return replace(made, image=Image.fromarray(np.concatenate(list(result.bands))), faces=dict(result.did))
