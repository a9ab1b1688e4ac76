"""How fast a tune is trained, against diffusers' own script, and how fast 64 avatars are drawn, against single calls.

    python scripts/bench_tune.py --peer train_dreambooth_lora.py [--only starter|sd15|avatars] [--json FILE]

The peer is examples/dreambooth/train_dreambooth_lora.py of the diffusers that is installed; get it for yourself. Both
train LoRA on the same base with the same photos, batch, resolution, rank, dtype and parts (the text encoder with or
without), each in a process of its own, by turns. A step is counted where the optimizer has taken it, on both sides by
the same hook; the steps before `--warm-up` do not count. Neither draws pictures of how far it is, neither has pictures
of the class. Peak memory is the most that the process ever held (on a CUDA card, of the card's).

The base `sd15` has the layout of Stable Diffusion 1.5 and random weights; it takes 4 GB of disk for the while.
The avatars are eight jobs of eight, from the request to PNG files with recipes, against a pipeline with the same LoRA
that is called once for each picture and keeps them in memory.
"""

import argparse
import json
import os
import runpy
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from studio.settings import REPOSITORY  # noqa: E402

WANTED = {"starter": 2.0, "sd15": 1.5, "avatars": 1.5}
PROMPT = "portrait of sks person"
STYLES = ("flat cartoon", "storybook", "toon", "comic", "minimal vector", "pixel art", "pencil", "poster")
PHOTOS, SEED = 10, 7


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What both sides are told. `text` says that the text encoder is trained too."""

    base: str
    family: str
    side: int
    batch: int
    rank: int
    steps: int
    warm_up: int
    text: bool
    precision: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, help="diffusers' examples/dreambooth/train_dreambooth_lora.py")
    parser.add_argument("--only", choices=list(WANTED), action="append", help="may be given several times")
    parser.add_argument("--models", type=Path, default=REPOSITORY / "models", help="where starter/ lies")
    parser.add_argument("--rounds", type=int, default=3, help="of the starter and the avatars; of sd15 one (3)")
    parser.add_argument("--steps", type=int, default=40, help="on the starter, warm-up included (40)")
    parser.add_argument("--sd-steps", type=int, default=5, help="on sd15, warm-up included (5)")
    parser.add_argument("--warm-up", type=int, default=2, help="steps that do not count (2)")
    parser.add_argument("--batch", type=int, default=4, help="on the starter (4)")
    parser.add_argument("--sd-batch", type=int, default=1, help="on sd15 (1)")
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--precision", choices=("fp32", "bf16", "fp16"), default="fp32")
    parser.add_argument("--avatars", type=int, default=64)
    parser.add_argument("--avatar-steps", type=int, default=25)
    parser.add_argument("--json", type=Path, help="where the figures go; else they are printed")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        return child(json.loads(asked.child))
    chosen = asked.only or list(WANTED)
    if asked.peer is None and set(chosen) - {"avatars"}:
        parser.error("--peer is needed: diffusers' examples/dreambooth/train_dreambooth_lora.py")

    figures: dict[str, Any] = {"threads": os.environ.get("OMP_NUM_THREADS"), "cores": os.cpu_count()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = drawn_photos(folder / "photos")
        common = {"folder": str(folder), "photos": str(photos), "peer": str(asked.peer and asked.peer.resolve())}
        if "starter" in chosen:
            setting = Setting(
                base=str(asked.models / "starter"), family="starter", side=128, batch=asked.batch, rank=asked.rank,
                steps=asked.steps, warm_up=asked.warm_up, text=True, precision=asked.precision,
            )  # fmt: skip
            figures["starter"] = trained(setting, common, asked.rounds)
        if "sd15" in chosen:
            ran(common | {"do": "make", "base": str(folder / "sd15"), "like": str(asked.models / "starter")})
            setting = Setting(
                base=str(folder / "sd15"), family="sd", side=256, batch=asked.sd_batch, rank=asked.rank,
                steps=asked.sd_steps, warm_up=min(asked.warm_up, asked.sd_steps - 2), text=False,
                precision=asked.precision,
            )  # fmt: skip
            figures["sd15"] = trained(setting, common, 1)
        if "avatars" in chosen:
            figures["avatars"] = avatars(asked, common)
    told = json.dumps(figures, indent=1)
    if asked.json:
        asked.json.write_text(told + "\n", encoding="utf-8")
    print(told)
    kept = [figures[name]["ratio"] >= WANTED[name] and figures[name].get("memory", 0) <= 1 for name in chosen]
    return 0 if all(kept) else 1


def trained(setting: Setting, common: dict[str, Any], rounds: int) -> dict[str, Any]:
    """Both sides by turns; the median of the rounds' ratios, since a busy machine slows neighbours in time alike."""
    found: dict[str, list[dict[str, float]]] = {"ours": [], "peer": []}
    for number in range(rounds):
        for side in ("ours", "peer") if number % 2 == 0 else ("peer", "ours"):
            found[side].append(ran(common | {"do": side, "setting": vars(setting)}))
            print(f"{setting.family} round {number + 1}: {side} {found[side][-1]}", file=sys.stderr, flush=True)
    pairs = list(zip(found["ours"], found["peer"], strict=True))
    return {
        "wanted": WANTED["starter" if setting.family == "starter" else "sd15"],
        "ratio": statistics.median(one["steps_a_second"] / other["steps_a_second"] for one, other in pairs),
        "ratio_by_processor": statistics.median(
            one["steps_a_processor_second"] / other["steps_a_processor_second"] for one, other in pairs
        ),
        "memory": statistics.median(one["peak_bytes"] / other["peak_bytes"] for one, other in pairs),
        **found,
        "setting": {name: value for name, value in vars(setting).items() if name != "base"},
    }


