"""Requests refuse what breaks a rule, each time with the field and what it allows, and survive a trip through JSON."""

import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.domain import ImageRequest, Refused, Size, request_from_json
from studio.rules import job_id, new_id
from tests.fakes import request

BAD = [
    ("prompt", ""),
    ("prompt", "  \n "),
    ("prompt", "a\x00b"),
    ("prompt", "a\x1b[31m"),
    ("prompt", "\ud800"),
    ("prompt", "a" * 10_000),
    ("prompt", None),
    ("prompt", 7),
    ("negative", "a\x07"),
    ("steps", 0),
    ("steps", -1),
    ("steps", 151),
    ("steps", 2**63),
    ("steps", 50.7),
    ("steps", 50.0),
    ("steps", "50"),
    ("steps", True),
    ("steps", None),
    ("steps", math.nan),
    ("steps", math.inf),
    ("width", 513),
    ("width", 64),
    ("width", 1088),
    ("width", 512.0),
    ("width", "512"),
    ("height", 0),
    ("height", True),
    ("height", math.nan),
    ("count", 0),
    ("count", 9),
    ("count", True),
    ("count", 1.5),
    ("seed", -1),
    ("seed", 2**32),
    ("seed", 2**63),
    ("seed", "7"),
    ("seed", 7.0),
    ("guidance", math.nan),
    ("guidance", -math.inf),
    ("guidance", math.inf),
    ("guidance", True),
    ("guidance", "7"),
    ("guidance", 31),
    ("strength", 0),
    ("strength", 1.01),
    ("super_resolution", 1),
    ("super_resolution", "yes"),
    ("tune_strength", math.nan),
    ("base", ""),
    ("base", "../../etc/passwd"),
    ("base", "/etc/passwd"),
    ("base", "http://host/x"),
    ("base", None),
    ("style", "a b"),
    ("scheduler", 3),
    ("init", "../x"),
    ("mask", "upload"),
]


@pytest.mark.parametrize(("field", "value"), BAD)
def test_a_bad_value_is_refused_with_its_field_and_what_that_allows(field: str, value: object) -> None:
    with pytest.raises(Refused) as caught:
        ImageRequest.from_json({"prompt": "a cat", field: value})
    assert caught.value.field == field
    assert caught.value.allowed
    assert field in caught.value.message
    assert len(caught.value.message) < 200


def test_an_unknown_field_is_refused_with_the_known_ones() -> None:
    with pytest.raises(Refused) as caught:
        ImageRequest.from_json({"prompt": "a cat", "sampler": "ddim"})
    assert caught.value.field == "sampler"
    assert "scheduler" in (caught.value.allowed or "")


@pytest.mark.parametrize("body", [None, [], "a cat", 7, {}])
def test_what_is_no_request_at_all_is_refused(body: object) -> None:
    with pytest.raises(Refused):
        ImageRequest.from_json(body)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        request_from_json("video", {"prompt": "a cat"})
    assert caught.value.allowed == "image, upscale, face, background, tune, export, import"


requests = st.builds(
    ImageRequest,
    prompt=st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=50).filter(str.strip),
    width=st.integers(2, 16).map(lambda n: n * 64),
    height=st.integers(2, 16).map(lambda n: n * 64),
    steps=st.integers(1, 150),
    guidance=st.none() | st.floats(0, 30) | st.integers(0, 30),
    seed=st.none() | st.integers(0, 2**32 - 1),
    count=st.integers(1, 8),
    super_resolution=st.booleans(),
)


@given(requests)
def test_a_request_comes_back_from_json_as_it_was(made: ImageRequest) -> None:
    assert request_from_json("image", made.to_json()) == made


def test_windows_line_ends_count_as_line_ends() -> None:
    assert request(prompt="a\r\nb").prompt == "a\nb"


def test_each_picture_has_its_own_seed_and_the_last_one_wraps_around() -> None:
    assert request(seed=2**32 - 2, count=3).seeds == (2**32 - 2, 2**32 - 1, 0)


def test_a_picture_alone_has_the_seed_it_had_in_the_batch() -> None:
    batch = request(seed=7, count=8)
    assert request(seed=batch.seeds[5], count=1).seeds == (batch.seeds[5],)


def test_resolve_draws_a_seed_only_where_none_was_given() -> None:
    assert request(seed=None).resolve(lambda: 11).seed == 11
    assert request(seed=0).resolve(lambda: 11).seed == 0


def test_a_mask_without_a_picture_to_start_from_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        request(mask=new_id())
    assert caught.value.field == "mask"


@pytest.mark.parametrize("words", ["512x768", "512 X 768", " 512×768 ", "512*768"])
def test_a_size_can_be_written_as_people_write_it(words: str) -> None:
    assert Size.parse(words) == Size(width=512, height=768)


@pytest.mark.parametrize("words", ["", "512", "x512", "-512x512", "512x512x512", "٥١٢x512", "1e3x512", "9999999x512"])
def test_a_size_that_is_none_is_refused(words: str) -> None:
    with pytest.raises(Refused) as caught:
        Size.parse(words)
    assert caught.value.field == "size"


@pytest.mark.parametrize("value", ["", "7", None, 7, "g" * 32, "'; DROP TABLE job; --"])
def test_a_job_id_that_is_no_uuid_is_refused(value: object) -> None:
    with pytest.raises(Refused) as caught:
        job_id(value)
    assert caught.value.field == "id"


def test_a_job_id_has_one_form() -> None:
    made = new_id()
    assert job_id(made.upper()) == job_id(made.replace("-", "")) == made


def test_the_domain_settings_and_prices_load_nothing_but_the_standard_library() -> None:
    loaded = "import studio.domain, studio.settings, studio.credits.pricing, sys; print(*sys.modules)"
    names = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True).stdout.split()
    outside = {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"__main__", "studio"}
    # What site-packages' own start-up hooks load (editable installs and the like) is there without us too.
    before = subprocess.run(
        [sys.executable, "-c", "import sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert outside - {name.split(".")[0] for name in before} == set()
    assert "sqlite3" not in names
