"""The Tunes tab's handlers: photos gathered and looked at, consent, one job a click, and a tune's page to its end."""

import re
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from studio.domain import OWNER, Tune
from studio.pipelines.families import FAMILIES
from studio.rules import new_id
from studio.tuning import STATEMENT
from studio.ui import gallery, new_tune_form, new_tune_photos, new_tune_styles, tunes, tunes_grid, tunes_more, tunes_one
from studio.ui import new_tune_doing as doing
from studio.ui.new_tune_photos import Found
from studio.ui.visit import Visit
from studio.ui.words import Words, texts
from tests.ui.apprentice import FAULT, photos
from tests.ui.conftest import PATIENCE, Served

CLIENT = "sitter"
FORM: dict[str, Any] = {
    "class_name": "woman", "nature": "auto", "crop": "face", "name": "Ada", "base": "starter", "caption": "",
    "steps": None, "rank": None, "text_encoder": "", "prior": True, "mirrored": True, "seed": "",
    "policy": "keep-avatars", "consent": True,
}  # fmt: skip


def values(**changes: Any) -> list[Any]:
    """What the form's components hold."""
    return [{**FORM, **changes}[name] for name in new_tune_form.NAMES]


def gathered(visit: Visit, files: list[Path], draft: str = "", found: Found | None = None) -> list[Any]:
    """What the last step of gathering fills in: the draft, what was found, the cards, what went wrong, no files."""
    found = found or Found()
    return list(doing.gathered(visit, draft, found, "woman", "auto", "face", [str(file) for file in files]))[-1]


def started(
    visit: Visit, draft: str, found: Found, *, ticket: str = "", styles: str = "toon", **form: Any
) -> list[Any]:
    return doing.start(visit, ticket or new_id(), draft, found, styles, *values(**form))


@pytest.fixture(scope="module")
def set_of(served: Served, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Found]:
    """A draft of four good photos that were looked at."""
    visit = Visit(studio=served.studio, account=OWNER, words=Words("en"))
    draft, found, *_ = gathered(visit, photos(tmp_path_factory.mktemp("set"), 4, seed=60))
    return draft, found


@pytest.fixture
def own_set(visit: Visit, tmp_path: Path) -> tuple[str, Found]:
    """Another one, which a test may take apart."""
    draft, found, *_ = gathered(visit, photos(tmp_path, 4, seed=90))
    return draft, found


def finished(served: Served, tune: str) -> Tune:
    """The tune once it is trained and its first pictures are made."""
    tuning = served.studio.tuning
    served.ended(tuning.get(OWNER, tune).job)
    deadline = time.monotonic() + PATIENCE
    while tuning.get(OWNER, tune).styles_left:
        assert time.monotonic() < deadline, "the first pictures were not asked for"
        time.sleep(0.02)
    for job in tuning.first_jobs(OWNER, tune):
        served.ended(job.id)
    return tuning.get(OWNER, tune)


