"""HTML put together so that what people wrote is always escaped: only what `el` and `icon` made counts as markup."""

import hashlib
from datetime import UTC, datetime

import gradio as gr
from markupsafe import Markup, escape

VOID = ("img", "input", "br")


def el(name: str, /, *inside: object, **attributes: object) -> Markup:
    """An element. Texts inside and in attributes are escaped; None and False leave an attribute out.

    `class_` is `class`, `data_id` is `data-id`.
    """
    words = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.rstrip("_").replace("_", "-")
        words.append(key if value is True else f'{key}="{escape(str(value))}"')
    start = Markup(f"<{' '.join(words)}>")
    if name in VOID:
        return start
    return start + join(*inside) + Markup(f"</{name}>")


def join(*inside: object) -> Markup:
    """Elements and texts one after the other; None is nothing."""
    return Markup("").join(escape(one) for one in inside if one is not None)


def print_of(markup: Markup) -> str:
    """What tells one piece of the page from another: whether it must be sent anew."""
    return hashlib.blake2b(markup.encode(), digest_size=8).hexdigest()


def moment(at: int, **attributes: object) -> Markup:
    """A time, which the page's script writes as the reader's own clock has it."""
    utc = datetime.fromtimestamp(at, UTC)
    return el("time", f"{utc:%Y-%m-%d %H:%M} UTC", datetime=utc.isoformat(), **attributes)


ICONS = {
    "star": "M12 3.6l2.6 5.3 5.8.8-4.2 4.1 1 5.8-5.2-2.7-5.2 2.7 1-5.8L3.6 9.7l5.8-.8z",
    "trash": "M5 7h14M10 7V4.5h4V7M7 7l1 12.5h8L17 7M10 10.5v6M14 10.5v6",
    "download": "M12 4v11M7.5 10.5L12 15l4.5-4.5M5 19.5h14",
    "again": "M5 12a7 7 0 0 1 12-4.9L19 9M19 4.5V9h-4.5M19 12a7 7 0 0 1-12 4.9L5 15M5 19.5V15h4.5",
    "vary": "M4 7h3.5l9 10H20M4 17h3.5l2.3-2.6M14.2 9.6L16.5 7H20M17.5 4.5L20 7l-2.5 2.5M17.5 14.5L20 17l-2.5 2.5",
    "seed": "M5 5h14v14H5zM9 9h.01M15 9h.01M12 12h.01M9 15h.01M15 15h.01",
    "copy": "M9 9h10v10H9zM5 15V5h10",
    "close": "M6 6l12 12M18 6L6 18",
    "left": "M14.5 5.5L8 12l6.5 6.5",
    "right": "M9.5 5.5L16 12l-6.5 6.5",
    "check": "M5 12.5l4.5 4.5L19 7.5",
    "plus": "M12 5v14M5 12h14",
    "alert": "M12 4.5L3.5 19.5h17zM12 10.5v4M12 17h.01",
    "pause": "M8.5 5.5v13M15.5 5.5v13",
    "play": "M8 5.5l10.5 6.5L8 18.5z",
    "moon": "M19 14.5A7.5 7.5 0 0 1 9.5 5a7.5 7.5 0 1 0 9.5 9.5z",
    "picture": "M4.5 5.5h15v13h-15zM4.5 15.5l4.5-4.5 4 4 2.5-2.5 4 4M15 9.2h.01",
    "larger": "M4.5 13v6.5H11M13 4.5h6.5V11M19 5l-6 6M5 19l6-6",
    "smile": "M12 4.5a7.5 7.5 0 1 0 0 15 7.5 7.5 0 0 0 0-15zM9.3 10h.01M14.7 10h.01M8.8 13.8c1.7 2.2 4.7 2.2 6.4 0",
    "cut": "M7.5 6a2 2 0 1 0 0 4 2 2 0 0 0 0-4zM7.5 14a2 2 0 1 0 0 4 2 2 0 0 0 0-4zM9.2 9l10 7.5M9.2 15l10-7.5",
    "clock": "M12 4.5a7.5 7.5 0 1 0 0 15 7.5 7.5 0 0 0 0-15zM12 8v4.3l2.8 1.7",
    "coin": "M12 5a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM12 9v6M9.8 10.2h3.4a1.3 1.3 0 0 1 0 2.6h-2.4a1.3 1.3 0 0 0 0 2.6h3.4",
}


def icon(name: str) -> Markup:
    """A drawing of 20 pixels that says nothing to a screen reader: what it is on has the words."""
    return Markup(
        f'<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d="{ICONS[name]}"/></svg>'
    )


def html(elem_id: str, **options: object) -> gr.HTML:
    """Where handlers write HTML. Nothing else of Gradio's own style gets in."""
    return gr.HTML("", elem_id=elem_id, apply_default_css=False, **options)  # type: ignore[arg-type]


def button(label: str, *, icon_name: str | None = None, show_label: bool = True, **attributes: object) -> Markup:
    """A button; one that shows nothing but its icon has its words as a name and a tooltip."""
    given: dict[str, object] = {"type": "button", **attributes}
    if not show_label:
        given |= {"aria_label": label, "title": label}
    drawn = icon(icon_name) if icon_name else None
    return el("button", drawn, el("span", label) if show_label else None, **given)
