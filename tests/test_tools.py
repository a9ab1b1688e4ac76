"""Requests of the tools refuse what breaks a rule, and survive a trip through JSON."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.credits import pricing
from studio.domain import Charge, Refused, Request, request_from_json
from studio.rules import new_id
from studio.tools import (
    BACKGROUND_MODELS,
    FACE_MODELS,
    MOST_UPLOADS,
    UPSCALE_MODELS,
    BackgroundRequest,
    FaceRequest,
    UpscaleRequest,
    about,
    told,
    upload_field,
)

BAD = [
    ("upscale", "uploads", None),
    ("upscale", "uploads", []),
    ("upscale", "uploads", "one"),
    ("upscale", "uploads", {"a": 1}),
    ("upscale", "uploads", [""]),
    ("upscale", "uploads", ["../x"]),
    ("upscale", "uploads", [7]),
    ("upscale", "uploads", ["a"] * (MOST_UPLOADS + 1)),
    ("upscale", "scale", 3),
    ("upscale", "scale", 2.0),
    ("upscale", "scale", "4"),
    ("upscale", "scale", True),
    ("upscale", "scale", None),
    ("upscale", "scale", math.nan),
    ("upscale", "model", "waifu2x"),
    ("upscale", "model", None),
    ("upscale", "seed", 7),
    ("face", "strength", 0),
    ("face", "strength", 1.01),
    ("face", "strength", math.nan),
    ("face", "strength", True),
    ("face", "strength", "0.5"),
    ("face", "model", "u2netp"),
    ("background", "model", "auto"),
    ("background", "matting", 1),
    ("background", "on", "picture"),
    ("background", "on", "#12345"),
    ("background", "on", "#gggggg"),
    ("background", "on", "mauve"),
    ("background", "on", None),
    ("background", "on", 0xFFFFFF),
    ("background", "behind", "../x"),
    ("background", "behind", "a"),
]


@pytest.mark.parametrize(("kind", "field", "value"), BAD)
def test_a_bad_value_is_refused_with_its_field_and_what_that_allows(kind: str, field: str, value: object) -> None:
    with pytest.raises(Refused) as caught:
        request_from_json(kind, {"uploads": ["a"], field: value})
    assert caught.value.field in (field, "behind")
    assert caught.value.allowed
    assert len(caught.value.message) < 300


@pytest.mark.parametrize("body", [None, [], "a", 7, {}])
def test_what_is_no_request_at_all_is_refused(body: object) -> None:
    with pytest.raises(Refused):
        FaceRequest.from_json(body)


ids = st.lists(st.uuids().map(str), min_size=1, max_size=5).map(tuple)
requests = st.one_of(
    st.builds(UpscaleRequest, uploads=ids, scale=st.sampled_from([2, 4]), model=st.sampled_from(UPSCALE_MODELS)),
    st.builds(FaceRequest, uploads=ids, strength=st.floats(0.05, 1), model=st.sampled_from(FACE_MODELS)),
    st.builds(
        BackgroundRequest,
        uploads=ids,
        model=st.sampled_from(BACKGROUND_MODELS),
        matting=st.booleans(),
        on=st.sampled_from(["transparent", "blur", "#0af", "#00AAFF", "white"]),
    ),
    st.builds(BackgroundRequest, uploads=ids, on=st.just("picture"), behind=st.uuids().map(str)),
)


@given(requests)
def test_a_request_comes_back_from_json_as_it_was(made: Request) -> None:
    assert request_from_json(made.kind, made.to_json()) == made


def test_equal_colours_make_equal_requests() -> None:
    one, other = (BackgroundRequest(uploads=("a",), on=colour) for colour in ("#FFF", " White "))
    assert one == other
    assert one.on == "#ffffff"


def test_every_upload_is_an_input_of_its_own_and_so_is_the_picture_behind() -> None:
    first, second, behind = new_id(), new_id(), new_id()
    request = BackgroundRequest(uploads=(first, second), on="picture", behind=behind)
    assert request.pictures == 2
    assert request.inputs() == {upload_field(0): first, upload_field(1): second, "behind": behind}


@pytest.mark.parametrize(
    ("request_", "each"),
    [
        (UpscaleRequest(uploads=("a", "b"), scale=2), 1),
        (UpscaleRequest(uploads=("a", "b"), scale=4), 2),
        (FaceRequest(uploads=("a", "b")), 1),
        (BackgroundRequest(uploads=("a", "b")), 1),
    ],
)
def test_a_tool_costs_playground_credits_for_every_picture(request_: Request, each: int) -> None:
    assert pricing.quote(pricing.shipped(), request_) == (Charge(kind="playground", each=each, count=2),)


def test_what_was_said_of_single_pictures_is_found_again_among_a_jobs_warnings() -> None:
    warnings = (about(0, "No face was found."), "The prompt was cut.", about(11, "Two\nlines."))
    assert told(warnings) == {0: "No face was found.", 11: "Two\nlines."}
