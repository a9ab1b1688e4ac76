"""Loads a base as a diffusers pipeline: from disk alone, in the device's precision, with the chosen attention."""

import hashlib
import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.utils import logging as diffusers_logging
from diffusers.utils.outputs import BaseOutput
from transformers.utils import logging as transformers_logging

from studio.domain import BrokenWeights, OutOfMemory, StudioError
from studio.pipelines import attention
from studio.pipelines.bases import Base
from studio.pipelines.checkpoints import read_header
from studio.pipelines.device import Device, Precision, is_out_of_memory
from studio.pipelines.families import Pipe
from studio.pipelines.hub import UNUSED, components, variant_of
from studio.pipelines.layouts import layout_folder

FAULTS = (OSError, ValueError, KeyError, RuntimeError)  # what the libraries say of files that are not right
ALIGNED = 64  # bytes
AVERAGES = "model_ema."  # of a single file the tensors that trainings left in it and nobody loads
UNCAST = "timestep"  # of a step's inputs the one that needs more digits than bf16 has


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A base on the device: its networks, loaded once, as whatever classes of pipeline they have served so far.

    `scheduler` is the configuration the base came with, `colour_maps` what previews have found out about its decoder.
    """

    revision: str
    scheduler: Mapping[str, Any]
    pipelines: dict[str, DiffusionPipeline]
    colour_maps: dict[str, torch.Tensor] = field(default_factory=dict[str, torch.Tensor])

    def pipeline(self, pipe: Pipe) -> DiffusionPipeline:
        """The base as that class of pipeline."""
        if pipe.name not in self.pipelines:
            self.pipelines[pipe.name] = _as_class(next(iter(self.pipelines.values())), _class(pipe.name))
        return self.pipelines[pipe.name]


def key(base: Base) -> str:
    """What a base is kept warm under. Another file under the same id is another base."""
    return f"base:{base.id}:{base.revision}:{base.path}"


def loaded(device: Device, base: Base) -> Loaded:
    """The base, warm. Raises BrokenWeights where the files cannot be loaded, OutOfMemory where they do not fit, and
    Refused where the attention that the settings name cannot be used."""

    def make() -> Loaded:
        pipeline = load(device, base)
        return Loaded(
            revision=revision_of(base),
            scheduler=dict(pipeline.scheduler.config),
            pipelines={base.family.text.name: pipeline},
        )

    return device.held(key(base), size_of(base, device.precision), make)


@dataclass(frozen=True, kw_only=True)
class TuneFile:
    """A tune's weights and how strongly they are added to those of the base: 1 as they were trained."""

    file: Path
    strength: float


def tuned(device: Device, base: Base, tune: TuneFile) -> Loaded:
    """The base with a tune in it, warm and apart from the plain one, which stays as it is. Raises what `loaded` does,
    and BrokenWeights where the tune does not fit the base."""

    def make() -> Loaded:
        pipeline = load(device, base, tune=tune)
        return Loaded(
            revision=revision_of(base),
            scheduler=dict(pipeline.scheduler.config),
            pipelines={base.family.text.name: pipeline},
        )

    return device.held(tuned_key(base, tune), size_of(base, device.precision), make)


def tuned_key(base: Base, tune: TuneFile) -> str:
    """What a base with a tune in it is kept warm under."""
    return f"tune:{tune.file.stem}:{tune.strength:g}:{key(base)}"


def load(device: Device, base: Base, *, tune: TuneFile | None = None, to_train: bool = False) -> DiffusionPipeline:
    """The base's text-to-image pipeline on the device, for drawing, with a tune in it or not, or `to_train`.

    Raises what `tuned` does.
    """
    # 1. From disk.
    pipeline = from_disk(device, base, device.precision)

    # 2. A tune is added into the weights, so that drawing with it costs nothing more.
    if tune is not None:
        try:
            _fuse(pipeline, tune)
        except FAULTS as error:
            raise _told(error, device, base, f"The tune cannot be drawn with on {base.id}", "tune") from error
    return ready(pipeline, device, base, device.precision, to_train=to_train)


