"""What the page's script tells the handlers: each name is an event of the one component that listens, the ears."""

from collections.abc import Callable
from typing import Any

import gradio as gr

from studio.ui.visit import QUEUED

HEARD = (
    "reuse", "vary", "seed", "start", "reuse_job", "restore", "star", "bin", "unbin", "halt", "look", "turn",
    "leaf", "visit", "deal", "settle", "send", "unsend", "look_tool", "tune_open", "tune_styles", "tune_pause",
    "tune_resume", "tune_rest", "photo_out", "photo_crop", "photo_gone", "photos_sift", "photos_clear", "photos_check",
    "tune_export", "tune_extend", "tune_doom", "tune_delete", "tune_gallery", "left_out", "tool_again",
)  # fmt: skip
# Gradio lets a script trigger only what it finds named in it.
LISTEN = f"window.likenessEars.listen(trigger, {list(HEARD)})"


def heard(ears: gr.HTML, name: str, handler: Callable[..., Any], inputs: Any, outputs: Any) -> Any:
    """Has `handler` answer what is told under that name, and the script know when it has: Gradio drops what is told
    while the same is under way, so that the script keeps the next back until then."""
    told = getattr(ears, name)(handler, inputs, outputs, **QUEUED)
    # Where a handler refuses, Gradio goes on with `failure` alone.
    for answered in (told.then, told.failure):
        answered(None, None, None, js=f"() => window.likenessEars.answered('{name}')", api_visibility="private")
    return told
