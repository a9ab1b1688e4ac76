"""Bases: fetched from a Hub into their own folder, or found in the cache that other programs fill."""

import hashlib
import json
from pathlib import Path

import pytest

from studio.domain import WeightsMissing
from studio.pipelines.fetching import Fetched, fetch
from studio.pipelines.hub import needed
from studio.pipelines.hub_cache import base_folder, cache_folder, in_cache
from studio.pipelines.weights import BaseModel
from tests.pipelines.web import Web

COMMIT = "ab" * 20
BASE = BaseModel(
    id="toy",
    family="sd",
    purpose="For the tests.",
    licence="CC0-1.0",
    paid_work=True,
    repo="someone/toy",
    revision=COMMIT,
    variant="fp16",
)
INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "unet": ["diffusers", "UNet2DConditionModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
    "image_encoder": [None, None],
}
FILES = {
    "model_index.json": json.dumps(INDEX).encode(),
    "unet/config.json": b"{}",
    "unet/model.safetensors": b"all the digits" * 1000,
    "unet/model.fp16.safetensors": b"half the digits" * 1000,
    "unet/model.fp16.bin": b"a pickle",
    "tokenizer/vocab.json": b'{"a": 0}',
    "safety_checker/model.safetensors": b"not needed",
    "README.md": b"not needed",
    "v1.ckpt": b"a pickle",
}
WANTED = {"model_index.json", "unet/config.json", "unet/model.fp16.safetensors", "tokenizer/vocab.json"}


@pytest.fixture
def hub(web: Web) -> Web:
    """A Hub with one repository, that names sums as the real one does."""
    siblings: list[dict[str, object]] = []
    for path, body in FILES.items():
        entry: dict[str, object] = {"rfilename": path, "size": len(body)}
        entry["blobId"] = hashlib.sha1(b"blob %d\x00" % len(body) + body).hexdigest()
        if path.endswith(".safetensors"):
            entry["lfs"] = {"sha256": hashlib.sha256(body).hexdigest(), "size": len(body)}
        siblings.append(entry)
        web.files[f"someone/toy/resolve/{COMMIT}/{path}"] = body
    listing = {"sha": COMMIT, "siblings": siblings}
    web.files[f"api/models/someone/toy/revision/{COMMIT}?blobs=true"] = json.dumps(listing).encode()
    return web


def got(web: Web, models: Path, base: BaseModel = BASE) -> Fetched:
    (answer,) = fetch([base], models, hub=web.address)
    return answer


def test_a_base_is_fetched_without_pickles_and_without_what_is_not_loaded(hub: Web, tmp_path: Path) -> None:
    answer = got(hub, tmp_path)
    assert answer.error is None and answer.path == tmp_path / "toy"
    there = {str(path.relative_to(tmp_path / "toy")) for path in (tmp_path / "toy").rglob("*") if path.is_file()}
    assert there == WANTED | {"likeness.json"}


def test_a_fetched_base_keeps_its_revision_and_licence(hub: Web, tmp_path: Path) -> None:
    got(hub, tmp_path)
    note = json.loads((tmp_path / "toy/likeness.json").read_text())
    assert note == {"repo": "someone/toy", "revision": COMMIT, "family": "sd", "licence": "CC0-1.0"}


def test_without_its_variant_the_plain_files_are_fetched(hub: Web, tmp_path: Path) -> None:
    got(hub, tmp_path, BaseModel(**{**BASE.__dict__, "variant": ""}))
    assert (tmp_path / "toy/unet/model.safetensors").is_file()
    assert not (tmp_path / "toy/unet/model.fp16.safetensors").exists()


@pytest.mark.parametrize("path", ["unet/model.fp16.safetensors", "tokenizer/vocab.json"])
def test_a_damaged_file_leaves_no_base(hub: Web, tmp_path: Path, path: str) -> None:
    address = f"someone/toy/resolve/{COMMIT}/{path}"
    hub.files[address] = hub.files[address][:-1] + b"?"
    answer = got(hub, tmp_path)
    assert isinstance(answer.error, WeightsMissing) and f"{path} came damaged" in answer.error.message
    assert not (tmp_path / "toy").exists()


def test_a_base_whose_fetch_was_cut_goes_on_file_by_file(hub: Web, tmp_path: Path) -> None:
    tensors = f"someone/toy/resolve/{COMMIT}/unet/model.fp16.safetensors"
    hub.status[tensors] = 403
    assert got(hub, tmp_path).error is not None
    hub.status.clear()
    asked = len(hub.asked)
    assert got(hub, tmp_path).error is None
    assert [path for path, _ in hub.asked[asked:]] == [f"api/models/someone/toy/revision/{COMMIT}?blobs=true", tensors]


def test_a_gated_base_says_what_to_do(hub: Web, tmp_path: Path) -> None:
    hub.status[f"api/models/someone/toy/revision/{COMMIT}?blobs=true"] = 401
    error = got(hub, tmp_path).error
    assert error is not None and "accept a licence" in error.message and "hf download someone/toy" in error.message


def test_without_a_network_a_base_is_one_sentence(tmp_path: Path) -> None:
    (answer,) = fetch([BASE], tmp_path, hub="http://127.0.0.1:9")
    assert isinstance(answer.error, WeightsMissing) and "cannot be reached" in answer.error.message


def test_a_base_in_the_cache_of_another_program_is_not_fetched(tmp_path: Path) -> None:
    snapshot = tmp_path / "hub/models--someone--toy/snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "model_index.json").write_text("{}")
    (answer,) = fetch([BASE], tmp_path / "models", cache=tmp_path / "hub", hub="http://127.0.0.1:9")
    assert answer.was_there and answer.path == snapshot
    assert base_folder(BASE, [], tmp_path / "hub") == snapshot


def test_another_revision_in_the_cache_is_not_taken_for_it(tmp_path: Path) -> None:
    place = tmp_path / "models--someone--toy"
    (place / "snapshots" / "cd").mkdir(parents=True)
    (place / "snapshots" / "cd" / "model_index.json").write_text("{}")
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("cd")
    assert in_cache(tmp_path, "someone/toy", COMMIT) is None
    assert in_cache(tmp_path, "someone/toy") == place / "snapshots" / "cd"


def test_tensors_in_shards_are_needed_with_their_index() -> None:
    shards = {
        "transformer/config.json",
        "transformer/model.safetensors.index.json",
        "transformer/model-00001-of-00002.safetensors",
        "transformer/model-00002-of-00002.safetensors",
    }
    halves = {
        "transformer/model.safetensors.index.fp16.json",
        "transformer/model.fp16-00001-of-00001.safetensors",
    }
    assert needed(shards | halves, frozenset({"transformer"})) - {"model_index.json"} == shards
    assert needed(shards | halves, frozenset({"transformer"}), "fp16") == halves | {
        "model_index.json",
        "transformer/config.json",
    }


def test_the_cache_is_where_the_hugging_face_variables_say(tmp_path: Path) -> None:
    assert cache_folder({"HF_HUB_CACHE": "/a", "HF_HOME": "/b"}) == Path("/a")
    assert cache_folder({"HF_HOME": "/b"}) == Path("/b/hub")
    assert cache_folder({"XDG_CACHE_HOME": "/c"}) == Path("/c/huggingface/hub")
