"""The doctor finds what is wrong and says what to do; the machine's own findings are tested with the real process."""

import dataclasses
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
import torch

from studio import doctor
from studio.domain import OWNER
from studio.pipelines.attention import probe
from studio.pipelines.weights import Catalogue
from studio.service import Studio
from studio.settings import Settings
from studio.storage.database import Database
from studio.storage.health import has_wal_reset_race
from tests.test_service import a_base


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    a_base(tmp_path / "models")
    settings = Settings(data=tmp_path / "data", models=tmp_path / "models")
    Studio.open(settings, {}).close()
    return settings


def found(settings: Settings) -> dict[str, doctor.Finding]:
    """The findings up to the weights; those of the device would load PyTorch each time."""
    findings: dict[str, doctor.Finding] = {}
    for finding in doctor.examine(settings, {"HF_HUB_CACHE": str(settings.data / "cache")}):
        findings[finding.name] = finding
        if finding.name == "weights":
            break
    return findings


def test_a_sound_machine_has_nothing_failed(settings: Settings) -> None:
    assert [finding for finding in found(settings).values() if finding.state == "failed"] == []


def test_on_a_fresh_machine_nothing_is_made_by_looking(tmp_path: Path) -> None:
    findings = found(Settings(data=tmp_path / "data", models=tmp_path / "models"))
    assert findings["data"].state == "well"
    assert "database" not in findings
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_database_is_found(settings: Settings) -> None:
    file = settings.data / "studio.db"
    body = bytearray(file.read_bytes())
    body[4096 * 3 : 4096 * 6] = b"\xff" * (4096 * 3)
    file.write_bytes(body)
    finding = found(settings)["database"]
    assert finding.state == "failed"
    assert "backup" in finding.said


def test_an_account_book_that_does_not_agree_is_found(settings: Settings) -> None:
    database = Database(settings.data / "studio.db")
    with database.write() as tx:
        tx.execute("UPDATE balance SET posted = 7 WHERE account = ? AND kind = 'tune'", (OWNER,))
    database.close()
    finding = found(settings)["credits"]
    assert finding.state == "failed"
    assert "owner tune has 7, should have 0" in finding.said


@pytest.mark.usefixtures("nothing_shipped")
def test_missing_weights_are_a_warning_and_damaged_ones_a_failure(settings: Settings) -> None:
    weights = found(settings)["weights"]
    assert weights.state == "warning"
    assert "u2netp" in weights.said
    assert "models fetch" in weights.said
    u2netp = Catalogue.read().weight("u2netp")
    file = settings.models / u2netp.file
    file.parent.mkdir()
    file.write_bytes(b"\0" * u2netp.bytes)
    damaged = found(settings)["u2netp"]
    assert damaged.state == "failed"
    assert "models fetch u2netp" in damaged.said


def test_a_file_of_styles_that_is_left_out_is_a_warning(settings: Settings) -> None:
    assert found(settings)["styles"].state == "well"
    (settings.data / "styles").mkdir()
    (settings.data / "styles" / "mine.toml").write_text('[category]\nid = "mine"\n')
    styles = found(settings)["styles"]
    assert styles.state == "warning"
    assert "mine.toml, line 1" in styles.said


def test_without_any_base_nothing_can_be_drawn(settings: Settings, tmp_path: Path) -> None:
    bare = dataclasses.replace(settings, models=tmp_path / "nothing")
    if (bare.model_folders[-1] / "starter" / "model_index.json").exists():
        pytest.skip("the starter model ships with the studio")
    assert found(bare)["bases"].state == "failed"


def test_a_disk_that_fills_up_is_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    for free, state in ((50_000_000, "failed"), (1_000_000_000, "warning"), (9_000_000_000, "well")):
        monkeypatch.setattr(shutil, "disk_usage", lambda path, free=free: usage(10**12, 0, free))
        finding = found(settings)["data"]
        assert finding.state == state
        assert ("Free some space" in finding.said) == (state != "well")


@pytest.mark.parametrize(
    ("version", "race"),
    [
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 9), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 53, 0), False),
    ],
)
def test_which_sqlite_may_damage_a_file_is_known(version: tuple[int, int, int], race: bool) -> None:
    assert has_wal_reset_race(version) == race


def test_attention_is_tried_by_computing_it() -> None:
    answers = probe(torch.device("cpu"))
    assert {"sdpa", "xformers"} <= answers.keys()
    assert answers["sdpa"] == ""
    assert answers["_native_cudnn"], "cuDNN needs a CUDA card"
    assert all("\n" not in reason for reason in answers.values())
