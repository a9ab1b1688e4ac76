"""Makes pictures two or four times larger with Real-ESRGAN: photos and drawings, transparent ones, of any size.

Knows networks, tiles and devices; the other pipelines enlarge through `Upscaler` too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch.nn import functional as F

from studio.domain import Drawn, IsCancelled, OutOfMemory, Refused, Report, Task, UpscaleRequest
from studio.pipelines import esrgan, tiles
from studio.pipelines.bases import Bases
from studio.pipelines.batches import Advance, each_picture
from studio.pipelines.device import Device, is_out_of_memory
from studio.pipelines.esrgan import SCALE, Enlarger, Tick
from studio.pipelines.photo_or_drawing import looks_drawn
from studio.pipelines.picture_files import Array, Photo
from studio.pipelines.results import GENERATED, Result
from studio.pipelines.tones import keep_tones
from studio.pipelines.tool_weights import DRAWING, PHOTO, check
from studio.pipelines.weights import find
from studio.tools import AUTO, SCALES

FREE_SHARE = 0.4  # of the free memory that a batch of tiles may take
MOST_TILE = 1 << 20  # pixels of a tile: larger ones save little, and hold more of the picture back
MOST_BATCH = 1 << 18  # pixels of a batch of several tiles: beyond that batches are no faster
LEAST_TILE = 48  # pixels of the sides at which a tile that does not fit is given up

WITH_ALPHA = (2, 4)  # of 1 to 4 channels


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How one picture is enlarged: with which network, in which tiles, how many at once."""

    enlarger: Enlarger
    grid: tiles.Grid
    batch: int
    scale: int

    @property
    def ticks(self) -> int:
        batches = len(self.grid.rows) * -(-len(self.grid.columns) // self.batch)
        return batches * self.enlarger.ticks


class Upscaler:
    """Enlarges arrays of pixels on a device; its networks stay warm."""

    def __init__(self, device: Device, bases: Bases) -> None:
        self.device = device
        self.bases = bases

    def enlarged(self, picture: Array, *, scale: int, model: str = PHOTO, tick: Tick = lambda: None) -> Array:
        """The picture, (height, width, channels) of uint8 or uint16, `scale` (2 or 4) times larger each way.

        Channels are grey, grey and alpha, RGB, or RGBA. Raises WeightsMissing, BrokenWeights, OutOfMemory.
        """
        plan = self.plan(picture, scale=scale, model=model)
        return np.concatenate(list(self.bands(picture, plan, tick)))

    def plan(self, picture: Array, *, scale: int, model: str) -> Plan:
        """How `picture` will be enlarged. Raises WeightsMissing, BrokenWeights."""
        if scale not in SCALES:
            raise Refused(f"scale must be 2 or 4, not {scale}.", field="scale", allowed="2, 4")
        enlarger = self._enlarger(model, sixteen=picture.dtype == np.uint16)
        height, width = picture.shape[:2]
        # What a pixel takes once it is enlarged: twice as fp32, then as the bytes of its tile and of the band.
        pixel = enlarger.pixel_bytes + SCALE**2 * (2 * 3 * 4 + 2 * picture.shape[2] * picture.itemsize)
        fits = int(min(self.device.memory()[0] * FREE_SHARE, self.device.budget) / pixel)
        grid = tiles.grid(width, height, most=min(fits, MOST_TILE), margin=enlarger.margin)
        batch = max(min(fits, MOST_BATCH) // grid.tile_pixels, 1)
        return Plan(enlarger=enlarger, grid=grid, batch=batch, scale=scale)

    def bands(self, picture: Array, plan: Plan, tick: Tick = lambda: None) -> Iterator[Array]:
        """The enlarged picture from top to bottom, in bands of rows; `tick` is called `plan.ticks` times, and more
        often where something is transparent. Raises OutOfMemory, and what `tick` raises."""

        def work(windows: Sequence[Array]) -> list[Array]:
            return self._enlarge(windows, plan, tick)

        return tiles.bands(picture, plan.grid, work, scale=plan.scale, batch=plan.batch)

    def _enlarger(self, model: str, *, sixteen: bool) -> Enlarger:
        dtype = self._dtype(sixteen=sixteen)
        weight = self.bases.catalogue.weight(model)

        def make() -> Enlarger:
            return esrgan.load(find(weight, self.bases.folders), self.device.torch, dtype)

        return self.device.held(f"upscale:{model}:{dtype}", 2 * weight.bytes, make)

    def _dtype(self, *, sixteen: bool) -> torch.dtype:
        """fp32 where that is asked for or the device has nothing faster, and for 16-bit pictures: they would lose what
        they have more. On a graphics card fp16 rather than bf16: as fast, and eight times as fine."""
        networks = self.device.precision.networks
        if sixteen or networks == torch.float32:
            return torch.float32
        return networks if self.device.torch.type == "cpu" else torch.float16

    def _enlarge(self, windows: Sequence[Array], plan: Plan, tick: Tick) -> list[Array]:
        """Tiles of any channels: colours through the network, and transparency too, where it is not all one value."""
        stack = np.stack(windows)
        channels = stack.shape[3]
        if channels not in WITH_ALPHA:
            return list(self._colours(stack, plan, tick))
        alpha = stack[..., -1:]
        colours = self._colours(stack[..., :-1], plan, tick)
        if (alpha == alpha[0, 0, 0]).all():
            made = np.broadcast_to(alpha[0, 0, 0], (*colours.shape[:3], 1))
        else:
            made = self._colours(alpha, plan, tick)
        return list(np.concatenate([colours, made], axis=3))

    def _colours(self, stack: Array, plan: Plan, tick: Tick) -> Array:
        """(count, height, width, 1 or 3) enlarged. A batch that does not fit the memory is halved, then a tile cut."""
        try:
            return self._run(stack, plan, tick)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        self.device.empty_cache()
        if len(stack) > 1:
            half = len(stack) // 2
            return np.concatenate([self._colours(part, plan, tick) for part in (stack[:half], stack[half:])])
        return self._halved(stack, plan, tick)

    def _halved(self, stack: Array, plan: Plan, tick: Tick) -> Array:
        """One tile in two parts along its longer side. Raises OutOfMemory where it is too small for that."""
        margin = plan.enlarger.margin
        axis = 1 if stack.shape[1] >= stack.shape[2] else 2
        length = stack.shape[axis]
        middle = length // 2
        if middle < LEAST_TILE + margin:
            raise OutOfMemory(
                f"Not even a small part of the picture fits: {self.device.figures()}. "
                "Close other programs that use it.",
                field="uploads",
            )
        first, second = np.split(stack, [middle], axis=axis)
        before, after = (
            np.split(stack, [middle + margin], axis=axis)[0],
            np.split(stack, [middle - margin], axis=axis)[1],
        )
        keep = middle * plan.scale
        upper = np.split(self._colours(before, plan, tick), [keep], axis=axis)[0]
        lower = np.split(self._colours(after, plan, tick), [margin * plan.scale], axis=axis)[1]
        return np.concatenate([upper, lower], axis=axis)

    def _run(self, stack: Array, plan: Plan, tick: Tick) -> Array:
        """Through the network: values from 0 to 1 in between, rounded once at the end."""
        count, height, width, channels = stack.shape
        top = float(np.iinfo(stack.dtype).max)
        with torch.inference_mode():
            whole = torch.from_numpy(stack.astype(np.float32)).to(self.device.torch).permute(0, 3, 1, 2) / top
            pixels = whole.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
            made = pixels.new_empty((count, 3, height * SCALE, width * SCALE)).contiguous(
                memory_format=torch.channels_last
            )
            for rows, strip in plan.enlarger.strips(pixels, tick):
                made[:, :, rows.start * SCALE : rows.stop * SCALE] = strip
            keep_tones(made, pixels, SCALE)
            if plan.scale < SCALE:
                made = F.avg_pool2d(made, SCALE // plan.scale)
            if channels == 1:
                made = made.mean(dim=1, keepdim=True)
            values = made.clamp_(0, 1).mul_(top).round_().permute(0, 2, 3, 1).cpu().numpy()
        return values.astype(stack.dtype)


class Upscale:
    """The runner of `upscale` jobs."""

    def __init__(self, device: Device, bases: Bases) -> None:
        self.bases = bases
        self.upscaler = Upscaler(device, bases)

    def __call__(self, task: Task, report: Report, is_cancelled: IsCancelled) -> Iterator[Drawn]:
        """Yields each picture enlarged. Raises WeightsMissing and BrokenWeights, and what `each_picture` raises."""
        request = task.request
        assert isinstance(request, UpscaleRequest)
        check(request, self.bases)

        def make(photo: Photo, advance: Advance) -> Result:
            model = request.model
            if model == AUTO:
                model = DRAWING if looks_drawn(photo.rgb8, photo.alpha) else PHOTO
            return self._enlarged(photo, request.scale, model, advance)

        yield from each_picture(task, report, is_cancelled, make)

    def _enlarged(self, photo: Photo, scale: int, model: str, advance: Advance) -> Result:
        picture = channels_of(photo)
        plan = self.upscaler.plan(picture, scale=scale, model=model)
        return Result(
            width=photo.width * scale,
            height=photo.height * scale,
            channels=picture.shape[2],
            depth=photo.depth,
            profile=photo.profile,
            bands=self.upscaler.bands(picture, plan, counted(advance, plan.ticks)),
            did={"model": model, "scale": scale, "precision": str(plan.enlarger.dtype).removeprefix("torch.")},
            source_type=GENERATED,
        )


def counted(advance: Advance, ticks: int) -> Tick:
    """A tick that tells what share of `ticks` has been called."""
    called = 0

    def tick() -> None:
        nonlocal called
        advance(min(called / ticks, 1))
        called += 1

    return tick


def channels_of(photo: Photo) -> Array:
    """The photo as one array, transparency last. Colours that nobody sees become those of the nearest that one does:
    enlarged, an edge mixes in a little of what lies beyond it."""
    colour = photo.colour[..., None] if photo.grey else photo.colour
    if photo.alpha is None:
        return colour
    hidden = photo.alpha == 0
    if hidden.any() and not hidden.all():
        _, labels = cv2.distanceTransformWithLabels(
            hidden.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
        )
        nearest = np.zeros((labels.max() + 1, colour.shape[2]), colour.dtype)
        nearest[labels[~hidden]] = colour[~hidden]
        colour = np.where(hidden[..., None], nearest[labels], colour)
    return np.concatenate([colour, photo.alpha[..., None]], axis=2)
