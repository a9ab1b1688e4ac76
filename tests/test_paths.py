"""What a person names as a file or folder is tried before it is used, and told in one sentence where it is no good."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.errors import NotFound, Refused, StorageFailed
from studio.paths import expanded, named, to_read


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Path]:
    """A folder that may not be entered; who runs the tests as root is nobody for as long."""
    folder = tmp_path / "closed"
    folder.mkdir()
    (folder / "file").write_text("x")
    folder.chmod(0)
    if os.name != "nt" and os.geteuid() == 0:
        os.seteuid(65534)
    yield folder
    if os.name != "nt" and os.getuid() == 0:
        os.seteuid(0)
    folder.chmod(0o700)


def test_what_is_there_and_what_is_not_yet_are_named_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("x")
    assert named("out", "folder/new") == tmp_path / "folder" / "new"
    assert named("out", "file/below") == tmp_path / "file" / "below"
    assert named("out", "~/pictures") == Path.home() / "pictures"
    assert to_read("init", "file", allowed="a picture") == tmp_path / "file"


@pytest.mark.parametrize("words", ["", "  ", "~nobody-of-that-name/x"])
def test_words_that_name_nothing_are_refused(words: str) -> None:
    with pytest.raises(Refused) as caught:
        named("out", words)
    assert (caught.value.field, caught.value.message[:3]) == ("out", "out")


def test_what_the_system_will_not_have_is_one_short_sentence(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for words in (str(tmp_path / "loop"), "x" * 5000, "nul\0inside"):
        with pytest.raises(StorageFailed) as caught:
            named("data", words)
        assert caught.value.field == "data"
        assert caught.value.message.startswith("data: ") and len(caught.value.message) < 220


@pytest.mark.skipif(os.name == "nt", reason="Windows has other rights")
def test_a_folder_that_may_not_be_entered_is_told_with_its_reason(closed: Path) -> None:
    for path in (closed, closed / "file", closed / "new"):
        with pytest.raises(StorageFailed, match="Permission denied"):
            named("data", path)


def test_a_file_to_read_must_be_one(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(NotFound, match="init: there is no file"):
            to_read("init", path, allowed="a picture")


def test_a_home_that_nobody_has_is_left_as_it_is_written() -> None:
    assert expanded("~/.cache") == Path.home() / ".cache"
    assert expanded("~nobody-of-that-name/x") == Path("~nobody-of-that-name/x")
