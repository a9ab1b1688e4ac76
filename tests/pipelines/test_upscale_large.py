"""A photo of 24 megapixels becomes one of 384 in little memory: streamed by bands of rows, from file to file."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from studio.pipelines.upscale import Upscaler
from tests.pipelines.tool_models import COMPACT, device, real_models

ROOT = Path(__file__).resolve().parents[2]
MOST = 4 << 30  # bytes that the process may have had at once
CHILD = """
import sys
from pathlib import Path
from studio.domain import UpscaleRequest
from studio.pipelines.upscale import Upscale
from tests.pipelines.tool_models import COMPACT, device, ids, real_models, task
source, folder = Path(sys.argv[1]), Path(sys.argv[2])
runner = Upscale(device(folder), real_models(COMPACT))
request = UpscaleRequest(uploads=ids(1), scale=4, model=COMPACT)
(drawn,) = runner(task(folder / "job", request, [source]), lambda progress: None, lambda: False)
print(drawn.width, drawn.height, drawn.file)
"""


def made_in_a_child(folder: Path, width: int, height: int) -> tuple[Path, list[str], int]:
    """The photo, what the child printed, and the most memory it had, in bytes."""
    rows, columns = np.mgrid[:height, :width]
    waves = (127 + 120 * np.sin(columns / 40) * np.cos(rows / 55)).astype(np.uint8)
    photo = folder / "photo.jpg"
    cv2.imwrite(str(photo), cv2.merge([waves, np.roll(waves, 30, axis=1), np.roll(waves, 60, axis=0)]))
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(photo), str(folder)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    unit = 1 if sys.platform == "darwin" else 1024
    return photo, done.stdout.split(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit


@pytest.mark.nightly
@pytest.mark.timeout(7200)
def test_a_photo_of_24_megapixels_four_times_as_large_stays_within_4_gb(tmp_path: Path) -> None:
    real_models(COMPACT)
    photo, printed, most = made_in_a_child(tmp_path, 6000, 4000)
    assert printed[:2] == ["24000", "16000"]
    assert most < MOST, f"{most / 2**30:.2f} GB"
    # A corner of it is what that corner gives alone, but for the margin in which tiles see their neighbours.
    Image.MAX_IMAGE_PIXELS = None
    with Image.open(photo) as image, Image.open(printed[2]) as made:
        corner = np.asarray(image.crop((0, 0, 300, 300)))
        found = np.asarray(made.crop((0, 0, 800, 800)))
    alone = Upscaler(device(tmp_path), real_models(COMPACT)).enlarged(corner, scale=4, model=COMPACT)[:800, :800]
    assert np.abs(found.astype(int) - alone).max() <= 1
    print(f"\n6000 x 4000 at x4: {most / 2**30:.2f} GB at most")
