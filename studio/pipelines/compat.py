"""Gives realesrgan and gfpgan the torchvision module they were written for and that is gone since torchvision 0.17.

basicsr imports `rgb_to_grayscale` from `torchvision.transforms.functional_tensor`; torchvision keeps the same function
in `torchvision.transforms.functional`. Call `provide_functional_tensor()` before importing any of the three.
"""

import sys
from types import ModuleType

from torchvision.transforms import functional

OLD_NAME = "torchvision.transforms.functional_tensor"


def provide_functional_tensor() -> None:
    """Registers the old module under its old name, unless there is one."""
    if OLD_NAME not in sys.modules:
        module = ModuleType(OLD_NAME, "Stands in for a module that torchvision no longer has.")
        module.rgb_to_grayscale = functional.rgb_to_grayscale  # type: ignore[attr-defined]
        sys.modules[OLD_NAME] = module
