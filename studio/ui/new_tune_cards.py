"""How the photos of a new tune look: a card each with its verdict, and the part that is used drawn on it."""

from markupsafe import Markup

from studio.photo_report import CROP_MODES, PhotoVerdict
from studio.ui import views
from studio.ui.html import button, el, icon, join
from studio.ui.new_tune_photos import Draft, Found, Gathered, crop_of, kept, report, told
from studio.ui.words import Words

SIGNS = {"good": "check", "warned": "alert", "blocking": "close"}


def shown(words: Words, draft: Draft, found: Found, *, progress: Markup | None = None) -> Markup:
    """All photos, what is said of the set, and one click for what the check advises."""
    if not draft:
        return join(progress, views.empty(words, "new.empty", "picture"))
    cards = [_card(words, one, found.verdicts.get(one.id)) for one in draft]
    return join(progress or _summary(words, draft, found), el("ul", *cards, class_="photos"))


def looking(words: Words, key: str, share: float, **values: object) -> Markup:
    """How far taking in or looking at photos is."""
    done = round(100 * share)
    bar = el(
        "div", el("div", style=f"width:{done}%", class_="fill"), class_="bar", role="progressbar", aria_valuenow=done,
        aria_valuemin=0, aria_valuemax=100, aria_label=words("job.progress"),
    )  # fmt: skip
    return el("div", el("p", words(key, **values), class_="said", role="status"), bar, class_="told")


def _summary(words: Words, draft: Draft, found: Found) -> Markup:
    used = kept(draft)
    if any(one.id not in found.verdicts for one in used):
        again = button(words("new.check"), icon_name="again", data_do="photos_check", class_="quiet")
        return el("div", el("p", words("new.unchecked"), class_="hint"), again, class_="line")
    result = report(draft, found)
    good = sum(one.verdict == "good" for one in result.photos)
    parts: list[Markup | None] = [el("strong", words("new.used", n=len(used), good=good, of=len(draft)))]
    parts.append(el("span", class_="grow"))
    if result.leave_out:
        parts.append(
            button(
                words.count("new.leave_out", len(result.leave_out)), icon_name="check", data_do="photos_sift",
                class_="quiet",
            )
        )  # fmt: skip
    if any(one.out for one in draft) and any(one.code == "mixed" for one in found.told):
        parts.append(button(words("new.check"), icon_name="again", data_do="photos_check", class_="quiet"))
    parts.append(button(words("new.clear"), icon_name="trash", data_do="photos_clear", class_="quiet"))
    said = [el("p", words.said(one.sentence), class_="fault" if one.blocks else "hint") for one in told(draft, found)]
    return el("div", el("div", *parts, class_="line"), *said, class_="told", data_start="1" if result.may_start else "")


def _card(words: Words, one: Gathered, verdict: PhotoVerdict | None) -> Markup:
    name = verdict.name if verdict else words("new.photo")
    frame = el("img", src=f"media/photos/{one.id}/small", alt=name, loading="lazy", decoding="async")
    marked = verdict.verdict if verdict else "unseen"
    said: list[Markup] = []
    if verdict:
        label = el("span", icon(SIGNS[marked]), words(f"verdict.{marked}"), class_=f"verdict {marked}")
        said = [label, *(el("span", words.said(reason.sentence), class_="why") for reason in verdict.reasons)]
    picture = el("div", frame, _drawn_crop(one, verdict), class_="frame")
    choices = [el("option", words(f"crop.{mode}"), value=mode, selected=mode == one.crop) for mode in CROP_MODES]
    crop = el(
        "select", *choices, data_change="photo_crop", data_photo=one.id, aria_label=words("new.crop_of", name=name),
        disabled=one.out,
    )  # fmt: skip
    out = button(
        words("new.put_back" if one.out else "new.out"),
        data_do="photo_out",
        data_photo=one.id,
        data_on="" if one.out else "1",
        aria_label=words("new.back_of" if one.out else "new.out_of", name=name),
        class_="quiet",
    )
    gone = button(
        words("new.gone_of", name=name), icon_name="trash", show_label=False, data_do="photo_gone", data_photo=one.id,
        class_="quiet square",
    )  # fmt: skip
    return el(
        "li",
        picture,
        el("span", name, class_="name"),
        *said,
        el("div", crop, gone, out, class_="acts"),
        class_="photo out" if one.out else "photo",
        data_verdict=marked,
        data_photo=one.id,
    )


def _drawn_crop(one: Gathered, verdict: PhotoVerdict | None) -> Markup | None:
    """The frame around the part that is used, in per cent of the photo."""
    if verdict is None or not verdict.width or one.out:
        return None
    box = crop_of(one, verdict)
    if box is None:
        return None
    left, top, right, bottom = box
    style = (
        f"left:{100 * left / verdict.width:.2f}%;top:{100 * top / verdict.height:.2f}%;"
        f"width:{100 * (right - left) / verdict.width:.2f}%;height:{100 * (bottom - top) / verdict.height:.2f}%"
    )
    return el("span", class_="crop", style=style, aria_hidden="true")
