"""start.py: it finds a Python that fits, installs once, mends what broke, and says what to do when it cannot."""

import ast
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import launch
from launch import pip, pythons, ready, venv
from launch.fault import Fault

LAUNCH = Path(launch.__file__).parent
START = LAUNCH.parent / "start.py"
GOOD = {"path": "/opt/python", "version": "3.12.4", "wide": True, "sqlite": "3.45.1"}


# --- itself ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [START, *sorted(LAUNCH.glob("*.py"))], ids=lambda path: path.name)
def test_python_3_8_can_read_it_and_it_needs_the_standard_library_alone(path):
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} <= set(sys.stdlib_module_names) | {"launch"}


# --- which Python ----------------------------------------------------------------------------------------------------


def test_a_good_python_is_taken():
    assert pythons.judge(GOOD) == pythons.Python("/opt/python", "3.12.4")


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"version": "3.13.0"}, "Python 3.13.0 (/opt/python) is not 3.11 or 3.12"),
        ({"version": "3.8.18"}, "is not 3.11 or 3.12"),
        ({"wide": False}, "32-bit"),
        ({"missing": ["ensurepip"]}, "lacks ensurepip"),
        ({"sqlite": "3.34.1"}, "SQLite 3.34.1, and 3.37 is needed"),
    ],
)
def test_a_python_that_does_not_fit_is_refused_with_its_reason(facts, reason):
    assert reason in pythons.judge({**GOOD, **facts})


def test_the_first_python_that_fits_is_chosen():
    looks = {
        "a": "Python 3.13.0 (a) is not 3.11 or 3.12",
        "b": pythons.Python("b", "3.11.9"),
        "c": pythons.Python("c", "3.12.1"),
    }
    assert pythons.choose_python([["a"], ["b"], ["c"]], lambda command: looks[command[0]]).path == "b"


def test_a_broken_venv_gets_the_python_of_its_own_line_back():
    looks = {"b": pythons.Python("b", "3.11.9"), "c": pythons.Python("c", "3.12.1")}
    assert pythons.choose_python([["b"], ["c"]], lambda command: looks[command[0]], line="3.12").path == "c"
    assert pythons.choose_python([["b"]], lambda command: looks[command[0]], line="3.12").path == "b"


def test_without_a_fitting_python_one_sentence_says_what_was_found_and_how_to_get_one():
    with pytest.raises(Fault) as fault:
        pythons.choose_python(
            [["a"], ["gone"]], lambda command: "Python 3.9.2 (a) is not 3.11 or 3.12" if command == ["a"] else ""
        )
    assert "Python 3.9.2 (a) is not 3.11 or 3.12" in str(fault.value)
    assert "uv python install 3.12" in str(fault.value)


def test_the_python_this_runs_on_passes_the_real_probe():
    found = pythons.probe([sys.executable])
    assert isinstance(found, pythons.Python)
    assert found.version == "{}.{}.{}".format(*sys.version_info)


@pytest.mark.skipif(os.name == "nt", reason="the stand-ins are shell scripts")
def test_a_command_that_is_no_python_is_passed_over(tmp_path):
    assert pythons.probe([program(tmp_path / "python3.12", "echo 'not found' && exit 127")]) == ""
    assert pythons.probe([str(tmp_path / "missing")]) == ""


@pytest.mark.skipif(os.name == "nt", reason="the stand-ins are shell scripts")
def test_it_looks_on_the_path_in_pyenv_and_asks_uv(tmp_path, monkeypatch):
    program(tmp_path / "bin" / "python3.11", "true")
    program(tmp_path / "bin" / "uv", '[ "$4" = 3.12 ] && echo /managed/by/uv/python')
    program(tmp_path / "pyenv" / "versions" / "3.12.9" / "bin" / "python", "true")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin:/usr/bin")
    found = list(pythons.candidates({"PYENV_ROOT": str(tmp_path / "pyenv")}))
    assert found[0] == [sys.executable]
    assert found.index([str(tmp_path / "pyenv/versions/3.12.9/bin/python")]) < found.index(["python3.11"])
    assert ["/managed/by/uv/python"] in found


