"""The studio's upscale and background removal beside RealESRGANer.enhance and rembg.remove: warm, in one run, by turns.

    python scripts/bench_tools.py [--pictures 8] [--side 512] [--photos 32] [--rounds 3] [--only upscale|background]

Upscale: x4plus-anime with the same weights, pictures in memory to pictures in memory; the peer with its own defaults.
Background: u2netp with the same file, picture files to PNG files; the peer in a loop, one photo after the other.

Which of the two begins changes from round to round. What counts is the median of the rounds' ratios, since a busy
machine slows neighbours in time alike: at least 1.5 times as fast for upscale, at least as fast for background.
"""

import argparse
import gc
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rembg
import torch
from PIL import Image
from safetensors.torch import load_file
from skimage import data

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from studio.domain import BackgroundRequest, Progress, Task  # noqa: E402
from studio.pipelines import Runners  # noqa: E402
from studio.pipelines.compat import provide_functional_tensor  # noqa: E402
from studio.pipelines.tool_weights import DRAWING  # noqa: E402
from studio.pipelines.upscale import Upscaler  # noqa: E402
from studio.pipelines.weights import find  # noqa: E402
from studio.settings import REPOSITORY, Settings  # noqa: E402
from studio.tools import upload_field  # noqa: E402

WANTED = {"upscale": 1.5, "background": 1.0}
SHOWN = ("astronaut", "chelsea", "coffee", "rocket")  # of scikit-image, cut and turned to as many as are asked for

Run = Callable[[], None]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=8)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--photos", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=list(WANTED))
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--models", type=Path, default=Path(os.environ.get("STUDIO_MODELS", REPOSITORY / "models")))
    asked = parser.parse_args()

    enough = True
    with tempfile.TemporaryDirectory() as folder:
        runners = Runners(Settings(data=Path(folder), models=asked.models, precision=asked.precision))
        device = runners.device
        print(f"{device.torch.type}, networks in {device.precision}, {torch.get_num_threads()} threads", flush=True)
        if asked.only in (None, "upscale"):
            pictures = [picture(number, asked.side) for number in range(asked.pictures)]
            pair = upscalers(runners, pictures, Path(folder))
            enough &= judged("upscale", f"{asked.pictures} of {asked.side}x{asked.side}", *pair, rounds=asked.rounds)
        if asked.only in (None, "background"):
            files = photos(Path(folder), asked.photos)
            pair = cutters(runners, files, Path(folder))
            enough &= judged("background", f"{asked.photos} photos", *pair, rounds=asked.rounds)
    return 0 if enough else 1


def judged(name: str, of: str, studio: Run, peer: Run, *, rounds: int) -> bool:
    """Both by turns, warm as they come; whether the studio is as much faster as it should be."""
    ratios: list[float] = []
    for number in range(rounds):
        order = (peer, studio) if number % 2 else (studio, peer)
        taken = {run: timed(run) for run in order}
        ratios.append(taken[peer] / taken[studio])
        print(
            f"{name}, {of}, round {number + 1}: studio {taken[studio]:.2f} s, peer {taken[peer]:.2f} s, "
            f"{ratios[-1]:.2f} times as fast",
            flush=True,
        )
    middle = statistics.median(ratios)
    print(f"{name}: {middle:.2f} times as fast as its peer; {WANTED[name]:g} is wanted", flush=True)
    return middle >= WANTED[name]


def timed(run: Run) -> float:
    gc.collect()  # the other's rubbish is not on this one's bill
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


# --- upscale ---------------------------------------------------------------------------------------------------------


def picture(number: int, side: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """An RGB picture of that side, another one for every number."""
    whole = getattr(data, SHOWN[number % len(SHOWN)])()
    across = min(whole.shape[:2])
    cut = np.rot90(whole[:across, :across], number // len(SHOWN) % 4)
    return np.ascontiguousarray(cv2.resize(cut, (side, side), interpolation=cv2.INTER_AREA))


def upscalers(runners: Runners, pictures: Sequence[Any], folder: Path) -> tuple[Run, Run]:
    """The studio's, and RealESRGANer with the same weights and its own defaults, both warm."""
    upscaler = Upscaler(runners.device, runners.bases)
    peer = real_esrganer(find(runners.bases.catalogue.weight(DRAWING), runners.bases.folders), folder)
    turned = [np.ascontiguousarray(one[..., ::-1]) for one in pictures]

    def ours() -> None:
        for one in pictures:
            upscaler.enlarged(one, scale=4, model=DRAWING)

    def theirs() -> None:
        for one in turned:
            peer.enhance(one)

    upscaler.enlarged(pictures[0], scale=4, model=DRAWING)
    peer.enhance(turned[0])
    return ours, theirs


def real_esrganer(weights: Path, folder: Path) -> Any:
    provide_functional_tensor()
    from basicsr.archs.rrdbnet_arch import RRDBNet  # noqa: PLC0415 - importable after compat alone
    from realesrgan import RealESRGANer  # noqa: PLC0415

    pickled = folder / "peer.pth"  # it reads nothing else
    torch.save({"params": {name: tensor.float() for name, tensor in load_file(weights).items()}}, pickled)
    network = RRDBNet(num_in_ch=3, num_out_ch=3, num_feat=64, num_block=6, num_grow_ch=32, scale=4)
    return RealESRGANer(scale=4, model_path=str(pickled), model=network)


# --- background ------------------------------------------------------------------------------------------------------


def photos(folder: Path, count: int) -> list[Path]:
    """JPEG files of a phone's old size, each another one."""
    files = [folder / f"photo-{number}.jpg" for number in range(count)]
    for number, file in enumerate(files):
        Image.fromarray(picture(number, 1200)).save(file, quality=90)
    return files


def cutters(runners: Runners, files: Sequence[Path], folder: Path) -> tuple[Run, Run]:
    """The studio's runner, and rembg.remove in a loop, both warm: files in, PNG files out."""
    weight = runners.bases.catalogue.weight("u2netp")
    os.environ["U2NET_HOME"] = str(find(weight, runners.bases.folders).parent)
    session = rembg.new_session("u2netp")
    runner = runners["background"]
    here, there = folder / "ours", folder / "theirs"
    for made in (here, there):
        made.mkdir()
    task = Task(
        job_id="bench",
        request=BackgroundRequest(uploads=tuple(f"upload-{number}" for number in range(len(files)))),
        folder=here,
        inputs={upload_field(number): file for number, file in enumerate(files)},
    )

    def report(progress: Progress) -> None:
        pass

    def ours() -> None:
        assert len(list(runner(task, report, lambda: False))) == len(files)

    def theirs() -> None:
        for file in files:
            cut = rembg.remove(file.read_bytes(), session=session)
            assert isinstance(cut, bytes)
            (there / f"{file.stem}.png").write_bytes(cut)

    ours()
    theirs()
    return ours, theirs


if __name__ == "__main__":
    sys.exit(main())
