"""What happens on the way to a new tune: photos are taken in and looked at, styles chosen, the training asked for."""

from collections.abc import Iterator, Mapping
from typing import Any

import gradio as gr
from markupsafe import Markup

from studio.domain import Job, NotFound, Refused, StudioError
from studio.ui import deals, new_tune_cards, new_tune_form, new_tune_photos, new_tune_styles, playground, tool_results
from studio.ui.html import el
from studio.ui.new_tune_photos import Draft, Found, Gathering, is_checked, kept, written
from studio.ui.visit import Visit, text_of

# --- photos ----------------------------------------------------------------------------------------------------------

Shown = list[Any]  # the draft, what was found, its cards, what went wrong


def gathered(
    visit: Visit, draft: str, found: Found, class_name: str, nature: str, crop: str, files: Any
) -> Iterator[Shown]:
    """Takes photos in, says how far that is, and then checks all of them. The last value empties the file field."""
    words, paths = visit.words, [str(one) for one in files or []]
    gathering = Gathering(draft=new_tune_photos.read(draft))
    for done in gathering.take_in(visit, paths, crop):  # type: ignore[arg-type]
        told = new_tune_cards.looking(words, "new.taking", done / len(paths), n=done, of=len(paths))
        yield [
            gr.skip(),
            gr.skip(),
            new_tune_cards.shown(words, gathering.draft, found, progress=told),
            gr.skip(),
            None,
        ]
    wrong = tool_results.refusals(visit, gathering.wrong)
    for shown in looked_at(visit, gathering.draft, found, class_name, nature):
        yield [*shown[:3], join_wrong(wrong, shown[3]), None]


def rechecked(visit: Visit, draft: str, found: Found, class_name: str, nature: str) -> Iterator[Shown]:
    """Looks at the photos again, where they were not looked at as this yet."""
    photos = new_tune_photos.read(draft)
    if not photos or is_checked(photos, found, class_name, nature):
        yield [gr.skip(), gr.skip(), new_tune_cards.shown(visit.words, photos, found), gr.skip()]
        return
    yield from looked_at(visit, photos, found, class_name, nature)


def looked_at(visit: Visit, photos: Draft, found: Found, class_name: str, nature: str) -> Iterator[Shown]:
    """The check, with how far it is."""
    words = visit.words
    try:
        for step in new_tune_photos.checked(visit, photos, class_name, nature, found):
            if isinstance(step, Found):
                found = step
            else:
                told = new_tune_cards.looking(words, "new.looking", step, n=len(kept(photos)))
                cards = new_tune_cards.shown(words, photos, found, progress=told)
                yield [gr.skip(), gr.skip(), cards, gr.skip()]
    except NotFound as error:  # they went since: a draft is kept for some days
        yield ["", Found(), new_tune_cards.shown(words, (), Found()), tool_results.refusals(visit, [error])]
        return
    except StudioError as error:
        cards = new_tune_cards.shown(words, photos, found)
        yield [written(photos), found, cards, tool_results.refusals(visit, [error])]
        return
    yield [written(photos), found, new_tune_cards.shown(words, photos, found), Markup("")]


def join_wrong(one: Any, other: Any) -> Any:
    """What could not be taken in, and what kept the check from being done."""
    return Markup("").join(part for part in (one, other) if isinstance(part, Markup))


def photo_changed(visit: Visit, what: str, data: Mapping[str, object], draft: str, found: Found) -> tuple[str, Markup]:
    """One photo left out, put back, cut otherwise or taken away; or all the bad ones left out, or all taken away."""
    photos = new_tune_photos.read(draft)
    if what == "photos_sift":
        photos = new_tune_photos.without_the_bad(photos, found)
    elif what == "photos_clear":
        visit.studio.workshop.drop(visit.account, [one.id for one in photos])
        photos = ()
    else:
        id = text_of(data, "photo")
        if what == "photo_out":
            photos = new_tune_photos.changed(photos, id, out=bool(data.get("on")))
        elif what == "photo_crop" and data.get("value") in new_tune_form.CROP_MODES:
            photos = new_tune_photos.changed(photos, id, crop=data["value"])
        elif what == "photo_gone" and any(one.id == id for one in photos):
            visit.studio.workshop.drop(visit.account, [id])
            photos = tuple(one for one in photos if one.id != id)
    return written(photos), new_tune_cards.shown(visit.words, photos, found)


def cropped(visit: Visit, draft: str, found: Found, crop: str) -> tuple[str, Markup]:
    """Every photo cut in one way."""
    photos = new_tune_photos.read(draft)
    for one in photos:
        photos = new_tune_photos.changed(photos, one.id, crop=crop)
    return written(photos), new_tune_cards.shown(visit.words, photos, found)


