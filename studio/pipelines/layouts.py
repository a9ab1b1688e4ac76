"""The configurations of bases that come as one file, which holds tensors alone."""

from pathlib import Path

from studio.domain import WeightsMissing
from studio.pipelines.bases import Base


def layout_folder(base: Base) -> Path:
    raise WeightsMissing(f"{base.id} needs its layout.", field="base")
