"""Cuts pictures out of their backgrounds, with rembg's sessions, one of each model kept warm.

A session is only ever given the catalogue's file: rembg's own download never runs.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
import torch
from PIL import Image
from rembg.sessions import sessions_class
from rembg.sessions.base import BaseSession

from studio.domain import BackgroundRequest, Drawn, IsCancelled, Report, Task
from studio.pipelines import cutout
from studio.pipelines.bases import Bases
from studio.pipelines.batches import Advance, each_picture
from studio.pipelines.device import Device
from studio.pipelines.picture_files import Array, Photo, read
from studio.pipelines.results import EDITED, Result
from studio.pipelines.tool_weights import check
from studio.pipelines.weights import find
from studio.tools import BLUR, PICTURE, TRANSPARENT

HELD = 4  # times its file that a session takes while it works, about
FOUND, MATTED = 0.2, 0.8  # how much is done, about, when what is in front is found, and its edges are fine


class Background:
    """The runner of `background` jobs."""

    def __init__(self, device: Device, bases: Bases) -> None:
        self.device = device
        self.bases = bases

    def __call__(self, task: Task, report: Report, is_cancelled: IsCancelled) -> Iterator[Drawn]:
        """Yields each picture cut out. Raises WeightsMissing and BrokenWeights, and what `each_picture` raises."""
        request = task.request
        assert isinstance(request, BackgroundRequest)
        check(request, self.bases)
        session = self.session(request.model)
        behind = None
        if request.on == PICTURE:
            behind = read(task.inputs["behind"], name="The picture behind", field="behind")

        def make(photo: Photo, advance: Advance) -> Result:
            return cut_out(photo, request, session, behind, advance)

        yield from each_picture(task, report, is_cancelled, make)

    def session(self, model: str) -> BaseSession:
        """rembg's session of that model, warm. Raises WeightsMissing and BrokenWeights."""
        weight = self.bases.catalogue.weight(model)

        def make() -> BaseSession:
            return _session(model, find(weight, self.bases.folders), self.device.torch.type)

        return self.device.held(f"background:{model}", HELD * weight.bytes, make)


def _session(model: str, path: Path, device: str) -> BaseSession:
    made_by = next(one for one in sessions_class if one.name() == model)
    local: Any = type(made_by.__name__, (made_by,), {"download_models": classmethod(lambda *_, **__: str(path))})
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # Between two pictures its threads would otherwise spin, and hold up the one that reads and the one that writes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers = ["CPUExecutionProvider"]
    if device == "cuda" and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        providers.insert(0, "CUDAExecutionProvider")
    return local(model, options, providers=providers)


def cut_out(
    photo: Photo, request: BackgroundRequest, session: BaseSession, behind: Photo | None, advance: Advance
) -> Result:
    """The picture as the request wants it. `behind` is the picture to put it on. `advance` is told after each stage."""
    # 1. What is in front.
    rgb = photo.rgb8
    mask = mask_of(rgb, session)
    advance(FOUND if request.matting else MATTED)
    colours: Array = photo.rgb.astype(np.float32) if photo.depth == 16 else rgb

    # 2. Finer edges.
    finer = cutout.matted(rgb, mask) if request.matting else None
    advance(MATTED)
    if finer is not None:
        mask, freed = finer
        colours = freed * np.float32(257 if photo.depth == 16 else 1)

    # 3. What was transparent stays so.
    top = 65535 if photo.depth == 16 else 255
    if photo.alpha is not None:
        mask = mask * (photo.alpha.astype(np.float32) / top)

    # 4. On its ground.
    did = {"model": request.model, "matting": finer is not None, "on": request.on}
    dtype = np.uint16 if photo.depth == 16 else np.uint8
    if request.on == TRANSPARENT:
        if photo.grey:
            colours = colours[..., :1]
        alpha = np.rint(mask * top)[..., None]
        return _result(photo, np.concatenate([_whole(colours, dtype), alpha.astype(dtype)], axis=2), did)
    if request.on == BLUR:
        ground = cutout.blurred_ground(rgb, mask)
    elif behind is not None:
        ground = cutout.picture_ground(behind, photo.width, photo.height, photo.profile)
    else:
        ground = cutout.colour_ground(request.on, photo.profile)
    ground = ground * np.float32(top / 255)
    made = _whole(cutout.on_ground(colours.astype(np.float32), mask, ground), dtype)
    done, png = cv2.imencode(".png", np.rint(mask * 255).astype(np.uint8))
    assert done
    return _result(photo, made, did, mask=png.tobytes())


def mask_of(rgb: Array, session: BaseSession) -> Array:
    """What is in front in an (height, width, 3) uint8 picture: (height, width) float32 from 0 to 1."""
    with np.errstate(invalid="ignore", divide="ignore"):  # a picture of one colour may give a mask of one value
        mask = np.asarray(session.predict(Image.fromarray(rgb))[0])
    return mask.astype(np.float32) / 255


def _whole(values: Array, dtype: type) -> Array:
    if values.dtype == dtype:
        return values
    return np.rint(np.clip(values, 0, np.iinfo(dtype).max)).astype(dtype)


def _result(photo: Photo, pixels: Array, did: dict[str, Any], mask: bytes | None = None) -> Result:
    channels = pixels.shape[2]
    return Result(
        width=photo.width,
        height=photo.height,
        channels=channels,
        depth=photo.depth,
        profile=photo.profile if channels > 2 and not photo.grey else None,
        bands=[pixels],
        did=did,
        source_type=EDITED,
        mask=mask,
    )