def reopened(visit: Visit, draft: str) -> Markup:
    """The photos of a draft that the browser kept; they are looked at when that is asked for."""
    return new_tune_cards.shown(visit.words, new_tune_photos.read(draft), Found())


# --- styles and price ------------------------------------------------------------------------------------------------


def styles_for(visit: Visit, styles: str, class_name: str, base: str) -> tuple[str, Markup]:
    """The choice that fits class and base, and the picker."""
    held = new_tune_styles.chosen(visit, styles, class_name, base)
    return ",".join(held), new_tune_styles.shown(visit, held, class_name)


def styles_picked(data: Mapping[str, object]) -> str:
    """The styles that are chosen now, as the page's script tells them."""
    return ",".join(new_tune_styles.ids_in(data.get("styles")))


def base_chosen(visit: Visit, base: str) -> list[Any]:
    """What steps, rank and text encoder are where nobody says otherwise."""
    words = {name: visit.words(f"new.{name}") for name in ("yes", "no", "usual")}
    return new_tune_form.usual_values(new_tune_form.bases_to_train(visit.studio).get(base), words)


def label(visit: Visit, styles: str) -> tuple[Any, Markup]:
    """What the button says that the training costs, and below it what the pictures that follow do."""
    words, held = visit.words, new_tune_styles.ids_in(styles)
    charges = visit.studio.tuning.quote(len(held))
    training = words.count(f"credit.{charges[0].kind}", charges[0].amount)
    price = gr.update(value=words("tools.for_price", what=words("new.go"), price=training))
    lines = [el("p", _avatars_told(visit, len(held), [*charges[1:]]), class_="hint")]
    house = visit.studio.counter.plan(visit.account).name == deals.HOUSE
    there = visit.studio.counter.balances(visit.account)[charges[0].kind].available
    if there < charges[0].amount and not house:
        lines.append(el("p", words("new.no_credit"), class_="warn"))
    return price, Markup("").join(lines)


def _avatars_told(visit: Visit, styles: int, charges: list[Any]) -> str:
    words = visit.words
    if not charges:
        return words("new.no_avatars")
    (charge,) = charges
    told = words(
        "new.avatars", n=charge.count, styles=styles, price=words.count(f"credit.{charge.kind}", charge.amount)
    )
    if visit.studio.counter.plan(visit.account).name == deals.HOUSE:
        return f"{told} {words('new.house')}"
    there = visit.studio.counter.balances(visit.account)[charge.kind].available
    return told if there >= charge.amount else f"{told} {words('new.too_few', n=there)}"


# --- asking ----------------------------------------------------------------------------------------------------------


def start(visit: Visit, ticket: str, draft: str, found: Found, styles: str, *values: Any) -> list[Any]:
    """Queues the training. Gives the tune's id as the place to go to and what was refused; then the draft, what was
    found, the cards, the consent and the name, which are empty again where it went well."""
    try:
        job = asked_for(visit, ticket, new_tune_photos.read(draft), found, styles, values)
    except StudioError as error:
        return [gr.skip(), playground.refusal(visit, error), *[gr.skip()] * 5]
    tune = visit.studio.tuning.of_job(visit.account, job.id)
    return [tune.id, Markup(""), "", Found(), new_tune_cards.shown(visit.words, (), Found()), False, ""]


def asked_for(visit: Visit, ticket: str, draft: Draft, found: Found, styles: str, values: Any) -> Job:
    """The job of a training of these photos. Raises StudioError."""
    # 1. The fields, and consent.
    fields = new_tune_form.request_fields(values)
    held = dict(zip(new_tune_form.NAMES, values, strict=True))
    used = kept(draft)
    if not used:
        raise Refused("There is no photo yet: drop some here.", field="photos", allowed="4 to 30 photos")

    # 2. The photos: looked at as what they are said to be, and nothing in the way.
    if not is_checked(draft, found, held["class_name"], held["nature"]):
        for step in new_tune_photos.checked(visit, draft, held["class_name"], held["nature"], found):
            found = step if isinstance(step, Found) else found
    report = new_tune_photos.report(draft, found)
    if not report.may_start:
        bad = ", ".join(one.name for one in report.photos if one.verdict == "blocking")
        said = next((one.sentence for one in report.told if one.blocks), "")
        raise Refused(said or f"These photos cannot be trained on: {bad}.", field="photos", allowed="good photos")

    # 3. The training.
    crops = [new_tune_photos.crop_of(one, verdict) for one, verdict in zip(used, report.photos, strict=True)]
    fields |= {"photos": [one.id for one in used], "crops": crops, "styles": new_tune_styles.ids_in(styles)}
    return visit.studio.tuning.train(
        visit.account, fields, statement=visit.words("consent.text"), job_id=ticket or None
    )