@pytest.fixture(scope="module")
def ready(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Tune:
    """A trained tune with its first pictures in one style."""
    visit = Visit(studio=served.studio, account=OWNER, words=Words("en"))
    draft, found, *_ = gathered(visit, photos(tmp_path_factory.mktemp("ready"), 4, seed=30))
    return finished(served, started(visit, draft, found, name="Grace")[0])


@pytest.fixture
def client(served: Served) -> Iterator[Visit]:
    """Somebody without a plan and without credits."""
    served.studio.open_account(CLIENT)
    yield Visit(studio=served.studio, account=CLIENT, words=Words("en"))


# --- photos ----------------------------------------------------------------------------------------------------------


def test_dropped_photos_are_taken_in_looked_at_and_shown_with_their_crop(visit: Visit, tmp_path: Path) -> None:
    steps = list(doing.gathered(visit, "", Found(), "woman", "auto", "face", [str(one) for one in photos(tmp_path)]))
    assert "Taking in photo 1 of 6" in steps[0][2]
    draft, found, cards, wrong, files = steps[-1]
    assert len(new_tune_photos.read(draft)) == 6 and found.drawn and wrong == "" and files is None
    assert cards.count('class="verdict good"') == 6 and cards.count('class="crop"') == 6
    assert "6 of 6 photos are used, 6 of them good" in cards and "taken for drawn pictures" in cards


def test_a_file_that_is_no_picture_is_named_and_the_others_are_taken(visit: Visit, tmp_path: Path) -> None:
    (tmp_path / "<b>.jpg").write_bytes(b"no picture")
    draft, _, _, wrong, _ = gathered(visit, [*photos(tmp_path, 4), tmp_path / "<b>.jpg"])
    assert len(new_tune_photos.read(draft)) == 4
    assert "&lt;b&gt;.jpg" in wrong and "<b>" not in wrong


def test_the_same_photo_again_is_said_and_not_taken_twice(
    visit: Visit, set_of: tuple[str, Found], tmp_path: Path
) -> None:
    draft, found = set_of
    again, _, _, wrong, _ = gathered(visit, photos(tmp_path, 1, seed=60), draft, found)
    assert again == draft and "photo 1.png is here already" in wrong


def test_a_photo_is_left_out_put_back_cut_otherwise_and_taken_away(visit: Visit, own_set: tuple[str, Found]) -> None:
    draft, found = own_set
    first = new_tune_photos.read(draft)[0].id
    without, cards = doing.photo_changed(visit, "photo_out", {"photo": first, "on": True}, draft, found)
    assert "3 of 4 photos are used" in cards
    back, _ = doing.photo_changed(visit, "photo_out", {"photo": first, "on": False}, without, found)
    assert back == draft
    whole, cards = doing.photo_changed(visit, "photo_crop", {"photo": first, "value": "none"}, draft, found)
    assert cards.count('class="crop"') == 3 and new_tune_photos.read(whole)[0].crop == "none"
    fewer, _ = doing.photo_changed(visit, "photo_gone", {"photo": first}, draft, found)
    assert [one.id for one in new_tune_photos.read(fewer)] == [one.id for one in new_tune_photos.read(draft)[1:]]


def test_the_bad_ones_are_left_out_in_one_click_and_then_it_may_start(visit: Visit, tmp_path: Path) -> None:
    Image.new("RGB", (40, 40), "teal").save(tmp_path / "tiny.png")
    draft, found, cards, *_ = gathered(visit, [*photos(tmp_path, 5), tmp_path / "tiny.png"])
    assert "Leave out 1 bad photo" in cards and "too small: 40x40" in cards and 'data-start=""' in cards
    assert "cannot be trained on: tiny.png" in started(visit, draft, found)[1]
    sifted, cards = doing.photo_changed(visit, "photos_sift", {}, draft, found)
    assert [one.out for one in new_tune_photos.read(sifted)] == [False] * 5 + [True]
    assert 'data-start="1"' in cards and "Leave out" in cards


def test_a_crop_lies_in_the_photo_and_the_centre_is_its_middle(visit: Visit, set_of: tuple[str, Found]) -> None:
    draft, found = set_of
    for one in new_tune_photos.read(draft):
        verdict = found.verdicts[one.id]
        left, top, right, bottom = new_tune_photos.crop_of(replace(one, crop="centre"), verdict) or (0, 0, 0, 0)
        assert right - left == bottom - top == min(verdict.width, verdict.height)
        assert abs(left - (verdict.width - right)) <= 1 and abs(top - (verdict.height - bottom)) <= 1
        assert new_tune_photos.crop_of(replace(one, crop="none"), verdict) is None


@pytest.mark.parametrize("text", ["", "{}", "[[1, 2, 3]]", '[["x", "face", false]]', "no json", "[" * 9000, None, 7])
def test_what_is_no_draft_is_none(text: Any) -> None:
    assert new_tune_photos.read(text) == ()


def test_photos_are_looked_at_again_as_another_class_and_those_left_out_are_not(
    visit: Visit, set_of: tuple[str, Found]
) -> None:
    draft, found = set_of
    first = new_tune_photos.read(draft)[0].id
    draft, _ = doing.photo_changed(visit, "photo_out", {"photo": first, "on": True}, draft, found)
    found = list(doing.rechecked(visit, draft, found, "dog", "auto"))[-1][1]
    assert found.asked == ("dog", "auto") and first not in found.verdicts and len(found.verdicts) == 3


def test_photos_that_went_meanwhile_leave_an_empty_set_and_a_sentence(visit: Visit, own_set: tuple[str, Found]) -> None:
    draft, found = own_set
    visit.studio.workshop.drop(OWNER, [new_tune_photos.read(draft)[2].id])
    emptied, _, _, wrong = list(doing.rechecked(visit, draft, found, "dog", "auto"))[-1]
    assert emptied == "" and 'class="fault"' in wrong


def test_a_photo_is_shown_to_who_handed_it_in_alone(served: Served, visit: Visit, set_of: tuple[str, Found]) -> None:
    one = new_tune_photos.read(set_of[0])[0].id
    shown = httpx.get(f"{served.url}media/photos/{one}/small")
    assert (shown.status_code, shown.headers["content-type"]) == (200, "image/webp")
    assert httpx.get(f"{served.url}media/photos/{new_id()}/small").status_code == 404


# --- asking ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"consent": False}, "consent"),
        ({"name": " "}, "name"),
        ({"steps": 3}, "steps"),
        ({"rank": 1000}, "rank"),
        ({"seed": "many"}, "seed"),
        ({"class_name": "ghost"}, "class"),
        ({"base": "nowhere"}, "base"),
    ],
)
def test_what_is_refused_names_its_field_and_costs_nothing(
    visit: Visit, set_of: tuple[str, Found], changes: dict[str, Any], field: str
) -> None:
    before = len(visit.studio.jobs(OWNER))
    place, said, *_ = started(visit, *set_of, **changes)
    assert f'data-field="{field}' in said and isinstance(place, dict)
    assert len(visit.studio.jobs(OWNER)) == before


