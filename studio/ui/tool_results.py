"""What became of the pictures given to a tool: how far it is, each before and after, and where to send it next."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from studio.domain import Job, NotFound, Picture, StudioError
from studio.tools import UpscaleRequest
from studio.ui import recipe, views
from studio.ui.html import button, el, icon
from studio.ui.visit import Visit
from studio.ui.words import Words
from studio.workshop import KINDS, Piece

ICON_OF = {"upscale": "larger", "face": "smile", "background": "cut"}
MOST_SHOWN = 24_000_000  # pixels of a picture that a browser is given whole
WHOLE = 1000  # steps of a picture in a tool's job


def refusals(visit: Visit, errors: Sequence[StudioError], *, others: int = 0) -> Markup:
    """What was said of pictures that could not be taken in; `others` are done all the same."""
    if not errors:
        return Markup("")
    words = visit.words
    lines = [el("p", words.sentence(error), class_="fault", role="alert") for error in errors]
    rest = el("p", words.count("tools.others", others), class_="hint") if others else None
    return el("div", *lines, rest, class_="faults")


def tray(visit: Visit, kind: str, ids: Sequence[str]) -> Markup:
    """The pictures that were sent here, each with the way to take it out again."""
    words = visit.words
    cells: list[Markup] = []
    for id in ids:
        try:
            picture = visit.studio.gallery.picture(visit.account, id)
        except NotFound:  # deleted meanwhile
            continue
        name = views.excerpt(views.prompt_of(picture)) or words(f"kind.{picture.kind}")
        gone = button(
            words("tools.unsend"), icon_name="close", show_label=False, data_do="unsend", data_tool=kind, data_ids=id
        )
        cells.append(el("li", el("img", src=f"media/pictures/{id}/small", alt=name), gone))
    if not cells:
        return Markup("")
    return el("div", el("span", words.count("tools.sent", len(cells)), class_="hint"), el("ul", *cells), class_="tray")


# --- a job -----------------------------------------------------------------------------------------------------------


def head(visit: Visit, job: Job, pieces: Sequence[Piece]) -> Markup:
    """How far the job is, what it costs, and what can be done with all that came out."""
    words = visit.words
    made = [piece.picture.id for piece in pieces if piece.picture is not None]
    line: list[object] = [views.state(words, job), el("span", views.price(words, job), class_="hint")]
    if job.ended:
        told = words("job.delivered", n=job.delivered, of=job.request.pictures)
        line.append(el("span", f"{told} · {words.seconds(job.seconds)}", class_="hint"))
    line.append(el("span", class_="grow"))
    if len(made) > 1:
        line += [
            _zip(words, made),
            *(_send(words, kind, made, whole=True) for kind in KINDS if kind != job.request.kind),
        ]
    line += [again(visit, job), views.cancel(words, job)]
    parts = [el("div", *line, class_="line")]
    if not job.ended:
        waiting = [one for one in visit.studio.active_jobs(visit.account)]
        place = next((at for at, one in enumerate(waiting) if one.id == job.id), 0)
        said = views.progress(words, job, place)
        parts += [views.bar(words, job), el("p", _current(words, job, pieces), said, class_="said", role="status")]
    elif job.request.pictures == 1 or job.state == "cancelled" or not any(piece.said for piece in pieces):
        parts.append(views.outcome(words, job))
    return el("section", *parts, class_="tool-head", data_job=job.id, data_state=job.state)


def again(visit: Visit, job: Job) -> Markup | None:
    """The button that does what is left of a job that failed or was cancelled, for the price it says."""
    words, left = visit.words, visit.studio.workshop.left(visit.account, job)
    if not left:
        return None
    scale = job.request.scale if isinstance(job.request, UpscaleRequest) else None
    charges = visit.studio.workshop.quote(job.request.kind, len(left), scale=scale)
    label = words("tools.for_price", what=words.count("tools.again", len(left)), price=views.cost(words, charges))
    return button(label, icon_name="again", data_do="tool_again", data_job=job.id, class_="quiet")


def _current(words: Words, job: Job, pieces: Sequence[Piece]) -> str | None:
    """Which picture is being worked on, and how far that one is."""
    open_ = [piece for piece in pieces if piece.picture is None and piece.said is None]
    if job.state != "running" or not job.steps or not open_ or len(pieces) == 1:
        return None
    name = open_[0].name or words("tools.picture", n=open_[0].index + 1)
    return words("tools.current", name=name, n=job.step % WHOLE * 100 // WHOLE) + " · "


def pieces(visit: Visit, job: Job, found: Sequence[Piece]) -> Markup:
    """A card for each picture: before and after, what was measured, or why nothing came of it."""
    return el(
        "ul", *(_piece(visit, job, piece, alone=len(found) == 1) for piece in found), class_="pieces", data_grid=True
    )


def _piece(visit: Visit, job: Job, piece: Piece, *, alone: bool) -> Markup:
    words = visit.words
    name = piece.name or words("tools.picture", n=piece.index + 1)
    if piece.picture is not None:
        picture = piece.picture
        shown = _compare(words, piece, picture) if _can_compare(piece, picture) else _small(words, picture)
        told = el("p", el("strong", name), el("span", _told(words, picture), class_="hint"), class_="about")
        return el("li", shown, told, _actions(words, job, picture), class_="piece", data_id=picture.id)
    if piece.said is not None:
        state = el("p", words.said(piece.said), class_="fault")
    elif job.ended:
        state = el("p", words("tools.not_done"), class_="hint")
    else:
        state = el("p", words("tools.waits"), class_="hint")
    if alone and job.ended:
        return el("li", el("p", el("strong", name), class_="about"), class_="piece")
    return el("li", el("p", el("strong", name), class_="about"), state, class_="piece")


def _can_compare(piece: Piece, picture: Picture) -> bool:
    return piece.upload is not None and picture.width * picture.height <= MOST_SHOWN


def _compare(words: Words, piece: Piece, picture: Picture) -> Markup:
    """Before and after, one over the other: the slider between them is a range, for mouse, finger and keys."""
    size = {"width": picture.width, "height": picture.height, "loading": "lazy", "decoding": "async"}
    before = el("img", src=f"media/pictures/{picture.id}/before", alt=words("tools.before"), class_="before", **size)
    after = el("img", src=f"media/pictures/{picture.id}.png", alt=words("tools.after"), class_="after", **size)
    slider = el(
        "input", type="range", min=0, max=100, value=50, step="any", data_compare=picture.id,
        aria_label=words("tools.slider"),
    )  # fmt: skip
    signs = [el("span", words(f"tools.{one}"), class_=f"sign {one}", aria_hidden="true") for one in ("before", "after")]
    return el("div", before, after, *signs, slider, class_="compare", style=f"--shape:{picture.width}/{picture.height}")


def _small(words: Words, picture: Picture) -> Markup:
    return el("img", src=f"media/pictures/{picture.id}/small", alt=words("tools.after"), class_="only-small")


def _told(words: Words, picture: Picture) -> str:
    """The size before and after, with which model, and of faces how near they stayed."""
    step = last_step(picture)
    parts = [f"{picture.width} × {picture.height}"]
    before = step.get("from")
    if isinstance(before, list) and before != [picture.width, picture.height]:
        parts = [f"{before[0]} × {before[1]} → {parts[0]}"]
    if step.get("model"):
        parts.append(str(step["model"]))
    faces = step.get("faces")
    for one in faces if isinstance(faces, list) else []:
        key = "face.kept" if one["strength"] else "face.left"
        parts.append(words(key, strength=f"{one['strength']:g}", distance=f"{one['distance']:.2f}"))
    return " · ".join(parts)


def last_step(picture: Picture) -> Mapping[str, object]:
    """What the tool that made the picture says it did."""
    steps = recipe.steps_of(picture)
    return steps[-1] if steps else {}


def _actions(words: Words, job: Job, picture: Picture) -> Markup:
    link = el(
        "a",
        icon("download"),
        el("span", words("picture.download")),
        href=f"media/pictures/{picture.id}.png?download",
        download=True,
        class_="quiet",
    )
    mask = None
    if job.request.kind == "background":
        mask = el(
            "a", el("span", words("background.mask")), href=f"media/pictures/{picture.id}/mask", download=True,
            class_="quiet",
        )  # fmt: skip
    view = button(
        words("tools.view"), icon_name="picture", show_label=False, data_view=picture.id, class_="quiet square"
    )
    others = [_send(words, kind, [picture.id]) for kind in KINDS if kind != job.request.kind]
    return el("div", link, mask, *others, view, class_="acts")


def send_to(words: Words) -> list[Markup]:
    """Buttons that send a picture to each tool; who shows them says which picture."""
    return [_send(words, kind, []) for kind in KINDS]


def _send(words: Words, kind: str, ids: Sequence[str], *, whole: bool = False) -> Markup:
    return button(
        words(f"{kind}.send_all" if whole else f"{kind}.send"),
        icon_name=ICON_OF[kind],
        data_do="send",
        data_tool=kind,
        data_ids=",".join(ids),
        class_="quiet",
    )


def _zip(words: Words, ids: Sequence[str]) -> Markup:
    field = el("input", type="hidden", name="ids", value=",".join(ids))
    sent = el("button", icon("download"), el("span", words("tools.zip")), type="submit", class_="quiet")
    return el("form", field, sent, method="post", action="media/zip")
