"""Settings come from the environment, then the file, then the defaults; what is wrong is named."""

from pathlib import Path

import pytest

from studio.domain import Refused
from studio.settings import Settings


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(tmp_path: Path) -> None:
    (tmp_path / "studio.toml").write_text('port = 8000\nhost = "0.0.0.0"\n')
    settings = Settings.read({"STUDIO_DATA": str(tmp_path), "STUDIO_PORT": "9000"})
    assert (settings.port, settings.host, settings.device) == (9000, "0.0.0.0", "auto")
    assert settings.data == tmp_path


def test_each_kind_of_value_is_read_from_the_environment(tmp_path: Path) -> None:
    env = {"STUDIO_DATA": str(tmp_path), "STUDIO_MCP": "yes", "STUDIO_MEMORY_GB": "3.5", "STUDIO_MODELS": "~/weights"}
    settings = Settings.read(env)
    assert (settings.mcp, settings.memory_gb) == (True, 3.5)
    assert settings.models == Path.home() / "weights"


def test_what_ships_is_found_besides_the_chosen_models_folder(tmp_path: Path) -> None:
    settings = Settings.read({"STUDIO_DATA": str(tmp_path), "STUDIO_MODELS": str(tmp_path)})
    assert settings.model_folders[0] == tmp_path
    assert settings.model_folders[1].name == "models"


def test_a_folder_in_the_file_is_meant_from_where_the_file_lies(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('data = "here"\n')
    assert Settings.read({}, file).data == tmp_path / "here"


def test_a_home_folder_is_understood_wherever_a_folder_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "studio.toml").write_text('port = 8000\nmodels = "~/weights"\n')
    settings = Settings.read({"STUDIO_DATA": "~"})
    assert (settings.data, settings.port, settings.models) == (tmp_path, 8000, tmp_path / "weights")


def test_without_a_home_folder_the_variable_to_set_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studio.settings.expanded", lambda words: Path(words))
    with pytest.raises(Refused, match="STUDIO_DATA"):
        Settings.read({})


def test_the_default_data_folder_is_neither_the_working_nor_the_temp_folder() -> None:
    data = Settings.read({}).data
    assert data.is_absolute()
    assert not data.is_relative_to(Path.cwd())


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("STUDIO_PORT", "65536"),
        ("STUDIO_PORT", "http"),
        ("STUDIO_DEVICE", "gpu"),
        ("STUDIO_PRECISION", "int4"),
        ("STUDIO_MEMORY_GB", "nan"),
        ("STUDIO_MCP", "perhaps"),
        ("STUDIO_UPLOAD_MB", "2.5"),
    ],
)
def test_a_bad_variable_is_refused_by_name(tmp_path: Path, variable: str, value: str) -> None:
    with pytest.raises(Refused) as caught:
        Settings.read({"STUDIO_DATA": str(tmp_path), variable: value})
    assert (caught.value.field or "").upper() in variable
    assert caught.value.allowed


@pytest.mark.parametrize("text", ["prot = 8000", "port = ", 'port = "8000"', "port = true", "mcp = 1", "host = 7"])
def test_a_bad_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "studio.toml").write_text(text)
    with pytest.raises(Refused):
        Settings.read({"STUDIO_DATA": str(tmp_path)})


def test_a_file_that_was_named_but_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="No such file"):
        Settings.read({}, tmp_path / "none.toml")