def test_a_double_click_is_one_job_and_leaves_an_empty_form(
    served: Served, visit: Visit, set_of: tuple[str, Found]
) -> None:
    ticket = new_id()
    one, two = (started(visit, *set_of, ticket=ticket, styles="") for _ in range(2))
    assert one[0] == two[0] and one[1:3] == ["", ""] and one[5:] == [False, ""]
    assert served.ended(ticket).state == "done"


def test_consent_is_kept_in_the_words_that_were_read(served: Served, visit: Visit, set_of: tuple[str, Found]) -> None:
    german = Visit(studio=served.studio, account=OWNER, words=Words("de"))
    ticket = new_id()
    started(german, *set_of, ticket=ticket, styles="")
    with sqlite3.connect(served.studio.settings.data / "studio.db") as database:
        row = database.execute("SELECT statement, given_at FROM consent WHERE job = ?", (ticket,)).fetchone()
    assert row[0] == texts("de")["consent.text"] and row[1] > 0
    served.ended(ticket)


def test_the_statement_in_english_is_the_one_that_commands_ask_for() -> None:
    assert texts("en")["consent.text"] == STATEMENT


def test_the_price_is_on_the_button_and_below_it_what_follows(visit: Visit, client: Visit) -> None:
    button, said = doing.label(visit, "toon,comic")
    assert button["value"] == "Train – 1 tune credit"
    assert "16 pictures follow in 2 styles, for 16 tune-image credits. Missing credits are granted" in said
    assert "no tune credit left" in doing.label(client, "toon")[1]
    visit.studio.counter.grant(OWNER, CLIENT, "tune_image", 8, reason="for the test", key=new_id())
    assert "You have 8: the tune is trained all the same" in doing.label(client, "toon,comic")[1]
    assert "Without a style" in doing.label(client, "")[1]


def test_styles_follow_the_class_until_one_has_chosen_oneself(visit: Visit) -> None:
    usual = new_tune_styles.usual(visit, "woman", "starter")
    assert len(usual) == 8 and new_tune_styles.chosen(visit, "", "woman", "starter") == usual
    own = "toon,couple-engagement"
    assert new_tune_styles.chosen(visit, own, "woman", "starter") == ["toon"]
    assert new_tune_styles.chosen(visit, own, "couple", "starter") == ["toon", "couple-engagement"]
    shown = new_tune_styles.shown(visit, ["toon"], "dog")
    assert 'data-style="pet-royal"' in shown and 'data-style="couple-engagement"' not in shown


