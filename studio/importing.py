"""Large libraries are imported when they are first needed, and then quickly."""

import gc
from importlib import import_module
from types import ModuleType


def imported(name: str) -> ModuleType:
    """The module, with no garbage collected meanwhile.

    torch, diffusers and gradio are hundreds of thousands of objects that stay: measured, looking through them for
    garbage again and again is a sixth of the time that their import takes.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        return import_module(name)
    finally:
        if was_on:
            gc.enable()
