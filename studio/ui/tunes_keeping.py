"""How long a tune is kept: what goes when, 30 days more, delete the model or everything, and the receipts."""

from collections.abc import Mapping

from markupsafe import Markup

from studio.domain import StudioError, Tune
from studio.retention import Due, Going, Receipt
from studio.rules import new_id
from studio.ui import deals
from studio.ui.html import button, el, icon, join, moment
from studio.ui.visit import Visit, text_of
from studio.ui.words import Words

MOST_RECEIPTS = 30


def shown(visit: Visit, tune: Tune) -> Markup:
    """What of a tune goes when, and the ways to keep it longer or to be rid of it at once."""
    words = visit.words
    mine = [one for one in visit.studio.retention.due(visit.account) if one.id == tune.id]
    lines = [el("li", _due(words, one, named=False)) for one in mine]
    if not any(one.what == "model" for one in mine) and tune.state == "ready":
        lines.append(el("li", words("tunes.kept")))
    acts: list[Markup] = []
    if any(one.what == "model" for one in mine):
        acts.append(
            button(words("tunes.extend"), icon_name="clock", data_do="tune_extend", data_tune=tune.id, class_="quiet")
        )
    if tune.state == "ready":
        acts.append(_doom(words, tune, "model"))
    acts.append(_doom(words, tune, "all"))
    return el(
        "section",
        el("h2", words("tunes.keeping")),
        el("ul", *lines, class_="due") if lines else None,
        el("div", *acts, class_="line"),
    )


def listed(visit: Visit) -> Markup:
    """Of all tunes: what goes when, and what was deleted."""
    words, studio = visit.words, visit.studio
    due = studio.retention.due(visit.account)
    receipts = studio.retention.receipts(visit.account, limit=MOST_RECEIPTS)
    parts: list[Markup] = []
    if due:
        parts.append(_fold(words("tunes.due", n=len(due)), el("ul", *(el("li", _due(words, one)) for one in due))))
    if receipts:
        rows = (el("li", _receipt(words, one)) for one in receipts)
        note = el("p", words("tunes.receipts_info"), class_="hint")
        parts.append(_fold(words("tunes.receipts", n=len(receipts)), el("div", note, el("ul", *rows))))
    return el("div", *parts, class_="guide") if parts else Markup("")


def _fold(title: str, inside: Markup) -> Markup:
    return el("details", el("summary", icon("right"), title), el("div", inside, class_="due"), class_="fold")


def _due(words: Words, due: Due, *, named: bool = True) -> Markup:
    what = words(f"due.{due.what}")
    name = f" · {due.name}" if named and due.name else ""
    why = el("span", words(f"due_why.{due.why.replace('-', '_')}"), class_="hint")
    return join(el("strong", f"{what}{name}"), " ", moment(due.at), " ", why)


def _receipt(words: Words, receipt: Receipt) -> Markup:
    counts = ", ".join(words.count(f"going.{what}", count) for what, count in receipt.counts.items())
    why = words(f"receipt_why.{receipt.why.replace('-', '_')}")
    state = words("tunes.wipe_pending") if receipt.is_pending else words("tunes.wiped")
    return join(moment(receipt.at), " · ", counts, " ", el("span", f"{why} · {state}", class_="hint"))


# --- deleting --------------------------------------------------------------------------------------------------------


def _doom(words: Words, tune: Tune, which: str) -> Markup:
    label = words(f"doom_{which}.open")
    return button(
        f"{label} …", icon_name="trash", data_do="tune_doom", data_tune=tune.id, data_which=which, class_="quiet"
    )


def window(visit: Visit, data: Mapping[str, object], error: StudioError | None = None) -> Markup:
    """The window that says exactly what goes and what stays, and asks. Raises StudioError."""
    words, which = visit.words, "model" if data.get("which") == "model" else "all"
    going = visit.studio.retention.going(visit.account, text_of(data, "tune"), model_only=which == "model")
    title = words(f"doom_{which}.title", name=going.name)
    hidden = [el("input", type="hidden", name=name, value=text_of(data, name)) for name in ("tune", "which")]
    form = el(
        "form",
        el("h2", title),
        *_said(words, going),
        el("p", words("doom.final"), class_="warn"),
        *hidden,
        el("p", words.sentence(error), class_="fault", role="alert") if error else None,
        el(
            "div",
            el("span", class_="grow"),
            button(words("deal.keep"), data_close=True, class_="quiet"),
            el("button", words(f"doom_{which}.do"), type="submit", class_="quiet danger"),
            class_="line",
        ),
        data_send="tune_delete",
        method="dialog",
    )
    # Another one each time: the one that was closed stays closed, and the same again would be no change on the page.
    return el("dialog", form, id="tune-doom", class_="window", aria_label=title, data_asked=new_id())


def _said(words: Words, going: Going) -> list[Markup]:
    def items(counts: Mapping[str, int]) -> Markup:
        return el("ul", *(el("li", words.count(f"going.{what}", count)) for what, count in counts.items()))

    said = [el("div", el("strong", words("doom.goes")), items(going.goes), class_="goes")]
    if going.credits:
        said.append(el("p", words("doom.credits", credits=deals.in_words(words, going.credits))))
    if going.stays:
        said.append(el("div", el("strong", words("doom.stays")), items(going.stays), class_="stays"))
    return said


def deleted(visit: Visit, data: Mapping[str, object]) -> str:
    """Deletes, and gives the place to go to: the tune's own page while it is still there. Raises StudioError."""
    tune, model_only = text_of(data, "tune"), data.get("which") == "model"
    visit.studio.retention.delete(visit.account, tune, model_only=model_only)
    return tune if model_only else ""