def test_the_styles_that_the_script_tells_are_taken_each_once_and_a_ninth_is_not() -> None:
    eight = ",".join(f"style-{number}" for number in range(8))
    assert doing.styles_picked({"styles": f"style-0,{eight},style-9"}) == eight
    assert doing.styles_picked({"styles": ""}) == doing.styles_picked({}) == ""


# --- a tune's page ---------------------------------------------------------------------------------------------------


def test_a_training_that_fails_says_why_and_offers_a_new_one(
    served: Served, visit: Visit, set_of: tuple[str, Found]
) -> None:
    place = started(visit, *set_of, name="this will fail")[0]
    served.ended(visit.studio.tuning.get(OWNER, place).job)
    head = tunes_one.shown(visit, visit.studio.tuning.get(OWNER, place))
    assert FAULT in head and 'data-place="new"' in head and "Nothing was charged" in head
    assert FAULT in tunes_grid.shown(visit)


def test_pictures_stand_in_groups_by_style_each_with_its_own_download(visit: Visit, ready: Tune) -> None:
    shown = tunes.looked(visit, ready.id, {})[2]
    assert shown.count('class="group"') == 1 and "<h3>Toon</h3>" in shown and shown.count("data-view=") == 8
    assert shown.count('action="media/zip"') == 2


def test_more_pictures_are_asked_for_once_at_the_price_that_is_said(served: Served, visit: Visit, ready: Tune) -> None:
    assert tunes_more.label(visit, 3, False, False)["value"] == "Make 3 pictures – 3 tune-image credits"
    assert "3 credits" in tunes_more.label(visit, 3, True, False)["value"]
    asked = dict(
        zip(tunes_more.NAMES, ["as a pirate", "comic", 2, "", "", "hats", 1.1, 2, 3.0, 7, False, False], strict=True)
    )
    ticket = new_id()
    for _ in range(2):
        assert tunes_more.ask(visit, ready.id, ticket, *asked.values()) == ""
    job = served.ended(ticket)
    assert (job.delivered, job.request.to_json()["tune_strength"]) == (2, 1.1)
    assert "<h3>Comic · as a pirate</h3>" in tunes.looked(visit, ready.id, {})[2]
    assert 'data-field="steps"' in tunes_more.ask(visit, ready.id, new_id(), *(asked | {"steps": 0}).values())


def test_at_rest_nothing_is_sent_anew(visit: Visit, ready: Tune) -> None:
    for place in ("", ready.id):
        seen = tunes.looked(visit, place, {})[-1]
        assert all(isinstance(one, dict) for one in tunes.looked(visit, place, seen)[:-1])


def test_a_place_that_is_not_ones_own_is_the_grid(client: Visit, ready: Tune) -> None:
    assert [tunes.place_of(client, asked) for asked in (ready.id, "../etc", None, "new")] == ["", "", "", "new"]
    assert client.studio.tuning.get(OWNER, ready.id) and tunes.tune_at(client, ready.id) is None
    assert "No tunes yet" in tunes_grid.shown(client)