def avatars(asked: Any, common: dict[str, Any]) -> dict[str, Any]:
    """Drawing a tune's pictures in eight styles: in jobs of eight, and one call after the other."""
    told = common | {
        "models": str(asked.models), "count": asked.avatars, "steps": asked.avatar_steps, "rank": asked.rank,
        "precision": asked.precision,
    }  # fmt: skip
    ran(told | {"do": "tune"})
    pairs = []
    for number in range(asked.rounds):
        order = ("jobs", "calls") if number % 2 == 0 else ("calls", "jobs")
        taken = {side: ran(told | {"do": side})["seconds"] for side in order}
        pairs.append(taken)
        print(f"avatars round {number + 1}: {taken}", file=sys.stderr, flush=True)
    return {
        "wanted": WANTED["avatars"],
        "ratio": statistics.median(one["calls"] / one["jobs"] for one in pairs),
        "seconds": pairs,
        "count": asked.avatars,
        "steps": asked.avatar_steps,
    }


def drawn_photos(folder: Path) -> Path:
    """Photos of nobody: what is on them changes no figure."""
    from PIL import Image  # noqa: PLC0415 - the parent process needs no more than this

    folder.mkdir()
    for number in range(PHOTOS):
        Image.effect_noise((512, 512), 40 + 5 * number).convert("RGB").save(folder / f"{number}.png")
    return folder


def ran(order: dict[str, Any]) -> dict[str, float]:
    """Has a process of its own carry the order out, and returns its figures."""
    answer = Path(order["folder"]) / "answer.json"
    answer.unlink(missing_ok=True)
    command = [sys.executable, str(Path(__file__).resolve()), "--child", json.dumps(order | {"answer": str(answer)})]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0 or not answer.exists():
        sys.exit(f"{order['do']} failed:\n{done.stdout[-4000:]}")
    return json.loads(answer.read_text(encoding="utf-8"))


# --- in a process of its own ------------------------------------------------------------------------------------------


def child(order: dict[str, Any]) -> int:
    doings: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
        "make": make_sd15, "ours": ours, "peer": peer, "tune": tune, "jobs": jobs, "calls": calls,
    }  # fmt: skip
    Path(order["answer"]).write_text(json.dumps(doings[order["do"]](order)), encoding="utf-8")
    return 0


def make_sd15(order: dict[str, Any]) -> dict[str, Any]:
    """Stable Diffusion 1.5's layout with random weights; the tokenizer is the starter's."""
    import diffusers  # noqa: PLC0415
    import torch  # noqa: PLC0415
    import transformers  # noqa: PLC0415

    torch.manual_seed(SEED)
    blocks = ("DownEncoderBlock2D",) * 4, ("UpDecoderBlock2D",) * 4
    tokenizer = transformers.CLIPTokenizer.from_pretrained(Path(order["like"]) / "tokenizer")
    made: Any = diffusers.StableDiffusionPipeline(
        vae=diffusers.AutoencoderKL(
            down_block_types=blocks[0], up_block_types=blocks[1], block_out_channels=(128, 256, 512, 512),
            layers_per_block=2, latent_channels=4, norm_num_groups=32, sample_size=512,
        ),
        text_encoder=transformers.CLIPTextModel(
            transformers.CLIPTextConfig(
                vocab_size=49408, hidden_size=768, intermediate_size=3072, num_hidden_layers=12,
                num_attention_heads=12, max_position_embeddings=77, projection_dim=768,
                bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        ),
        tokenizer=tokenizer,
        unet=diffusers.UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8),
        scheduler=diffusers.PNDMScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", skip_prk_steps=True, steps_offset=1
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )  # fmt: skip
    made.save_pretrained(order["base"])
    return {}


