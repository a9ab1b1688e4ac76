"""A new tune: where photos are dropped, styles chosen and consent given; its handlers are in `new_tune_doing`."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio.service import Studio
from studio.ui import new_tune_doing as doing
from studio.ui import new_tune_form
from studio.ui.ears import heard
from studio.ui.html import html
from studio.ui.new_tune_form import Form
from studio.ui.new_tune_photos import Found
from studio.ui.tools import ACCEPTED
from studio.ui.visit import QUEUED, QUIET, Visit
from studio.ui.words import t


@dataclass(frozen=True, kw_only=True)
class NewTune:
    """The view's components. `draft` are the photos as the browser keeps them, `found` what the check found of them,
    `styles` the ids of the chosen ones."""

    files: gr.File
    wrong: gr.HTML
    photos: gr.HTML
    form: Form
    picker: gr.HTML
    go: gr.Button
    cost: gr.HTML
    refused: gr.HTML
    draft: gr.Textbox
    found: gr.State
    styles: gr.Textbox
    ticket: gr.Textbox

    def set_asked(self) -> list[Any]:
        """What is asked about the photos: the draft, what was found, class and nature."""
        return [self.draft, self.found, self.form.class_name, self.form.nature]

    def set_shown(self) -> list[Any]:
        """What handlers of photos fill in."""
        return [self.draft, self.found, self.photos, self.wrong]


def laid_out(studio: Studio) -> NewTune:
    def hidden() -> gr.Textbox:
        return gr.Textbox("", visible="hidden", show_label=False, container=False)

    with gr.Column(elem_classes="tool", elem_id="new-tune"):
        with gr.Column(elem_classes="tool-form", elem_id="new-drop"):
            files = gr.File(
                label=t("new.files"),
                file_count="multiple",
                file_types=ACCEPTED,
                type="filepath",
                height=150,
                elem_id="new-photos",
                elem_classes="takes-files",
            )
            wrong = html("wrong-photos")
        with gr.Column(elem_classes="tool-stage", elem_id="new-stage"):
            photos = html("photos")
            picker = html("new-styles")
        with gr.Column(elem_classes="tool-form", elem_id="new-form"):
            fields = new_tune_form.subject(studio)
            fields |= new_tune_form.training(studio)
            fields["consent"] = new_tune_form.consent()
            go = gr.Button(t("new.go"), variant="primary", elem_classes="go", elem_id="new-go")
            cost = html("new-cost")
            refused = html("refused-new")
    return NewTune(
        files=files,
        wrong=wrong,
        photos=photos,
        form=Form(**fields),
        picker=picker,
        go=go,
        cost=cost,
        refused=refused,
        draft=hidden(),
        found=gr.State(Found()),
        styles=hidden(),
        ticket=hidden(),
    )


# --- wiring ----------------------------------------------------------------------------------------------------------


def wire(
    page: gr.Blocks, new: NewTune, on: Callable[..., Any], hear: Callable[..., Any], ears: gr.HTML, place: gr.Textbox
) -> None:
    """What happens when photos are dropped, something is chosen, or the training is asked for."""
    form = new.form
    # 1. Photos: taken in and checked; each changed.
    new.files.upload(
        on(doing.gathered), [*new.set_asked(), form.crop, new.files], [*new.set_shown(), new.files], **QUEUED
    )
    gr.on([form.class_name.input, form.nature.input], on(doing.rechecked), new.set_asked(), new.set_shown(), **QUEUED)
    form.crop.input(on(doing.cropped), [new.draft, new.found, form.crop], [new.draft, new.photos], **QUEUED)
    for what in ("photo_out", "photo_crop", "photo_gone", "photos_sift", "photos_clear"):

        def changed(visit: Visit, data: Mapping[str, object], draft: str, found: Found, what: str = what) -> Any:
            return doing.photo_changed(visit, what, data, draft, found)

        heard(ears, what, hear(changed), [new.draft, new.found], [new.draft, new.photos])

    def check(visit: Visit, data: Mapping[str, object], *asked: Any) -> Iterator[list[Any]]:
        del data
        yield from doing.rechecked(visit, *asked)

    heard(ears, "photos_check", hear(check), new.set_asked(), new.set_shown())
    new.draft.change(None, new.draft, None, js="text => window.likenessTunes.keep(text)", api_visibility="private")
    page.load(
        on(doing.reopened),
        new.draft,
        new.photos,
        js="() => window.likenessTunes.kept()",
        **QUIET,
    )
    page.load(None, None, new.draft, js="() => window.likenessTunes.kept()", api_visibility="private")

    # 2. Styles, and the price that follows them.
    def picked(visit: Visit, data: Mapping[str, object]) -> str:
        return doing.styles_picked(data)

    choice = [new.styles, form.class_name, form.base]
    gr.on([form.class_name.input, form.base.input], on(doing.styles_for), choice, [new.styles, new.picker], **QUIET)
    page.load(on(doing.styles_for), choice, [new.styles, new.picker], **QUIET)
    heard(ears, "tune_styles", hear(picked), None, new.styles)
    new.styles.change(on(doing.label), new.styles, [new.go, new.cost], **QUIET)
    gr.on(
        [page.load, form.base.input],
        on(doing.base_chosen),
        form.base,
        [form.steps, form.rank, form.text_encoder],
        **QUIET,
    )

    # 3. The training.
    new.go.click(
        on(doing.start),
        [new.ticket, new.draft, new.found, new.styles, *form.all()],
        [place, new.refused, new.draft, new.found, new.photos, form.consent, form.name],
        # The styles as they are seen, however soon the click comes after they were chosen.
        js="(ticket, draft, found, styles, ...asked) =>"
        " [window.likenessTunes.ticket('new'), draft, found, window.likenessTunes.styles(styles), ...asked]",
        trigger_mode="once",
        show_progress="minimal",
        api_visibility="private",
    ).success(None, None, None, js="() => window.likenessTunes.asked('new')", api_visibility="private")
