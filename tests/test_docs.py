"""The README names every tab, command, environment variable and part of the house."""

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from studio.settings import Settings
from studio.storage.database import Database
from studio.storage.folder import DataFolder

ROOT = Path(__file__).resolve().parent.parent
STUDIO = ROOT / "studio"


@pytest.fixture(scope="module")
def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def first_words(calls: str, sources: Iterator[Path]) -> set[str]:
    """The text that each call of this name has as its first argument."""
    found = set()
    for path in sources:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == calls and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    found.add(first.value)
    return found


def test_every_tab_stands_in_the_readme(readme):
    keys = {key for key in first_words("t", STUDIO.glob("ui/*.py")) if key.startswith("tab.")}
    assert keys, "the page has tabs"
    words = tomllib.loads((STUDIO / "ui" / "words" / "en.toml").read_text(encoding="utf-8"))
    assert {tab for key in keys if (tab := words["tab"][key.removeprefix("tab.")]) not in readme} == set()


def test_every_command_stands_in_the_readme(readme):
    commands = first_words("add_parser", STUDIO.glob("cli/*.py"))
    assert commands, "there are commands"
    assert {command for command in commands if not re.search(rf"`?\b{re.escape(command)}\b", readme)} == set()


def test_every_environment_variable_stands_in_the_readme(readme):
    variables = {f"STUDIO_{field.name.upper()}" for field in fields(Settings)}
    for path in (*STUDIO.rglob("*.py"), *(ROOT / "launch").glob("*.py"), ROOT / "app.py", ROOT / "start.py"):
        variables |= set(re.findall(r"\bSTUDIO_[A-Z][A-Z_]*\b", path.read_text(encoding="utf-8")))
    assert {variable for variable in variables if variable not in readme} == set()


def test_every_part_of_the_house_stands_in_the_tree(readme):
    tree = max(re.findall(r"```\w*\n(.*?)```", readme, re.S), key=lambda block: block.count(".py"))
    parts = [path.name for path in STUDIO.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()]
    parts += ["app.py", "start.py", "launch/", "requirements.txt", "constraints.txt", "models/", "tests/", "scripts/"]
    skipped = {"__init__.py", "__main__.py"}
    assert {part for part in parts if part not in skipped and part not in tree} == set()


def test_the_data_map_names_every_table_and_every_folder(tmp_path):
    told = (ROOT / "docs" / "data-map.md").read_text(encoding="utf-8")
    database = Database(tmp_path / "studio.db")
    with database.read() as tx:
        tables = [row["name"] for row in tx.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    database.close()
    layout = [name for name, kind in vars(DataFolder).items() if isinstance(kind, property)]
    folders = {getattr(DataFolder(tmp_path), name).name for name in layout} - {"worker.lock", "restore.ready"}
    assert len(tables) > 15 and len(folders) > 8
    named = {table for table in tables if not table.startswith(("sqlite_", "_sqlite"))} | folders
    assert {one for one in named if f"`{one}" not in told} == set()


def test_the_readme_gives_the_commands_to_start_and_to_test(readme):
    assert "python3 start.py\n" in readme
    assert "python3 start.py test" in readme
