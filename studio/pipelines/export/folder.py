"""A whole model with a tune in it as a diffusers folder, in one tar file."""

import json
import os
import re
import shutil
import tarfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError, safe_open

from studio.pipelines.export import about, proof
from studio.pipelines.export.about import Source
from studio.pipelines.export.names import clip_name
from studio.pipelines.export.tensors import Tick, save_safetensors
from studio.rules import canonical

WHOLE = "500GB"  # each network as one file
WORDS = "vocab.json", "merges.txt"


def write_tar(source: Source, path: Path, tick: Tick) -> None:
    """Raises OSError. The folder itself lies beside the file while it is packed."""
    folder = path.with_name(f"{path.name}-folder")
    try:
        # 1. As diffusers saves it.
        with _told():
            source.pipeline.save_pretrained(folder, safe_serialization=True, max_shard_size=WHOLE)
        tick()

        # 2. What versions of its libraries before the newest expect, and what it is.
        for words in folder.glob("text_encoder*/*.safetensors"):
            _old_names(words, tick)
        for tokenizer in folder.glob("tokenizer*/tokenizer.json"):
            _words_apart(tokenizer)
        (folder / "README.md").write_text(about.read_me(source), encoding="utf-8")
        (folder / "likeness.json").write_text(canonical(source.recipe()), encoding="utf-8")

        # 3. One file, the same each time.
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
            for file in sorted(folder.rglob("*")):
                if file.is_file():
                    tar.add(file, file.relative_to(folder).as_posix(), filter=_anonymous)
                    tick()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def unpacked(source: Source, path: Path, tick: Tick) -> Path:
    """The folder again. Raises BrokenWeights and OSError."""
    folder = path.with_name("unpacked")
    try:
        with tarfile.open(path) as tar:
            tar.extractall(folder, filter="data")
    except tarfile.TarError as error:
        raise proof.wrong(str(error)) from error
    tick()
    return folder


def _old_names(file: Path, tick: Tick) -> None:
    """Gives a text encoder's tensors back the `text_model.` that transformers leaves out since 5.6."""
    with safe_open(file, "pt") as opened:
        tensors = {clip_name(name): opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - it is no dict
    part = file.with_name(f"{file.name}.part")
    save_safetensors(part, tensors, {}, tick)
    part.replace(file)


def _words_apart(tokenizer: Path) -> None:
    """The words as the two files that transformers before 5 reads."""
    model = json.loads(tokenizer.read_text(encoding="utf-8")).get("model", {})
    if model.get("type") != "BPE":
        return
    vocabulary, merges = (tokenizer.with_name(name) for name in WORDS)
    vocabulary.write_text(json.dumps(model["vocab"], ensure_ascii=False), encoding="utf-8")
    pairs = (merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"])
    merges.write_text("\n".join(["#version: 0.2", *pairs]) + "\n", encoding="utf-8")


@contextmanager
def _told() -> Generator[None]:
    """Turns what safetensors says of a full disk into what the system says."""
    try:
        yield
    except SafetensorError as error:
        if found := re.search(r"os error (\d+)|code: (\d+)", str(error)):
            number = int(found[1] or found[2])
            raise OSError(number, os.strerror(number)) from error
        raise


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without whose machine it was and when."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime, entry.mode = 0, 0o644
    return entry