def test_the_form_for_more_pictures_takes_the_tunes_own_base_whatever_becomes_of_it(
    visit: Visit, ready: Tune, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(tune: Tune) -> tuple[Any, list[Any]]:
        update = dict(zip(tunes_more.NAMES, tunes_more.fitted(visit, tune), strict=True))["base"]
        return update["value"], [value for _, value in update["choices"]]

    learning = replace(ready, state="training", recipe={})
    assert asked(ready) == asked(learning) == ("starter", ["starter"])
    gone = replace(ready, base="owner/gone", recipe={**ready.recipe, "base": {"family": "starter"}})
    assert asked(gone) == ("owner/gone", ["owner/gone", "starter"])
    steps, guidance, _ = tunes_more.chosen(visit, gone, "starter")
    assert steps["value"] == FAMILIES["starter"].steps and guidance["visible"]
    assert tunes_more.chosen(visit, ready, "starter")[0]["value"] == ready.recipe["draws_in"]


def test_many_tunes_are_turned_over_page_by_page(
    served: Served, visit: Visit, ready: Tune, set_of: tuple[str, Found], monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(served, started(visit, *set_of, name="Newer")[0])
    known = [one.id for one in visit.studio.tuning.all(OWNER)]
    assert 'class="pager"' not in tunes_grid.shown(visit), "all of them are on one page"
    monkeypatch.setattr(tunes_grid, "PER_PAGE", 1)

    def seen_at(place: str) -> tuple[list[str], str, bool]:
        """The tunes of a page, the place of the page after it, and whether it is the last."""
        assert tunes.place_of(visit, place) == place and tunes.tune_at(visit, place) is None
        grid = tunes.looked(visit, place, {})[0]
        older = re.search(r'data-place="(older:[0-9a-f-]{36})"( disabled)?', grid)
        assert older is not None
        return re.findall(r'data-place="([0-9a-f-]{36})"', grid), older[1], older[2] is not None

    seen, page, is_last = [], "", False
    for _ in known:
        ids, page, is_last = seen_at(page)
        seen += ids
    assert seen == known and is_last, "each once, newest first, and nothing behind the last"
    assert seen_at(f"older:{new_id()}") == seen_at(""), "from the beginning, where that tune was deleted meanwhile"


def test_the_loss_is_drawn_and_told(visit: Visit, ready: Tune) -> None:
    drawn = tunes_one.plotted(visit.words, ready.losses)
    assert drawn is not None and "<polyline" in drawn and "Loss: 0.377 at the start, 0.095 now" in drawn
    assert tunes_one.plotted(visit.words, (0.3,)) is None
    assert tunes_one.plotted(visit.words, (0.0, 0.0)) is not None


def test_days_left_are_said_and_pointed_out_when_they_are_few(
    visit: Visit, ready: Tune, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_790_000_000
    monkeypatch.setattr(tunes_grid, "utc_now", lambda: now)
    for seconds, said, look in (
        (29 * 86_400 + 5, "30 days left", "hint"),
        (3600, "1 day left", "soon"),
        (-5, "0 days", "soon"),
    ):
        shown = tunes_grid.kept(visit.words, ready, now + seconds)
        assert shown is not None and said in shown and look in shown


def test_what_goes_and_what_stays_is_said_before_anything_is_deleted(
    served: Served, visit: Visit, own_set: tuple[str, Found]
) -> None:
    place = started(visit, *own_set, name="Short <b>life</b>", styles="toon")[0]
    tune = finished(served, place)
    asked = {"tune": place, "which": "model"}
    said = tunes.tunes_keeping.window(visit, asked)
    goes, stays = said.split("This stays:")
    assert "the model" in goes and "8 pictures" in stays and "4 photos" in stays and "<b>" not in said
    assert tunes.tunes_keeping.deleted(visit, asked) == place
    assert visit.studio.tuning.get(OWNER, place).state == "gone"
    picture = tunes.tunes_pictures.all_of(visit, tune)[0].id
    assert httpx.get(f"{served.url}media/pictures/{picture}.png").status_code == 200
    everything = {"tune": place, "which": "all"}
    goes, stays = tunes.tunes_keeping.window(visit, everything).split("This stays:")
    assert "8 pictures" in goes and "record of consent" in goes and "account book" in stays
    assert tunes.tunes_keeping.deleted(visit, everything) == ""
    assert tunes.tune_at(visit, place) is None
    assert httpx.get(f"{served.url}media/pictures/{picture}.png").status_code == 404
    assert "Deleted: " in tunes_grid.shown(visit)


def test_the_gallery_shows_the_pictures_of_one_tune_alone(visit: Visit, ready: Tune) -> None:
    kind, base, style, of_tune, _ = gallery.of_tune(visit, {"tune": ready.id})
    assert (ready.name, ready.id) in of_tune["choices"] and of_tune["value"] == ready.id
    assert kind["value"] == base["value"] == style["value"] == ""
    shown = gallery.shown(visit, "", "", "", "", of_tune["value"], False, "")
    ours = {one.id for one in tunes.tunes_pictures.all_of(visit, ready)}
    assert set(re.findall(r'data-view="([^"]+)"', shown)) == ours and len(ours) >= 8
