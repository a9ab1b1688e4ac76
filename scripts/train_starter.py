"""Trains the starter model from nothing: draws its pictures, trains each part, writes `models/starter`.

    python scripts/train_starter.py --resume

Two cores need some eight hours in all. State is kept in `--state` (outside the repository), saved every two minutes,
and `--resume` goes on from it. Run nothing heavy beside it: two busy programs on two cores run at a third of their
speed.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from random import Random

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from tqdm import tqdm
from transformers import CLIPTokenizer

from starter import assembly, autoencoder, dataset, denoiser, judge, tokenizer
from starter.portrait import caption, draw_lots
from starter.training import Run

REPOSITORY = Path(__file__).resolve().parent.parent
SEED = 20_26
VOCABULARY = 1_400
PARTS = ("drawings", "judge", "autoencoder", "latents", "words", "denoiser", "folder")


def _tokenizer(state: Path) -> CLIPTokenizer:
    folder = state / "tokenizer"
    if not folder.exists():
        random = Random(SEED)
        tokenizer.learn((caption(draw_lots(random), random) for _ in range(20_000)), VOCABULARY).save_pretrained(folder)
    return tokenizer.load(folder)


def _latents(state: Path) -> dict[tuple[int, int], denoiser.Latents]:
    drawings = dataset.read(state / "drawings")
    return {
        shape: denoiser.Latents(
            parameters=np.load(state / "latents" / f"{shape[0]}x{shape[1]}.npy", mmap_mode="r"),
            portraits=drawings[shape].portraits,
        )
        for shape in dataset.SHAPES
    }


def draw_all(state: Path, _plan: Run) -> None:
    """Draws the held-out and the training pictures."""
    dataset.make(state / "held-out", "held out", dataset.HELD_OUT_SQUARES, dataset.HELD_OUT_OTHERS)
    dataset.make(state / "drawings", "drawings", dataset.SQUARES, dataset.OTHERS)


def train_judge(state: Path, plan: Run) -> None:
    """Trains the judge on the square drawings."""
    torch.save(
        judge.train(state / "judge.pt", dataset.read(state / "drawings")[dataset.SHAPES[0]], plan).state_dict(),
        state / "judge.weights",
    )


def train_autoencoder(state: Path, plan: Run) -> None:
    """Trains the autoencoder on all shapes."""
    held_out = dataset.read(state / "held-out")[dataset.SHAPES[0]].pictures
    trained = autoencoder.train(state / "autoencoder.pt", dataset.read(state / "drawings"), held_out, plan)
    if plan.rank == 0:
        trained.save_pretrained(state / "autoencoder")


def encode_latents(state: Path, _plan: Run) -> None:
    """Encodes every drawing once: the denoiser never sees a pixel."""
    encoder = autoencoder.load(state / "autoencoder")
    (state / "latents").mkdir(exist_ok=True)
    for shape, drawings in dataset.read(state / "drawings").items():
        pieces = [
            autoencoder.latents(encoder, drawings.pictures[start : start + 500])
            for start in tqdm(range(0, len(drawings.pictures), 500), f"encoding {shape[0]}x{shape[1]}")
        ]
        np.save(state / "latents" / f"{shape[0]}x{shape[1]}.npy", np.concatenate(pieces))


def teach_words(state: Path, _plan: Run) -> None:
    """Teaches the text encoder what captions mean before the denoiser meets it."""
    denoiser.teach_words(state / "words.pt", _tokenizer(state), SEED).save_pretrained(state / "words")


def train_denoiser(state: Path, plan: Run) -> None:
    """Trains denoiser and text encoder on the latents."""
    words, latents = _tokenizer(state), _latents(state)
    text_encoder = denoiser.CLIPTextModel.from_pretrained(
        state / "words", local_files_only=True, dtype=torch.float32, attn_implementation=denoiser.ATTENTION
    )
    scaling = assembly.scaling_factor(latents[dataset.SHAPES[0]].parameters[:5_000])
    unet, text_encoder = denoiser.train(state / "denoiser.pt", text_encoder, words, latents, scaling, plan)
    if plan.rank == 0:
        unet.save_pretrained(state / "unet")
        text_encoder.save_pretrained(state / "text_encoder")


def write_folder(state: Path, out: Path) -> None:
    """Writes the model folder from the trained parts."""
    assembly.save(
        out,
        autoencoder=autoencoder.load(state / "autoencoder"),
        unet=denoiser.UNet2DConditionModel.from_pretrained(state / "unet", local_files_only=True),
        text_encoder=denoiser.CLIPTextModel.from_pretrained(state / "text_encoder", local_files_only=True),
        tokenizer=_tokenizer(state),
        scaling=assembly.scaling_factor(_latents(state)[dataset.SHAPES[0]].parameters[:5_000]),
    )


TRAIN = {
    "drawings": draw_all,
    "judge": train_judge,
    "autoencoder": train_autoencoder,
    "latents": encode_latents,
    "words": teach_words,
    "denoiser": train_denoiser,
}
PARALLEL = ("autoencoder", "denoiser")


def _one_of_many(rank: int, part: str, state: Path, steps: int, processes: int, meeting: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=processes)
    TRAIN[part](state, Run(steps=steps, seed=SEED, rank=rank, processes=processes))
    dist.destroy_process_group()


def run_part(part: str, state: Path, steps: int, processes: int) -> None:
    """Runs one part, in several processes where that helps."""
    if part in PARALLEL and processes > 1:
        with tempfile.TemporaryDirectory() as meeting:
            mp.spawn(_one_of_many, (part, state, steps, processes, f"{meeting}/meeting"), nprocs=processes)
        return
    TRAIN[part](state, Run(steps=steps, seed=SEED))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--state", type=Path, default=Path.home() / "likeness" / "starter", help="where training goes on from"
    )
    parser.add_argument(
        "--out", type=Path, default=REPOSITORY / "models" / "starter", help="where the model is written"
    )
    parser.add_argument("--resume", action="store_true", help="go on from the state of an earlier run")
    parser.add_argument("--part", choices=PARTS, action="append", help="only this part (may be given again)")
    parser.add_argument(
        "--processes", type=int, default=1, help="processes for autoencoder and denoiser, one thread each"
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads of a single process")
    parser.add_argument("--judge-steps", type=int, default=4_000)
    parser.add_argument("--autoencoder-steps", type=int, default=30_000)
    parser.add_argument("--denoiser-steps", type=int, default=25_000)
    options = parser.parse_args()
    if options.state.exists() and any(options.state.iterdir()) and not options.resume:
        sys.exit(f"{options.state} holds an earlier run: add --resume to go on from it, or name another --state.")
    torch.set_num_threads(options.threads)
    options.state.mkdir(parents=True, exist_ok=True)
    steps = {"judge": options.judge_steps, "autoencoder": options.autoencoder_steps, "denoiser": options.denoiser_steps}
    for part in options.part or PARTS:
        if part == "folder":
            write_folder(options.state, options.out)
        else:
            run_part(part, options.state, steps.get(part, 0), options.processes)


if __name__ == "__main__":
    main()
