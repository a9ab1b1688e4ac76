"""A visit: who asks, in which language, of which studio; and how Gradio comes to call the handlers with one."""

import inspect
import logging
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio.domain import OWNER, NotFound, Refused, StudioError
from studio.service import Studio
from studio.ui.access import account_of
from studio.ui.words import Words, language_of

MOST_IDS = 500  # pictures that one click may be about
QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
QUEUED: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}  # may be refused with a message

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Visit:
    """What every handler gets first."""

    studio: Studio
    account: str
    words: Words

    def whose(self, asked: object) -> str:
        """The account that is asked about: one's own, or for the owner any. Raises NotFound."""
        account = asked if isinstance(asked, str) and asked else self.account
        if self.account not in (account, OWNER):
            raise NotFound("There is no such account.", field="account")
        self.studio.counter.balances(account)
        return account

    def style_title(self, id: str) -> str:
        """A style as this visitor calls it; its id where there is no such style any more."""
        return next((one.titled(self.words.language) for one in self.studio.styles() if one.id == id), id)

    def base_titles(self) -> dict[str, str]:
        """Every base's title by its id, which is added where several have the same."""
        bases = self.studio.bases()
        often = Counter(one.title for one in bases)
        return {one.id: one.title if often[one.title] == 1 else f"{one.title} ({one.id})" for one in bases}


def visit_of(studio: Studio, request: Any) -> Visit:
    """The visit of a request, Gradio's or FastAPI's: who asks is the server's word, the language the browser's."""
    return Visit(
        studio=studio,
        account=account_of(request),
        words=Words(language_of(request.headers.get("accept-language", ""))),
    )


Handler = Callable[..., Any]


def answering(studio: Studio, handler: Handler) -> Handler:
    """`handler(visit, *values)` as Gradio calls it. A `StudioError` becomes a message; anything else is logged, and
    the message says under which id. A generator's values are shown one after the other."""

    def answer(request: gr.Request, *values: Any) -> Any:
        visit = visit_of(studio, request)
        with told(visit):
            return handler(visit, *values)

    def answer_by_steps(request: gr.Request, *values: Any) -> Iterator[Any]:
        visit = visit_of(studio, request)
        with told(visit):
            yield from handler(visit, *values)

    answering_so = answer_by_steps if inspect.isgeneratorfunction(handler) else answer
    answering_so.__name__ = handler.__name__
    return answering_so


def hearing(studio: Studio, handler: Handler) -> Handler:
    """`handler(visit, data, *values)`, where `data` is what the page's script sent along; nothing in it is trusted."""

    def hear(request: gr.Request, event: gr.EventData, *values: Any) -> Any:
        visit = visit_of(studio, request)
        data = getattr(event, "_data", None)
        with told(visit):
            return handler(visit, data if isinstance(data, dict) else {}, *values)

    def hear_by_steps(request: gr.Request, event: gr.EventData, *values: Any) -> Iterator[Any]:
        visit = visit_of(studio, request)
        data = getattr(event, "_data", None)
        with told(visit):
            yield from handler(visit, data if isinstance(data, dict) else {}, *values)

    hearing_so = hear_by_steps if inspect.isgeneratorfunction(handler) else hear
    hearing_so.__name__ = handler.__name__
    return hearing_so


@contextmanager
def told(visit: Visit) -> Iterator[None]:
    """Turns what is raised inside into what is shown. The event must be queued: others show no text."""
    try:
        yield
    except StudioError as error:
        raise gr.Error(visit.words.sentence(error), print_exception=False) from error
    except Exception as error:
        log_id = secrets.token_hex(4)
        log.exception("a handler broke (log id %s)", log_id)
        raise gr.Error(visit.words("error.broken", id=log_id), print_exception=False) from error


def text_of(data: Mapping[str, object], field: str) -> str:
    """A short text that the page's script sent. Raises Refused."""
    value = data.get(field)
    if not isinstance(value, str) or len(value) > 200:
        raise Refused(f"{field} must be a text.", field=field, allowed="1 to 200 characters")
    return value


def ids_of(data: Mapping[str, object]) -> list[str]:
    """The ids that the page's script sent. Raises Refused."""
    ids = data.get("ids")
    if not isinstance(ids, list) or not 1 <= len(ids) <= MOST_IDS or not all(isinstance(one, str) for one in ids):
        raise Refused(f"ids must be a list of 1 to {MOST_IDS} ids.", field="ids", allowed=f"1 to {MOST_IDS} ids")
    return ids