def from_disk(device: Device, base: Base, precision: Precision) -> DiffusionPipeline:
    """The base's text-to-image pipeline on the CPU, as its files have it. Raises BrokenWeights and OutOfMemory."""
    # The libraries' own bars would be drawn over the studio's.
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    try:
        return _single_file(base, device, base.path, precision) if base.single else _folder(base, base.path, precision)
    except FAULTS as error:
        raise _told(error, device, base, f"The base {base.id} cannot be loaded from {base.path}", "base") from error


def read_back(device: Device, base: Base, path: Path, precision: Precision) -> DiffusionPipeline:
    """A model of the base's build in another place, a diffusers folder or a single file, as diffusers reads it: what it
    is built like is told by the base. Raises what diffusers does."""
    return _folder(base, path, precision) if path.is_dir() else _single_file(base, device, path, precision)


def ready(
    pipeline: Any, device: Device, base: Base, precision: Precision, *, to_train: bool = False
) -> DiffusionPipeline:
    """A pipeline that was loaded in that precision, on the device, for drawing or `to_train`. Raises OutOfMemory."""
    # 3. Where the steps run in another precision than the latents, numbers are turned at the network's door.
    denoiser = getattr(pipeline, base.family.denoiser)
    if precision.networks != precision.latents:
        _bridge(denoiser, precision)
    if to_train:
        attention.use_to_train(denoiser, device.torch)
    else:
        device.steady(denoiser)
        attention.use(pipeline, denoiser, device.settings.attention)

    # 4. Decoding picture by picture: less memory, and a picture's pixels do not hang on how many there are.
    pipeline.vae.enable_slicing()
    pipeline.set_progress_bar_config(disable=True)

    # 5. Onto the device; what is larger than it visits it part by part.
    try:
        if device.torch.type == "cuda" and not to_train and size_of(base, precision) > device.budget:
            pipeline.enable_model_cpu_offload(device=device.torch)
        else:
            pipeline.to(device.torch)
        if device.torch.type == "cpu":
            _align(pipeline)
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise _does_not_fit(device, base) from error
        raise
    return pipeline


@torch.no_grad()
def _align(pipeline: Any) -> None:
    """Moves weights to where processors like to read them: in a mapped file they lie as it falls, and some kernels then
    sum in another order, so that a base drew another last decimal from one file than from its folder."""
    for part in pipeline.components.values():
        for weight in part.parameters() if isinstance(part, torch.nn.Module) else ():
            if weight.data_ptr() % ALIGNED:
                weight.data = weight.data.clone()


def _fuse(pipeline: Any, tune: TuneFile) -> None:
    pipeline.load_lora_weights(tune.file.parent, weight_name=tune.file.name, local_files_only=True)
    pipeline.fuse_lora(lora_scale=tune.strength)
    pipeline.unload_lora_weights()


def _told(error: Exception, device: Device, base: Base, what: str, field: str) -> StudioError:
    if is_out_of_memory(error):
        return _does_not_fit(device, base)
    return _broken(what, error, field)


def _broken(what: str, error: Exception, field: str) -> BrokenWeights:
    first = str(error).strip().partition("\n")[0][:200]
    return BrokenWeights(f"{what}: {first}", field=field)


def _class(name: str) -> type[DiffusionPipeline]:
    return getattr(diffusers, name)


def _folder(base: Base, path: Path, precision: Precision) -> DiffusionPipeline:
    made_by = _class(base.family.text.name)
    return made_by.from_pretrained(
        path,
        dtype={part: precision.latents for part in base.family.wide} | {"default": precision.networks},
        variant=_variant(path / base.family.denoiser),
        use_safetensors=True,
        local_files_only=True,
        **_without(made_by),
    )


def _single_file(base: Base, device: Device, path: Path, precision: Precision) -> DiffusionPipeline:
    made_by: Any = _class(base.family.text.name)
    config = layout_folder(base.family.text.name, device.settings.model_folders) if base.single else base.path
    # The wider of the two first: what was made narrow cannot be made wide again.
    pipeline = made_by.from_single_file(
        str(path), config=str(config), dtype=precision.latents, local_files_only=True, **_without(made_by)
    )
    for name, part in pipeline.components.items():
        if isinstance(part, torch.nn.Module) and name not in base.family.wide and part.dtype != precision.networks:
            part.to(precision.networks)
    return pipeline


