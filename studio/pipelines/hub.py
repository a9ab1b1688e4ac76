"""Gets a base model's folder from the Hugging Face Hub.

Only files the studio loads: configurations, tokenizers and safetensors of one variant; no pickles. Each is checked by
the sum the Hub itself names (sha256 of large files, git's blob sum of small ones).
"""

import hashlib
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePath, PurePosixPath
from typing import Any
from urllib.parse import quote

from studio.domain import WeightsMissing
from studio.pipelines.disk import check_space, writing
from studio.pipelines.download import AGENT, PATIENCE_S, Count, SourceFailed, download, length
from studio.pipelines.hub_cache import HUB, NOTE
from studio.pipelines.weights import BaseModel, HubFile, sha256

TEXTS = (".json", ".txt", ".model", ".jinja")
UNUSED = ("safety_checker", "feature_extractor", "image_encoder")


def hub_file_url(hub: str, file: HubFile) -> str:
    return f"{hub}/{file.repo}/resolve/{quote(file.revision, safe='')}/{quote(file.path)}"


class Hub:
    """A Hub at an address (the public one, or a mirror of it)."""

    def __init__(self, address: str = HUB) -> None:
        self.address = address.rstrip("/")

    def fetch(self, base: BaseModel, models: Path, count: Count, expect: Callable[[int], None]) -> Path:
        """Fetches the base into its folder in `models`, which is there whole or not at all.

        Raises WeightsMissing with what went wrong, and StorageFailed.
        """
        target = models / base.id
        if not base.repo:
            raise WeightsMissing(
                f"{base.id} ships with the studio and cannot be fetched: {target} is missing. "
                "Get the studio again, or make it with: python -m scripts.train_starter",
                field="base",
            )
        try:
            # 1. What there is at this revision, and what of it is needed.
            listing = self._listing(base)
            by_path: dict[str, dict[str, Any]] = {file["rfilename"]: file for file in listing["siblings"]}
            if "model_index.json" not in by_path:
                raise SourceFailed(f"{base.repo} has no model_index.json, so it is no folder that diffusers loads")
            partial = models / f"{base.id}.part"
            index = partial / "model_index.json"
            self._fetch_file(base, listing["sha"], by_path["model_index.json"], index, lambda came: None)
            paths = needed(by_path, components(index), base.variant)
            total = sum(_size(by_path[path]) for path in paths)
            expect(total)

            # 2. Each file under its own name, so that an interrupted fetch goes on file by file.
            there = sum(length(partial / path) + length(_part(partial / path)) for path in paths)
            check_space(models, total - there, base.id)
            for path in sorted(paths):
                self._fetch_file(base, listing["sha"], by_path[path], partial / path, count)
        except SourceFailed as error:
            raise WeightsMissing(
                f"{base.id} could not be fetched: {error}. Or fetch it with another program into the Hugging Face "
                f"cache (hf download {base.repo} --revision {base.revision}); it is found there.",
                field="base",
            ) from error

        # 3. A note of what it is, then its name.
        note = {"repo": base.repo, "revision": listing["sha"], "family": base.family, "licence": base.licence}
        with writing(partial):
            (partial / NOTE).write_text(json.dumps(note, indent=1), encoding="utf-8")
            partial.replace(target)
        return target

    def _listing(self, base: BaseModel) -> dict[str, Any]:
        url = f"{self.address}/api/models/{base.repo}/revision/{quote(base.revision or 'main', safe='')}?blobs=true"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=AGENT), timeout=PATIENCE_S) as answer:
                listing = json.load(answer)
        except urllib.error.HTTPError as error:
            asks = " (its owner wants you to accept a licence there first)" if error.code in (401, 403) else ""
            raise SourceFailed(f"the Hub answered {error.code} {error.reason} for {base.repo}{asks}") from error
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            raise SourceFailed(f"the Hub cannot be reached ({getattr(error, 'reason', error)})") from error
        except ValueError as error:
            raise SourceFailed(f"what the Hub says of {base.repo} is not JSON") from error
        return listing

    def _fetch_file(self, base: BaseModel, commit: str, file: Mapping[str, Any], path: Path, count: Count) -> None:
        size = _size(file)
        if length(path) == size and _intact(path, file):
            count(size)
            return
        part = _part(path)
        with writing(part):
            part.parent.mkdir(parents=True, exist_ok=True)
        count(length(part))
        wanted = HubFile(repo=base.repo, revision=commit, path=file["rfilename"])
        download(hub_file_url(self.address, wanted), part, size=size, count=count)
        if not _intact(part, file):
            part.unlink()
            raise SourceFailed(f"{file['rfilename']} came damaged (its checksum differs)")
        with writing(part):
            part.replace(path)


def _part(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def _size(file: Mapping[str, Any]) -> int:
    return int(file["lfs"]["size"] if file.get("lfs") else file["size"])


def _intact(path: Path, file: Mapping[str, Any]) -> bool:
    """Whether the file has the sum the Hub names: sha256 of a large file, else git's sha1 of a blob."""
    if file.get("lfs"):
        return sha256(path) == file["lfs"]["sha256"]
    body = path.read_bytes()
    return hashlib.sha1(b"blob %d\x00" % len(body) + body).hexdigest() == file["blobId"]


def components(index: Path) -> frozenset[str]:
    """The parts of a diffusers folder that the studio loads, by its model_index.json. Raises SourceFailed."""
    try:
        body = json.loads(index.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SourceFailed(f"{index} is not JSON") from error
    return frozenset(
        name for name, made_by in body.items() if isinstance(made_by, list) and any(made_by) and name not in UNUSED
    )


def needed(paths: Iterable[str], parts: frozenset[str], variant: str = "") -> frozenset[str]:
    """Which files of a repository are fetched: of each part its texts and one set of safetensors."""
    chosen = {"model_index.json"}
    for name in parts:
        files = [path for path in map(PurePosixPath, paths) if path.parts[:-1] == (name,)]
        tensors = [path for path in files if ".safetensors" in path.name]  # with the index of those in shards
        chosen |= {str(path) for path in files if path.suffix in TEXTS and path not in tensors}
        of_variant = [path for path in tensors if variant and variant_of(path) == variant]
        plain = [path for path in tensors if not variant_of(path)]
        chosen |= {str(path) for path in of_variant or plain}
    return frozenset(chosen)


def variant_of(path: PurePath) -> str:
    """`fp16` of `model.fp16.safetensors` and `model.safetensors.index.fp16.json`; shard numbers are no variant."""
    words = path.name.replace(".index", "").replace(".json", "").removesuffix(".safetensors").split(".")
    words = [word for word in words[1:] if word != "safetensors"]
    return words[0].split("-")[0] if words else ""