def counting() -> list[tuple[float, float]]:
    """When each step of whatever trains in this process is taken: by the clock, and in processor time until then."""
    import torch  # noqa: PLC0415

    moments: list[tuple[float, float]] = []
    step = torch.optim.AdamW.step

    def counted(optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        done = step(optimizer, *args, **kwargs)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        moments.append((time.perf_counter(), time.process_time()))
        return done

    torch.optim.AdamW.step = counted  # type: ignore[method-assign]
    return moments


def figures(setting: Setting, moments: Sequence[tuple[float, float]]) -> dict[str, Any]:
    import resource  # noqa: PLC0415 - not on Windows

    import torch  # noqa: PLC0415

    assert len(moments) >= setting.steps, f"{len(moments)} steps of {setting.steps}"
    counted = setting.steps - setting.warm_up
    on_card = torch.cuda.is_available()
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    clock, processor = (
        end - begin for begin, end in zip(moments[setting.warm_up - 1], moments[setting.steps - 1], strict=True)
    )
    return {
        "steps_a_second": counted / clock,
        "steps_a_processor_second": counted / processor,
        "peak_bytes": torch.cuda.max_memory_allocated() if on_card else held,
    }


class OneBase:
    """Bases of which there is one."""

    def __init__(self, base: Any) -> None:
        self.base = base

    def check_tune(self, request: Any) -> Any:
        return self.base


def base_of(setting: Setting) -> Any:
    """The base, with the batch and the resolution of the benchmark and nothing but photos in it, as the peer has it."""
    from studio.pipelines.bases import Base  # noqa: PLC0415
    from studio.pipelines.families import FAMILIES  # noqa: PLC0415

    row = FAMILIES[setting.family]
    assert row.training is not None
    nothing_else = {"class_batch": 0, "class_pictures": 0, "lesson_batch": 0, "traits": ()}
    training = replace(row.training, batch=setting.batch, prompt=PROMPT, **nothing_else)
    family = replace(row, native=setting.side, training=training)
    return Base(
        id="bench", family=family, path=Path(setting.base), single=False, revision="", licence="", paid_work=None
    )


def ours(order: dict[str, Any]) -> dict[str, Any]:
    from studio.domain import Cancelled  # noqa: PLC0415
    from studio.pipelines.device import Device  # noqa: PLC0415
    from studio.pipelines.tuning import train  # noqa: PLC0415
    from studio.settings import Settings  # noqa: PLC0415

    setting = Setting(**order["setting"])
    folder = Path(tempfile.mkdtemp(dir=order["folder"]))
    device = Device(Settings(data=folder, precision=setting.precision))
    train.SAMPLED_SHARE = -1.0  # no pictures of how far it is
    bases: Any = OneBase(base_of(setting))
    moments = counting()
    try:
        # A request has at least ten steps; it is stopped after as many as are counted.
        run = train.Train(device, bases)(
            task_of(order, folder, steps=max(setting.steps, 10), rank=setting.rank, text=setting.text),
            lambda progress: None,
            lambda: len(moments) >= setting.steps,
        )
        list(run)
    except Cancelled:
        pass
    return figures(setting, moments)


def task_of(order: dict[str, Any], folder: Path, *, steps: int, rank: int, text: bool) -> Any:
    from studio.domain import Task, TuneRequest  # noqa: PLC0415
    from studio.tunes import CONSENT, photo_field  # noqa: PLC0415

    files = sorted(Path(order["photos"]).iterdir())
    request = TuneRequest(
        name="bench", class_name="person", photos=tuple(file.stem for file in files), consent=CONSENT, steps=steps,
        rank=rank, text_encoder=text, prior=False, seed=SEED,
    )  # fmt: skip
    inputs = {photo_field(index): file for index, file in enumerate(files)}
    return Task(job_id="bench", request=request, folder=folder, inputs=inputs)


def peer(order: dict[str, Any]) -> dict[str, Any]:
    setting = Setting(**order["setting"])
    words = {
        "pretrained_model_name_or_path": setting.base, "instance_data_dir": order["photos"],
        "instance_prompt": PROMPT, "output_dir": tempfile.mkdtemp(dir=order["folder"]), "resolution": setting.side,
        "train_batch_size": setting.batch, "max_train_steps": setting.steps, "rank": setting.rank,
        "learning_rate": 1e-4, "lr_scheduler": "constant", "checkpointing_steps": 1_000_000, "seed": SEED,
        "mixed_precision": "no" if setting.precision == "fp32" else setting.precision,
    }  # fmt: skip
    sys.argv = [order["peer"], *(part for name, value in words.items() for part in (f"--{name}", str(value)))]
    sys.argv += ["--train_text_encoder"] if setting.text else []
    moments = counting()
    runpy.run_path(order["peer"], run_name="__main__")
    return figures(setting, moments)


# --- avatars ----------------------------------------------------------------------------------------------------------


def tune(order: dict[str, Any]) -> dict[str, Any]:
    """A short tune of the starter, for both sides to draw with."""
    from studio.pipelines.bases import Bases  # noqa: PLC0415
    from studio.pipelines.device import Device  # noqa: PLC0415
    from studio.pipelines.tuning import train  # noqa: PLC0415
    from studio.settings import Settings  # noqa: PLC0415

    folder = Path(tempfile.mkdtemp(dir=order["folder"]))
    settings = Settings(data=folder, models=Path(order["models"]), precision=order["precision"])
    task = task_of(order, folder, steps=10, rank=order["rank"], text=True)
    (made,) = list(train.Train(Device(settings), Bases.of(settings, {}))(task, lambda progress: None, lambda: False))
    made.file.replace(tune_file(order))
    return {}


def tune_file(order: dict[str, Any]) -> Path:
    return Path(order["folder"]) / "tune.safetensors"


def prompts(order: dict[str, Any]) -> list[str]:
    return [f"{PROMPT}, {STYLES[number * 8 // order['count'] % 8]} style" for number in range(order["count"])]


def jobs(order: dict[str, Any]) -> dict[str, Any]:
    """The studio's own way: a job of eight in each style, from the request to the files."""
    from studio.domain import ImageRequest, Task  # noqa: PLC0415
    from studio.pipelines import Runners  # noqa: PLC0415
    from studio.settings import Settings  # noqa: PLC0415

    folder = Path(tempfile.mkdtemp(dir=order["folder"]))
    runner = Runners(Settings(data=folder, models=Path(order["models"]), precision=order["precision"]))["image"]
    asked = prompts(order)

    def draw(index: int, count: int, steps: int) -> None:
        request = ImageRequest(
            prompt=asked[index], width=128, height=128, steps=steps, count=count, seed=SEED + index, tune="bench"
        )
        drawn = list(runner(Task(job_id=f"job-{index}", request=request, folder=folder, tune=tune_file(order)),
                            lambda progress: None, lambda: False))  # fmt: skip
        assert len(drawn) == count

    draw(0, 1, 2)  # warm
    began = time.perf_counter()
    for index in range(0, order["count"], 8):
        draw(index, min(8, order["count"] - index), order["steps"])
    return {"seconds": time.perf_counter() - began}


def calls(order: dict[str, Any]) -> dict[str, Any]:
    """A script of a dozen lines: the pipeline with the LoRA, called for one picture after the other."""
    import torch  # noqa: PLC0415
    from diffusers import StableDiffusionPipeline  # noqa: PLC0415

    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[order["precision"]]
    pipeline: Any = StableDiffusionPipeline.from_pretrained(Path(order["models"]) / "starter", torch_dtype=dtype)
    if torch.cuda.is_available():
        pipeline.to("cuda")
    pipeline.set_progress_bar_config(disable=True)
    pipeline.load_lora_weights(order["folder"], weight_name=tune_file(order).name)
    asked = prompts(order)

    def draw(index: int, steps: int) -> None:
        pipeline(
            asked[index], num_inference_steps=steps, guidance_scale=3.0, width=128, height=128,
            generator=torch.Generator().manual_seed(SEED + index),
        )  # fmt: skip

    draw(0, 2)  # warm
    began = time.perf_counter()
    for index in range(order["count"]):
        draw(index, order["steps"])
    return {"seconds": time.perf_counter() - began}


if __name__ == "__main__":
    sys.exit(main())