def _without(made_by: type[DiffusionPipeline]) -> dict[str, Any]:
    """What a pipeline of that class may lack and the studio has no use for."""
    taken = inspect.signature(made_by.__init__).parameters
    without: dict[str, Any] = {name: None for name in UNUSED if name in taken}
    return without | ({"requires_safety_checker": False} if "requires_safety_checker" in taken else {})


def _variant(folder: Path) -> str | None:
    """`fp16` where a folder has its tensors only in that form."""
    files = _weights_in(folder)
    return "fp16" if files and variant_of(files[0]) == "fp16" else None


def _weights_in(folder: Path) -> list[Path]:
    """The files of a part that are loaded: those without a variant, else those in fp16."""
    files = sorted(folder.glob("*.safetensors"))
    return [file for file in files if not variant_of(file)] or [file for file in files if variant_of(file) == "fp16"]


def size_of(base: Base, precision: Precision, part: str | None = None) -> int:
    """About how many bytes a base takes in memory, or one part of a folder. Raises BrokenWeights."""
    width = 4 if precision.networks == torch.float32 else 2
    try:
        parts = [] if base.single else [part] if part else sorted(components(base.path / "model_index.json"))
        files = [base.path] if base.single else [file for name in parts for file in _weights_in(base.path / name)]
        return width * sum(_numbers(file, file.stat().st_mtime_ns) for file in files)
    except (StudioError, OSError, KeyError) as error:
        raise _broken(f"The base {base.id} cannot be loaded from {base.path}", error, "base") from error


@cache
def _numbers(file: Path, changed: int) -> int:
    """How many numbers of a file that was changed then are loaded: averages beside a single file's weights are not."""
    entries = read_header(file).items()
    return sum(math.prod(entry["shape"]) for name, entry in entries if not name.startswith(AVERAGES))


def _does_not_fit(device: Device, base: Base) -> OutOfMemory:
    need = size_of(base, device.precision) / (1 << 30)
    return OutOfMemory(
        f"The base {base.id} takes about {need:.1f} GB; {device.figures()}. "
        "Close other programs that use it, or choose a smaller base.",
        field="base",
    )


def _as_class(pipeline: DiffusionPipeline, made_by: type[DiffusionPipeline]) -> DiffusionPipeline:
    """The same networks as another class of pipeline. (diffusers' own `from_pipe` would change their dtypes.)"""
    wanted = inspect.signature(made_by.__init__).parameters
    given: dict[str, Any] = {name: part for name, part in pipeline.components.items() if name in wanted}
    given |= {name: value for name, value in pipeline.config.items() if name in wanted and name not in given}
    other = made_by(**given)
    other.set_progress_bar_config(disable=True)
    return other


def _bridge(network: torch.nn.Module, precision: Precision) -> None:
    """Has the network take and give the latents' dtype while it computes in its own."""

    def cast(value: Any, dtype: torch.dtype) -> Any:
        if isinstance(value, torch.Tensor):
            return value.to(dtype) if value.is_floating_point() else value
        if isinstance(value, Mapping):
            turned = {name: cast(one, dtype) for name, one in value.items()}
            return type(value)(**turned) if isinstance(value, BaseOutput) else turned
        if isinstance(value, list | tuple):
            return type(value)(cast(one, dtype) for one in value)
        return value

    def inwards(module: torch.nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        first = cast(args[:1], precision.networks)
        return (*first, *args[1:]), {
            name: value if name == UNCAST else cast(value, precision.networks) for name, value in kwargs.items()
        }

    def outwards(module: torch.nn.Module, args: Any, output: Any) -> Any:
        return cast(output, precision.latents)

    network.register_forward_pre_hook(inwards, with_kwargs=True)
    network.register_forward_hook(outwards)


def revision_of(base: Base) -> str:
    """What names the base's version in a recipe: its revision, else the beginning of its denoiser's sha256."""
    if base.revision:
        return base.revision
    files = [base.path] if base.single else sorted((base.path / base.family.denoiser).glob("*.safetensors"))
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:10]
