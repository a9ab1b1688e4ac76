"""Who may import whom, what stays out of memory until it is needed, and that every module says what it is for."""

import ast
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from start import CHECKS

ROOT = Path(__file__).resolve().parent.parent
STUDIO = ROOT / "studio"
HEAVY = ("torch", "diffusers", "transformers", "peft", "onnxruntime", "cv2")
LOOKED_AT = [
    *sorted(STUDIO.rglob("*.py")),
    ROOT / "app.py",
    ROOT / "start.py",
    *sorted((ROOT / "launch").glob("*.py")),
    *sorted((ROOT / "scripts").rglob("*.py")),
]


def python(*arguments: str, folder: Path = ROOT, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    whole = os.environ | {"PYTHONPATH": str(folder)} | env
    return subprocess.run(command, cwd=folder, env=whole, capture_output=True, text=True, timeout=120, check=False)


# --- who may import whom ---------------------------------------------------------------------------------------------


def test_the_layers_hold():
    done = python(*CHECKS["imports"])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("domain.py", "import studio.settings"),
        ("storage/database.py", "import studio.credits.pricing"),
        ("credits/pricing.py", "import studio.pipelines"),
        ("pipelines/__init__.py", "import studio.storage.database"),
        ("ui/__init__.py", "import studio.jobs"),
        ("jobs.py", "import torch"),
        ("service.py", "import gradio"),
        ("cli/models.py", "import sqlite3"),
        ("cli/quote.py", "import studio.cli.making"),
        ("cli/left_over.py", "import json"),
        ("left_over.py", "import json"),
    ],
)
def test_an_import_against_the_layers_is_found(tmp_path, module, line):
    shutil.copytree(STUDIO, tmp_path / "studio", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "studio" / module).open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    done = python(*CHECKS["imports"], folder=tmp_path)
    assert "BROKEN" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 1


@pytest.mark.parametrize(
    "module", ["domain.py", "images.py", "tools.py", "errors.py", "rules.py", "paths.py", "settings.py"]
)
def test_the_lowest_modules_need_the_standard_library_alone(module):
    assert imported(STUDIO / module) <= set(sys.stdlib_module_names) | {"studio"}


def imported(path: Path) -> set[str]:
    """The top names of everything a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add((node.module or "").split(".")[0])
    return names


# --- what stays out of memory ----------------------------------------------------------------------------------------


def loaded_by(code: str, tmp_path: Path) -> set[str]:
    """The top names in `sys.modules` of a process that has run this."""
    done = python("-c", f"{code}\nimport sys\nprint(*sys.modules)", STUDIO_DATA=str(tmp_path / "data"))
    assert done.returncode == 0, done.stderr
    return {name.split(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize(
    "arguments",
    ["--help", "quote --size 512x512 --steps 50 --count 1", "generate --help"],
)
def test_a_command_that_only_answers_loads_no_gradio_no_torch_and_no_database(tmp_path, arguments):
    done = python("-X", "importtime", "-m", "studio", *arguments.split(), STUDIO_DATA=str(tmp_path / "data"))
    assert done.returncode == 0, done.stderr
    loaded = {row.rsplit("|", 1)[-1].strip().split(".")[0] for row in done.stderr.splitlines() if "|" in row}
    assert "argparse" in loaded, "the list of imports was read"
    assert not loaded & {*HEAVY, "gradio", "sqlite_utils", "numpy", "PIL"}


@pytest.mark.parametrize("arguments", ["credits show", "jobs list"])
def test_a_command_that_reads_the_database_loads_no_gradio_and_no_torch(tmp_path, arguments):
    done = python("-X", "importtime", "-m", "studio", *arguments.split(), STUDIO_DATA=str(tmp_path / "data"))
    assert done.returncode == 0, done.stderr
    loaded = {row.rsplit("|", 1)[-1].strip().split(".")[0] for row in done.stderr.splitlines() if "|" in row}
    assert "sqlite3" in loaded, "the list of imports was read"
    assert not loaded & {*HEAVY, "gradio"}


def test_the_page_answers_before_torch_is_loaded(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = os.environ | {"STUDIO_DATA": str(tmp_path / "data"), "STUDIO_PORT": str(port), "PYTHONPATH": str(ROOT)}
    imports = tmp_path / "imports.txt"
    with imports.open("w") as errors:
        page = subprocess.Popen([sys.executable, "-X", "importtime", "app.py"], cwd=ROOT, env=env, stderr=errors)
        try:
            wait_for_page(port, page)
        finally:
            page.kill()
            page.wait()
    loaded = {row.rsplit("|", 1)[-1].strip().split(".")[0] for row in imports.read_text().splitlines() if "|" in row}
    assert "gradio" in loaded, "the list of imports was read"
    assert not loaded & set(HEAVY)


def wait_for_page(port: int, page: subprocess.Popen[bytes]) -> None:
    """Until the first HTTP 200, or fails after a minute or when the process ends."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and page.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the page did not answer")


# --- what is written -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", LOOKED_AT, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_module_says_its_purpose_in_its_first_line(path):
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    assert said.splitlines() and said.splitlines()[0].strip()


def test_nothing_is_read_or_set_up_by_importing_the_studio(tmp_path):
    code = "import os, studio.settings, studio.domain, studio.jobs, studio.worker, studio.service, logging\n"
    code += "assert not logging.getLogger().handlers"
    loaded_by(code, tmp_path)
    assert not (tmp_path / "data").exists()
