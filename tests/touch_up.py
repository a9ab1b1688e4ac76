"""A tool without weights: real files in and out, one by one, and pictures that cannot be done, like the true tools."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from studio.domain import Drawn, ImageRequest, IsCancelled, Refused, Report, Task, UpscaleRequest
from studio.pipelines.batches import Advance, each_picture
from studio.pipelines.picture_files import Photo
from studio.pipelines.results import GENERATED, Result

NO_FACE = 13  # pixels of width by which this tool knows a picture it cannot do

FACES = {"faces": [{"box": [1, 2, 30, 30], "strength": 0.8, "distance": 0.12}]}


@dataclass
class TouchUp:
    """Turns every picture upside down; enlarges by repeating pixels. One that is `NO_FACE` wide it refuses.

    `before(photo)` is called before each: to raise, to wait, to cancel.
    """

    before: Callable[[Photo], None] = lambda photo: None
    asked: list[Task] = field(default_factory=list[Task])

    def __call__(self, task: Task, report: Report, is_cancelled: IsCancelled) -> Iterator[Drawn]:
        self.asked.append(task)
        request = task.request
        assert not isinstance(request, ImageRequest)
        scale = request.scale if isinstance(request, UpscaleRequest) else 1

        def make(photo: Photo, advance: Advance) -> Result:
            self.before(photo)
            if photo.width == NO_FACE:
                raise Refused("No face was found.", field="uploads", allowed="a face")
            pixels = photo.pixels[::-1].repeat(scale, axis=0).repeat(scale, axis=1)
            return Result(
                width=photo.width * scale,
                height=photo.height * scale,
                channels=pixels.shape[2],
                depth=photo.depth,
                profile=photo.profile,
                bands=[pixels],
                did={"model": "touch-up", **(FACES if request.kind == "face" else {})},
                source_type=GENERATED,
            )

        yield from each_picture(task, report, is_cancelled, make)
