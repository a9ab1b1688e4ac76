"""The table of families, the shapes that are drawn, and that nobody asks for a family outside of it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from studio.pipelines import RUNNERS
from studio.pipelines.families import FAMILIES, SCHEDULERS
from studio.pipelines.shapes import drawn_shape, fitted
from studio.pipelines.weights import Catalogue

STUDIO = Path(__file__).parent.parent.parent / "studio"
SIDES = st.integers(2, 16).map(lambda number: number * 64)


def test_every_base_of_the_catalogue_has_a_family() -> None:
    assert all(base.family in FAMILIES for base in Catalogue.read().bases)


def test_every_family_names_schedulers_that_exist_and_none_twice() -> None:
    for family in FAMILIES.values():
        assert family.schedulers and set(family.schedulers) <= SCHEDULERS.keys()
        assert len(set(family.schedulers)) == len(family.schedulers)


def test_every_class_and_function_a_row_names_exists() -> None:
    import diffusers  # noqa: PLC0415

    from studio.pipelines.conditioning import WAYS  # noqa: PLC0415
    from studio.pipelines.latents import LAYOUTS  # noqa: PLC0415

    for family in FAMILIES.values():
        for pipe in (family.text, family.init, family.mask):
            assert pipe is None or hasattr(diffusers, pipe.name), family.id
        assert family.conditioning in WAYS and family.latents in LAYOUTS, family.id


def test_no_module_but_the_table_compares_anything_with_a_family() -> None:
    """Not `family == "sdxl"`, not `x in ("sd", "sdxl")`, no `match`: what differs is a field of the row."""
    guilty: list[str] = []
    for path in STUDIO.rglob("*.py"):
        if path.name == "families.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Compare | ast.match_case):
                words = {one.value for one in ast.walk(node) if isinstance(one, ast.Constant)} - {None}
                names = {one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute)}
                if words & (FAMILIES.keys() - {"starter"}) or (words and {"family"} & names):
                    guilty.append(f"{path.relative_to(STUDIO)}: {ast.unparse(node)}")
    assert guilty == []


def test_the_door_imports_no_torch() -> None:
    code = (
        "import sys; from studio.pipelines import Runners; from studio.pipelines.bases import Bases;"
        "from studio.pipelines import fetching, recipe, shapes;"
        "assert not {'torch', 'diffusers', 'transformers', 'numpy'} & sys.modules.keys()"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=STUDIO.parent)
    assert answer.returncode == 0, answer.stderr


def test_asking_which_kinds_there_are_imports_no_torch() -> None:
    code = (
        "import sys; from pathlib import Path;"
        "from studio.settings import Settings; from studio.pipelines import Runners;"
        "runners = Runners(Settings(data=Path('/nowhere'))); assert 'image' in runners and list(runners);"
        "runners.unload(); assert 'torch' not in sys.modules"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=STUDIO.parent)
    assert answer.returncode == 0, answer.stderr
    assert "image" in RUNNERS


# --- shapes ---


@pytest.mark.parametrize(
    ("family", "asked", "drawn"),
    [
        ("starter", (512, 512), (128, 128)),
        ("starter", (128, 128), (128, 128)),
        ("starter", (512, 768), (112, 168)),
        ("starter", (768, 512), (168, 112)),
        ("sd", (512, 512), (512, 512)),
        ("sd", (512, 768), (512, 768)),
        ("sd", (1024, 1024), (512, 512)),
        ("sdxl", (1024, 1024), (1024, 1024)),
        ("klein", (512, 512), (512, 512)),
    ],
)
def test_what_is_drawn_for_a_size(family: str, asked: tuple[int, int], drawn: tuple[int, int]) -> None:
    shape = drawn_shape(FAMILIES[family], *asked)
    assert (shape.width, shape.height) == drawn


@given(width=SIDES, height=SIDES, family=st.sampled_from(sorted(FAMILIES)))
def test_every_size_is_drawn_in_its_own_shape_and_near_an_area_the_family_knows(
    width: int, height: int, family: str
) -> None:
    row = FAMILIES[family]
    shape = drawn_shape(row, width, height)
    assert shape.width % row.multiple == shape.height % row.multiple == 0
    assert abs(shape.width / shape.height / (width / height) - 1) < 0.08
    area = shape.width * shape.height / row.native**2
    assert min(row.least_area, 0.8) <= area <= max(row.most_area, 1.2)


def test_turned_round_a_size_is_drawn_turned_round() -> None:
    for width, height in ((512, 768), (640, 1024), (192, 256)):
        one, other = (drawn_shape(FAMILIES["starter"], *size) for size in ((width, height), (height, width)))
        assert (one.width, one.height) == (other.height, other.width)


def test_a_fitted_picture_keeps_its_middle_and_is_not_squeezed() -> None:
    image = Image.new("RGB", (300, 100), "red")
    image.paste("blue", (100, 0, 200, 100))
    out = fitted(image, 64, 64)
    assert out.size == (64, 64) and out.crop((4, 0, 60, 64)).getcolors() == [(56 * 64, (0, 0, 255))]
