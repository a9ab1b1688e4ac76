"""Which bases there are: what lies in a models folder and is no good hides none of the others."""

import struct
from pathlib import Path

import pytest

from studio.domain import BrokenWeights
from studio.pipelines.bases import Bases
from studio.pipelines.weights import Catalogue


def test_a_file_that_was_cut_short_hides_no_other_base_and_is_told_when_asked_for(tmp_path: Path) -> None:
    own = tmp_path / "bases"
    own.mkdir()
    header = b'{"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}'
    (own / "cut.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    (own / "text.safetensors").write_text("no model at all")
    (own / "loop.safetensors").symlink_to("loop.safetensors")
    bases = Bases((tmp_path,), tmp_path / "cache", Catalogue.read())
    offered = {offer.id for offer in bases.offers()}
    assert "sdxl" in offered
    assert not offered & {"cut", "text", "loop"}
    with pytest.raises(BrokenWeights, match="cut short"):
        bases.find("cut")
