"""The packages that were written for an older torchvision can be imported."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("package", ["realesrgan", "gfpgan"])
def test_the_package_imports_after_compat(package: str) -> None:
    code = f"from studio.pipelines import compat; compat.provide_functional_tensor(); import {package}"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr[-500:]
