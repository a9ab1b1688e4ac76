"""The catalogue, and finding what is on this machine."""

import hashlib
from pathlib import Path

import pytest

from studio.domain import BrokenWeights, Refused, WeightsMissing
from studio.pipelines.weights import Address, BaseModel, Catalogue, Member, Part, Weight, find, present


def small(body: bytes, *, file: str = "tools/small.onnx", url: str = "http://127.0.0.1:9/small") -> Weight:
    """A weight of that content."""
    sum_ = hashlib.sha256(body).hexdigest()
    return Weight(
        id="small",
        file=file,
        purpose="For the tests.",
        licence="CC0-1.0",
        paid_work=True,
        sha256=sum_,
        bytes=len(body),
        parts=(Part(name=Path(file).name, sha256=sum_, bytes=len(body), sources=(Address(url=url),)),),
    )


def test_every_file_of_the_catalogue_has_a_sum_a_length_and_a_source() -> None:
    for weight in Catalogue.read().weights:
        for file in (weight, *weight.parts):
            assert len(bytes.fromhex(file.sha256)) == 32, weight.id
            assert file.bytes > 0, weight.id
        assert all(part.sources for part in weight.parts), weight.id


def test_every_entry_says_what_it_is_for_and_what_its_licence_allows() -> None:
    catalogue = Catalogue.read()
    for entry in (*catalogue.weights, *catalogue.bases):
        assert entry.purpose.endswith("."), entry.id
        assert entry.licence and type(entry.paid_work) is bool, entry.id


def test_every_base_from_the_hub_is_pinned_to_a_commit() -> None:
    for base in Catalogue.read().bases:
        assert base.id == "starter" or len(bytes.fromhex(base.revision)) == 20, base.id


def test_no_two_entries_share_an_id_or_a_file() -> None:
    catalogue = Catalogue.read()
    ids = [entry.id for entry in (*catalogue.weights, *catalogue.bases)]
    files = [weight.file for weight in catalogue.weights]
    assert len(ids) == len(set(ids)) and len(files) == len(set(files))


def test_the_default_set_comes_wholly_from_the_package_index() -> None:
    chosen = Catalogue.read().default_set
    assert {weight.id for weight in chosen} == {
        "u2netp",
        "realesrgan-x4plus",
        "realesrgan-x4plus-anime",
        "realesr-animevideov3",
        "dlib-face",
        "dlib-landmarks5",
    }
    assert all(isinstance(part.sources[0], Member) for weight in chosen for part in weight.parts)


def test_an_unknown_id_is_refused_naming_the_known_ones() -> None:
    with pytest.raises(Refused) as refused:
        Catalogue.read()["u2nett"]
    assert "u2netp" in str(refused.value.allowed)


def test_a_base_is_no_single_file() -> None:
    catalogue = Catalogue.read()
    assert isinstance(catalogue["sdxl"], BaseModel)
    with pytest.raises(Refused):
        catalogue.weight("sdxl")


def test_a_missing_weight_is_one_sentence_with_the_command_that_gets_it(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing) as missing:
        find(small(b"numbers"), [tmp_path])
    assert "models fetch small" in missing.value.message and "\n" not in missing.value.message


def test_a_weight_is_found_in_the_second_folder_too(tmp_path: Path) -> None:
    weight = small(b"numbers")
    (tmp_path / "shipped" / "tools").mkdir(parents=True)
    (tmp_path / "shipped" / weight.file).write_bytes(b"numbers")
    assert find(weight, [tmp_path / "own", tmp_path / "shipped"]) == tmp_path / "shipped" / weight.file


@pytest.mark.parametrize("body", [b"number5", b"numbers and more", b""])
def test_a_file_that_is_not_what_it_should_be_is_named(tmp_path: Path, body: bytes) -> None:
    weight = small(b"numbers", file="small.onnx")
    (tmp_path / "small.onnx").write_bytes(body)
    with pytest.raises(BrokenWeights) as broken:
        find(weight, [tmp_path])
    assert str(tmp_path / "small.onnx") in broken.value.message and "models fetch small" in broken.value.message


def test_a_listing_reads_no_file(tmp_path: Path) -> None:
    weight = small(b"numbers", file="small.onnx")
    (tmp_path / "small.onnx").write_bytes(b"number5")  # of the right length
    assert present(weight, [tmp_path]) == tmp_path / "small.onnx"
