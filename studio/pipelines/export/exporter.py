"""The runner of exports: a tune as a file that other programs read, proven before it is handed over."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from studio.domain import (
    BrokenWeights,
    Cancelled,
    Exported,
    ExportRequest,
    IsCancelled,
    Progress,
    Report,
    StudioError,
    Task,
    Tune,
)
from studio.export_request import SUFFIXES
from studio.pipelines import loading
from studio.pipelines.bases import Base, Bases
from studio.pipelines.device import Device, Precision, is_out_of_memory
from studio.pipelines.disk import check_space
from studio.pipelines.export import proof
from studio.pipelines.export.about import Source
from studio.pipelines.export.forms import FORMS, Form, check
from studio.pipelines.export.proof import Evidence
from studio.pipelines.export.tensors import size_of
from studio.pipelines.loading import FAULTS
from studio.pipelines.weights import sha256


class Exporter:
    """The runner of `export` jobs on one device."""

    def __init__(self, device: Device, bases: Bases) -> None:
        self.device = device
        self.bases = bases
        # A file has the numbers that other programs expect: those of half precision have more digits in fp16 than in
        # bf16. On a CPU nothing is lost.
        one = torch.float32 if device.torch.type == "cpu" else torch.float16
        self.precision = Precision(networks=one, latents=one)

    def __call__(self, task: Task, report: Report, is_cancelled: IsCancelled) -> Iterator[Exported]:
        """Yields the one file, in the task's folder.

        Raises Refused and WeightsMissing (the base has gone, or no such form), StorageFailed before anything is
        written, OutOfMemory, BrokenWeights where what was written is not the tune when it is read back, and Cancelled.
        """
        request, tune = task.request, task.about
        assert isinstance(request, ExportRequest) and tune is not None and task.tune is not None
        if 0 in task.done:
            return

        stage = Stage(report, is_cancelled)
        # 1. Can it be done here? What an earlier attempt left is of no use.
        base = self.bases.find(tune.base)
        check(base.family, request.format)
        for left in task.folder.iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()

        # 2. The file, written from the tune in its base, with what must be found in it.
        written = self._write(task.folder, request.format, tune, task.tune, base, stage)

        # 3. What diffusers finds in it. The pipeline that it was written from is gone by now.
        stage.next("Reading the file back.")
        self.device.unload()
        read = self._read(written, FORMS[request.format], base, stage)

        # 4. Is it the same?
        stage.next("Comparing.")
        proof.compare(written.evidence, read)
        yield Exported(index=0, file=written.file, sha256=sha256(written.file, lambda _count: stage.stop()))

    def _write(self, folder: Path, format_: str, tune: Tune, file: Path, base: Base, stage: "Stage") -> "Written":
        form = FORMS[format_]
        # 1. Alone on the device.
        stage.next(f"Loading {base.id}.")
        self.device.unload()
        pipeline = loading.from_disk(self.device, base, self.precision)
        try:
            layers = proof.add_in(pipeline, file)
        except FAULTS as error:
            raise BrokenWeights(f"The tune does not fit {base.id}: {error}", field="tune") from error
        check_space(folder, _room(pipeline, form, file), f"The export of {tune.name}")
        source = Source(tune=tune, file=file, base=base, pipeline=self._ready(pipeline, base))

        # 2. What it is, and what it draws.
        stage.next("Drawing with the tune.")
        evidence = Evidence(
            layers={} if form.whole else layers,
            networks=proof.of_networks(pipeline),
            picture=proof.draw(pipeline, base, source.prompt, stage.is_cancelled),
        )

        # 3. The file, and what can be read of it.
        stage.next("Writing the file.")
        path = folder / f"export{SUFFIXES[format_]}"
        _function(form.written_by)(source, path, stage.stop)
        readable = _function(form.read_by)(source, path, stage.stop) if form.read_by else path
        return Written(file=path, readable=readable, prompt=source.prompt, evidence=evidence)

    def _read(self, written: "Written", form: Form, base: Base, stage: "Stage") -> Evidence:
        """Raises BrokenWeights where diffusers cannot read it."""
        layers: proof.Sums = {}
        try:
            if form.whole:
                pipeline = loading.read_back(self.device, base, written.readable, self.precision)
            else:
                pipeline = loading.from_disk(self.device, base, self.precision)
                layers = proof.add_in(pipeline, written.readable)
        except StudioError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever keeps it from being read is the finding
            if is_out_of_memory(error):
                raise
            raise proof.wrong(str(error).strip().partition("\n")[0][:200].rstrip(".")) from error
        pipeline = self._ready(pipeline, base)
        return Evidence(
            layers=layers,
            networks=proof.of_networks(pipeline),
            picture=proof.draw(pipeline, base, written.prompt, stage.is_cancelled),
        )

    def _ready(self, pipeline: Any, base: Base) -> Any:
        return loading.ready(pipeline, self.device, base, self.precision)


@dataclass(frozen=True, kw_only=True)
class Written:
    """An export that was written: what can be read of it, and what must then be found."""

    file: Path
    readable: Path
    prompt: str
    evidence: Evidence


class Stage:
    """How far an export is, and whether it is to stop."""

    STEPS = 5

    def __init__(self, report: Report, is_cancelled: IsCancelled) -> None:
        self.report, self.is_cancelled = report, is_cancelled
        self.step = 0

    def stop(self) -> None:
        """Raises Cancelled."""
        if self.is_cancelled():
            raise Cancelled

    def next(self, message: str) -> None:
        """Raises Cancelled."""
        self.stop()
        self.report(Progress(step=self.step, steps=self.STEPS, message=message))
        self.step += 1


def _room(pipeline: Any, form: Form, file: Path) -> int:
    """How many bytes it takes on the disk until it is proven."""
    if not form.whole:
        return 2 * file.stat().st_size
    networks = [part for part in pipeline.components.values() if isinstance(part, torch.nn.Module)]
    return form.copies * sum(size_of(network.state_dict()) for network in networks)


def _function(place: str) -> Callable[..., Any]:
    module, _, function = place.partition(":")
    return getattr(import_module(f"studio.pipelines.export.{module}"), function)
