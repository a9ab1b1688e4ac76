"""What may be asked of a training."""

from typing import Any

import pytest

from studio.domain import Refused, TuneRequest
from studio.tunes import CONSENT, MOST_PHOTOS, subject_of


def asked(**fields: Any) -> dict[str, Any]:
    """A request's JSON, as small as it may be."""
    photos = [f"photo-{index}" for index in range(10)]
    return {"name": "Ada", "class_name": "woman", "photos": photos, "consent": CONSENT} | fields


def test_a_request_is_the_same_after_its_json() -> None:
    crops = [None] * 9 + [[1, 2, 30, 40]]
    request = TuneRequest.from_json(asked(crops=crops, styles=["toon", "comic"], caption=" in the snow "))
    assert TuneRequest.from_json(request.to_json()) == request
    assert request.caption == "in the snow" and request.crops[9] == (1, 2, 30, 40)
    assert list(request.inputs()) == [f"photo {number}" for number in range(1, 11)]


def test_a_seed_is_drawn_once() -> None:
    request = TuneRequest.from_json(asked())
    assert request.resolve(lambda: 5).seed == 5
    assert request.resolve(lambda: 5).resolve(lambda: 6).seed == 5


def test_the_sitter_is_named_by_the_token_and_the_class() -> None:
    assert subject_of("woman") == "sks woman"


@pytest.mark.parametrize("missing", ["name", "class_name", "photos", "consent"])
def test_nothing_needed_may_be_left_out_consent_least_of_all(missing: str) -> None:
    body = asked()
    del body[missing]
    with pytest.raises(Refused, match=f"{missing} is missing") as refused:
        TuneRequest.from_json(body)
    assert refused.value.field == missing and refused.value.allowed


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", " "),
        ("name", "x" * 81),
        ("name", 7),
        ("class_name", "horse"),
        ("photos", []),
        ("photos", ["a", "b", "c"]),
        ("photos", [f"p{index}" for index in range(MOST_PHOTOS + 1)]),
        ("photos", ["a", "b", "c", "a"]),
        ("photos", ["a", "b", "c", "../d"]),
        ("photos", "abcd"),
        ("consent", ""),
        ("consent", True),
        ("consent", "yes"),
        ("crops", [[0, 0, 1, 1]]),
        ("crops", [[0, 0, 1]] * 10),
        ("crops", [[5, 0, 5, 9]] * 10),
        ("crops", [[0, 0, 1.5, 1]] * 10),
        ("crops", [[-1, 0, 1, 1]] * 10),
        ("caption", "a\x00b"),
        ("base", "../starter"),
        ("steps", 9),
        ("steps", 50.0),
        ("steps", "50"),
        ("steps", True),
        ("rank", 0),
        ("rank", 129),
        ("text_encoder", 1),
        ("prior", "yes"),
        ("mirrored", None),
        ("seed", -1),
        ("seed", 2**32),
        ("styles", ["a"] * 2),
        ("styles", [f"s{index}" for index in range(9)]),
        ("styles", "toon"),
        ("policy", "keep-all"),
    ],
)
def test_what_is_refused_names_its_field_and_what_is_allowed(field: str, value: object) -> None:
    with pytest.raises(Refused) as refused:
        TuneRequest.from_json(asked(**{field: value}))
    assert refused.value.field == field and refused.value.allowed


def test_a_field_that_there_is_not_is_refused() -> None:
    with pytest.raises(Refused, match="no field 'photo'"):
        TuneRequest.from_json(asked(photo="x"))