def program(path: Path, script: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


# --- what is installed -----------------------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Two packages, one of which shares its top folder with the other."""
    folder = tmp_path / "site-packages"
    place(folder, "Small_Thing", "1.0", ["small/__init__.py", "shared/small/data.bin"])
    place(folder, "big", "2.5", ["shared/big/data.bin", "big.py", "../../bin/big"])
    return folder


def place(folder: Path, name: str, version: str, files: list[str]) -> None:
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text("x")
    metadata = folder / f"{name}-{version}.dist-info"
    metadata.mkdir()
    (metadata / "RECORD").write_text("".join(f"{file},sha256=x,1\n" for file in [*files, f"{metadata.name}/RECORD"]))


def test_whole_packages_are_not_called_damaged(site):
    assert venv.damaged(site, venv.owned(site)) == []


@pytest.mark.parametrize(
    ("gone", "broken"),
    [
        ("small", ["small-thing"]),
        ("shared/big", ["big"]),
        ("big-2.5.dist-info", ["big"]),
        ("shared", ["small-thing", "big"]),
    ],
)
def test_what_lost_a_folder_or_its_metadata_is_named(site, gone, broken):
    packages = venv.owned(site)
    shutil.rmtree(site / gone)
    assert sorted(venv.damaged(site, packages)) == sorted(broken)


def test_a_package_that_its_owner_replaced_is_left_alone(site):
    packages = venv.owned(site)
    shutil.rmtree(site / "big-2.5.dist-info")
    (site / "big.py").unlink()
    place(site, "big", "2.4", ["shared/big/data.bin"])
    assert venv.damaged(site, packages) == []


def test_what_a_killed_pip_left_is_cleared_away(site):
    (site / "big-2.5.dist-info" / "RECORD").unlink()
    (site / "~mall").mkdir()
    venv.clear_halves(site)
    assert sorted(path.name for path in site.iterdir()) == ["Small_Thing-1.0.dist-info", "big.py", "shared", "small"]


def test_requirements_that_change_are_noticed_and_line_ends_are_not(tmp_path):
    (tmp_path / "requirements.txt").write_bytes(b"a>=1\nb\n")
    before = venv.fingerprint(tmp_path, ["requirements.txt"])
    (tmp_path / "requirements.txt").write_bytes(b"a>=1\r\nb\r\n")
    assert venv.fingerprint(tmp_path, ["requirements.txt"]) == before
    (tmp_path / "requirements.txt").write_bytes(b"a>=2\nb\n")
    assert venv.fingerprint(tmp_path, ["requirements.txt"]) != before


@pytest.mark.parametrize(
    ("log", "code", "words"),
    [
        ("OSError: [Errno 28] No space left on device", 1, "disk is full"),
        (
            "Max retries exceeded (Caused by NewConnectionError('...'))\nNo matching distribution found for torch",
            1,
            "network",
        ),
        ("ERROR: No matching distribution found for torch==2.14.1", 1, "torch is not offered"),
        ("ssl.SSLCertVerificationError: CERTIFICATE_VERIFY_FAILED", 1, "PIP_CERT"),
        ("ERROR: Could not install packages: [WinError 5] Access is denied", 1, "close other programs"),
        ("error: command '/usr/bin/gcc' failed with exit code 1", 1, "64-bit Python 3.12"),
        ("error: Microsoft Visual C++ 14.0 is required", 1, "64-bit Python 3.12"),
        ("ERROR: ResolutionImpossible", 1, "--unpinned"),
        ("Downloading torch", -9, "memory ran out"),
        ("something nobody foresaw", 1, "start.py repair"),
    ],
)
def test_a_failed_installation_is_explained(tmp_path, log, code, words):
    assert words in pip.advice(log, tmp_path, "python", code)


# --- the whole of it, on a project small enough to install in a second ------------------------------------------------


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose requirements are one hand-made wheel, installed by start.py itself."""
    root = tmp_path_factory.mktemp("template")
    copy_start(root)
    wheel(root / "toy-1.0-py3-none-any.whl", "toy", {"toy/__init__.py": "", "toy/part.py": ""})
    wheel(root / "pytest-1.0-py3-none-any.whl", "pytest", {"pytest.py": "import sys; print('tested', sys.argv[1:])"})
    (root / "requirements.txt").write_text("./toy-1.0-py3-none-any.whl\n")
    (root / "requirements-dev.txt").write_text("./pytest-1.0-py3-none-any.whl\n")
    (root / "constraints.txt").write_text("toy==1.0\n")
    (root / "app.py").write_text("import toy\nprint('serving')\n")
    (root / "studio").mkdir()
    (root / "studio" / "__init__.py").write_text("")
    (root / "studio" / "__main__.py").write_text(
        "import os, sys, toy.part\n"
        "from pathlib import Path\n"
        "if sys.argv[1:] == ['models', 'fetch']:\n"
        "    with Path(__file__).with_name('fetched').open('a') as file: file.write('once ')\n"
        "    sys.exit(1)\n"
        "print(os.getcwd(), sys.argv[1:])\n"
        "sys.exit(3 if 'fail' in sys.argv else 0)\n"
    )
    first = call(root, "run", "--", "hello")
    assert first.returncode == 0, first.stderr
    return root


@pytest.fixture
def toy(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "project", symlinks=True))


def copy_start(root: Path) -> None:
    shutil.copy(START, root)
    shutil.copytree(LAUNCH, root / "launch", ignore=shutil.ignore_patterns("__pycache__"))


def wheel(path: Path, name: str, files: dict[str, str]) -> None:
    metadata = f"{name}-1.0.dist-info"
    files = files | {
        f"{metadata}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{metadata}/WHEEL": "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [f"{file},," for file in files] + [f"{metadata}/RECORD,,"]
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
        archive.writestr(f"{metadata}/RECORD", "\n".join(rows) + "\n")


def call(root: Path, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "STUDIO_", "PYTHON"))}
    env |= {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}
    command = [sys.executable, str(root / "start.py"), *arguments]
    return subprocess.run(command, cwd=cwd or root, env=env, capture_output=True, text=True, timeout=250, check=False)


def site_of(root: Path) -> Path:
    return venv.site_packages(root / ".venv", f"{sys.version_info[0]}.{sys.version_info[1]}")


def test_a_second_start_does_nothing_but_the_command(toy):
    done = call(toy, "run", "--", "hello", "--json")
    assert (done.stdout, done.stderr) == (f"{toy} ['hello', '--json']\n", "")


def test_the_commands_exit_code_is_the_callers(toy):
    assert call(toy, "run", "--", "fail").returncode == 3


def test_a_command_runs_in_the_folder_it_was_given_in(toy, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert call(toy, "run", "--", "hello", cwd=elsewhere).stdout == f"{elsewhere} ['hello']\n"


def test_without_a_command_the_page_is_served(toy, tmp_path):
    assert call(toy, cwd=tmp_path).stdout == "serving\n"


def test_what_start_says_never_mixes_with_what_the_command_prints(toy):
    (toy / "constraints.txt").write_text("toy==1.0\nother==2\n")
    done = call(toy, "run", "--", "hello")
    assert done.stdout == f"{toy} ['hello']\n"
    assert "Installing requirements.txt" in done.stderr


def test_the_weights_are_fetched_once_even_when_they_do_not_come(toy):
    call(toy, "run", "--", "hello")
    assert (toy / "studio" / "fetched").read_text() == "once "


def test_a_missing_package_folder_is_put_back(toy):
    shutil.rmtree(site_of(toy) / "toy")
    done = call(toy, "run", "--", "hello")
    assert done.returncode == 0, done.stderr
    assert "Damaged in .venv, to be installed again: toy." in done.stderr
    assert call(toy, "run", "--", "hello").stderr == ""


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps a running program's file")
def test_a_missing_python_is_put_back_and_nothing_is_installed_again(toy):
    for python in (toy / ".venv" / "bin").glob("python*"):
        python.unlink()
    done = call(toy, "run", "--", "hello")
    assert done.returncode == 0, done.stderr
    assert "giving it back" in done.stderr
    assert "Installing" not in done.stderr


def test_a_venv_of_a_python_that_does_not_fit_is_made_anew(toy):
    config = toy / ".venv" / "pyvenv.cfg"
    config.write_text("home = /gone\nversion = 3.9.2\n")
    shutil.rmtree(site_of(toy))
    done = call(toy, "run", "--", "hello")
    assert done.returncode == 0, done.stderr
    assert "was made with Python 3.9: making it anew" in done.stderr


def test_an_installation_that_was_killed_goes_on(toy):
    (toy / ".venv" / venv.STAMP).unlink()
    (site_of(toy) / "toy-1.0.dist-info" / "RECORD").unlink()
    (site_of(toy) / "toy" / "part.py").unlink()
    done = call(toy, "run", "--", "hello")
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps a running program's file")
def test_repair_makes_it_anew_even_when_asked_from_inside(toy):
    (site_of(toy) / "left_behind.py").write_text("")
    command = [str(venv.venv_python(toy / ".venv")), "start.py", "repair"]
    env = os.environ | {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}
    done = subprocess.run(command, cwd=toy, env=env, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr
    assert not (site_of(toy) / "left_behind.py").exists()
    assert call(toy, "run", "--", "hello").returncode == 0


def test_a_half_written_stamp_is_no_stamp(toy):
    (toy / ".venv" / venv.STAMP).write_text('{"of": ')
    assert call(toy, "run", "--", "hello").returncode == 0
    assert json.loads((toy / ".venv" / venv.STAMP).read_text())["of"]


def test_the_tests_bring_what_they_need_the_first_time_alone(toy):
    first = call(toy, "test", "-k", "some")
    assert first.stdout == "tested ['-k', 'some']\n"
    assert "Installing requirements-dev.txt" in first.stderr
    assert call(toy, "test").stderr == ""


def test_an_unpinned_installation_stays_so(toy):
    (toy / "constraints.txt").write_text("toy==2.0\n")
    failed = call(toy, "run", "--", "hello")
    assert failed.returncode == 1
    assert "--unpinned" in failed.stderr
    assert call(toy, "--unpinned", "run", "--", "hello").returncode == 0
    assert call(toy, "run", "--", "hello").stderr == ""


def test_a_package_that_is_not_to_be_had_ends_in_advice_and_no_trace(toy):
    (toy / "requirements.txt").write_text("surely-not-there\n")
    done = call(toy, "run", "--", "hello")
    assert done.returncode == 1
    assert "surely-not-there is not offered for this system" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("arguments", [("fly",), ("run",), ("run", "--"), ("serve", "now"), ("check", "taste")])
def test_a_wrong_command_is_answered_with_the_right_ones_and_nothing_is_installed(tmp_path, arguments):
    copy_start(tmp_path)
    done = call(tmp_path, *arguments)
    assert done.returncode == 2
    assert "lint" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["launch", "start.py"]


def test_a_command_of_the_studio_without_run_is_told_where_it_goes(tmp_path):
    copy_start(tmp_path)
    assert call(tmp_path, "generate", "a face").stderr.endswith(
        "no command generate. One of the studio's own goes after run --\n"
    )


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    copy_start(tmp_path)
    (tmp_path / ".venv.lock").mkdir()
    done = call(tmp_path, "run", "--", "hello")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and f"Check that {tmp_path} belongs to you" in done.stderr


def test_a_venv_that_is_a_link_to_another_disk_is_emptied_there(tmp_path):
    (tmp_path / "disk" / "lib").mkdir(parents=True)
    (tmp_path / ".venv").symlink_to(tmp_path / "disk")
    ready.remove(tmp_path / ".venv")
    assert list((tmp_path / ".venv").iterdir()) == []
    assert (tmp_path / ".venv").is_symlink()


def test_two_first_starts_at_once_install_once(toy):
    shutil.rmtree(toy / ".venv")
    env = os.environ | {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}
    command = [sys.executable, str(toy / "start.py"), "run", "--", "hello"]
    both = [
        subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    said = [process.communicate(timeout=240)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum("Making .venv" in text for text in said) == 1
    assert sum("waiting for it" in text for text in said) == 1
    assert sum("Fetching the small model files" in text for text in said) == 1
