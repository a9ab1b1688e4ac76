"""Turns what the studio refuses into a message on the page, and hides everything else behind a log id."""

import logging
import secrets
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import gradio as gr

from studio.domain import StudioError

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger(__name__)


def told(handler: Callable[P, R]) -> Callable[P, R]:
    """The handler, with a `StudioError` shown as its sentence. Its event must be queued, or the toast stays empty."""

    @wraps(handler)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return handler(*args, **kwargs)
        except StudioError as error:
            raise gr.Error(error.message, print_exception=False) from error
        except Exception as error:
            log_id = secrets.token_hex(4)
            log.exception("a handler broke (log id %s)", log_id)
            raise gr.Error(f"Something broke in the studio; the log has it under {log_id}.") from error

    return wrapper
