"""A tune's pictures in groups, one for each style or prompt, each with its own download."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from studio.domain import ImageRequest, Job, Picture, Tune
from studio.ui import views
from studio.ui.html import button, el, icon, join
from studio.ui.visit import MOST_IDS, Visit
from studio.ui.words import Words

A_PAGE = 100  # pictures that are read at once
MOST_SHOWN = 480  # pictures; the gallery has the others


def all_of(visit: Visit, tune: Tune, *, most: int = MOST_SHOWN) -> list[Picture]:
    """The newest pictures of a tune, newest first."""
    found: list[Picture] = []
    while len(found) < most:
        before = found[-1].id if found else None
        page = visit.studio.gallery.page(
            visit.account, tune=tune.id, limit=min(A_PAGE, most - len(found)), before=before
        )
        found += page.pictures
        if page.is_last or not page.pictures:
            break
    return found


def making(visit: Visit, tune: Tune) -> list[Job]:
    """The jobs that make pictures of a tune just now or wait to."""
    jobs = visit.studio.active_jobs(visit.account)
    return [job for job in jobs if isinstance(job.request, ImageRequest) and job.request.tune == tune.id]


def shown(visit: Visit, tune: Tune) -> Markup:
    """What is being made, and every group with its pictures, the newest group first."""
    words = visit.words
    if tune.state not in ("ready", "gone"):
        return Markup("")
    active = making(visit, tune)
    found = all_of(visit, tune)
    titles = {one.id: one.titled(words.language) for one in visit.studio.styles()}
    parts: list[Markup | None] = [_made_now(visit, tune, job, titles) for job in active[:1]]
    if len(active) > 1:
        parts.append(el("p", words.count("tunes.waiting", len(active) - 1), class_="hint"))
    if not found:
        if not active:
            parts.append(views.empty(words, "tunes.no_pictures", "picture"))
        return join(*parts)
    parts.append(_all_of_them(words, tune, found))
    for title, pictures in grouped(found, tune, titles).items():
        parts.append(_group(words, title or words("tunes.plain"), pictures))
    return join(*parts)


def grouped(found: Sequence[Picture], tune: Tune, titles: Mapping[str, str]) -> dict[str, list[Picture]]:
    """Pictures by what they were asked for: the title of a style, with the prompt where that says more than who."""
    groups: dict[str, list[Picture]] = {}
    for picture in found:
        groups.setdefault(_title(tune, views.prompt_of(picture), picture.style, titles), []).append(picture)
    return groups


def _title(tune: Tune, prompt: str, style: str | None, titles: Mapping[str, str]) -> str:
    subject = str(tune.recipe.get("subject") or "")
    said = "" if prompt.strip() == subject else prompt.strip().removeprefix(f"{subject}, ")
    return " · ".join(part for part in (titles.get(style or "", style or ""), views.excerpt(said)) if part)


def _made_now(visit: Visit, tune: Tune, job: Job, titles: Mapping[str, str]) -> Markup:
    words, request = visit.words, job.request
    assert isinstance(request, ImageRequest)
    title = _title(tune, request.prompt, request.style, titles) or words("tunes.plain")
    return el(
        "div",
        el(
            "div", views.state(words, job), el("span", title, class_="asked"),
            el("span", class_="grow"), views.cancel(words, job), class_="line",
        ),
        views.bar(words, job),
        el("p", views.progress(words, job, 0), class_="said"),
        class_="card",
        data_job=job.id,
        data_state=job.state,
    )  # fmt: skip


def _all_of_them(words: Words, tune: Tune, found: Sequence[Picture]) -> Markup:
    look = button(
        words("tunes.in_gallery"), icon_name="picture", data_do="tune_gallery", data_tune=tune.id, class_="quiet"
    )
    return el(
        "div",
        el("h2", words.count("tunes.pictures", len(found))),
        el("span", class_="grow"),
        look,
        _zip(words, found[:MOST_IDS], words("tunes.zip_all")),
        class_="line",
    )  # fmt: skip


def _group(words: Words, title: str, pictures: Sequence[Picture]) -> Markup:
    head = el(
        "div",
        el("h3", title),
        el("span", str(len(pictures)), class_="hint"),
        el("span", class_="grow"),
        _zip(words, pictures, words("tunes.zip"), name=title),
        class_="line",
    )
    cells = [views.cell(words, one, below=_actions(words, one)) for one in pictures]
    return el("section", head, el("ul", *cells, class_="pics", data_grid=True), class_="group")


def _actions(words: Words, picture: Picture) -> Markup:
    """What can be done with a picture of a tune, without words: the window that it opens in has them."""
    download = el(
        "a",
        icon("download"),
        href=f"media/pictures/{picture.id}.png?download",
        download=True,
        aria_label=words("picture.download"),
        title=words("picture.download"),
    )
    gone = button(words("picture.bin"), icon_name="trash", show_label=False, data_do="bin", data_ids=picture.id)
    return el("div", download, gone, class_="acts")


def _zip(words: Words, pictures: Sequence[Picture], label: str, *, name: str = "") -> Markup:
    field = el("input", type="hidden", name="ids", value=",".join(one.id for one in pictures))
    named = words("tunes.zip_of", name=name) if name else None
    sent = el("button", icon("download"), el("span", label), type="submit", class_="quiet", aria_label=named)
    return el("form", field, sent, method="post", action="media/zip")
