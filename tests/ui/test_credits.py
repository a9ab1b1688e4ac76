"""The Credits tab: what it shows is what the account book says; what changes credits is the owner's alone."""

import contextlib
import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from markupsafe import Markup

from studio.domain import OWNER, Conflict, NotFound, StudioError
from studio.rules import new_id
from studio.service import Studio
from studio.ui import account_book, credits, deals
from studio.ui.media import account_book as csv_of
from studio.ui.visit import Visit
from studio.ui.words import Words
from tests.fakes import CLIENT, StillClock
from tests.ui.artist import Artist
from tests.ui.conftest import opened

OTHER = "other"


@pytest.fixture
def clock() -> StillClock:
    return StillClock(1_793_534_400)  # 2026-11-01 12:00


@pytest.fixture
def studio(tmp_path: Path, clock: StillClock) -> Iterator[Studio]:
    studio = opened(tmp_path, Artist(), clock=clock)
    for account in (CLIENT, OTHER):
        studio.open_account(account)
    yield studio
    assert studio.verify() == []
    studio.close()


def visit(studio: Studio, account: str = OWNER, language: str = "en") -> Visit:
    return Visit(studio=studio, account=account, words=Words(language))


def tab(visit: Visit, whose: str = "", kind: str = "", phase: str = "", place: str = "") -> list[str]:
    """Balances and prices; the account book; purchases and accounts."""
    *pieces, _ = credits.looked(visit, {}, whose, kind, phase, place)
    return [str(piece) for piece in pieces]


def cells(html: str) -> list[list[str]]:
    """The texts of the tables' cells, row by row."""
    rows = re.findall(r"<tr>(.*?)</tr>", html)
    return [[Markup(one).striptags() for one in re.findall(r"<td[^>]*>(.*?)</td>", row)] for row in rows]


def book_of(studio: Studio) -> dict[str, list[Any]]:
    return {account: studio.counter.history(account) for account in (OWNER, CLIENT, OTHER)}


# --- what is shown ---------------------------------------------------------------------------------------------------


def test_the_balances_are_those_of_the_account_book(studio: Studio) -> None:
    studio.counter.subscribe(OWNER, CLIENT, "basic")
    studio.counter.buy(OWNER, CLIENT, "tune")
    studio.generate(CLIENT, {"prompt": "a smiling woman", "count": 3})
    now, *_ = tab(visit(studio, CLIENT))
    assert re.findall(r'data-available="(\w+)">([\d,]+)<', now) == [
        ("playground", "997"), ("tune", "1"), ("tune_image", "64"),
    ]  # fmt: skip
    assert re.findall(r'data-posted="(\d+)" data-held="(\d+)"', now) == [("1000", "3"), ("1", "0"), ("64", "0")]
    assert "1,000 in all, 3 held for jobs" in now


def test_the_plan_tells_what_it_includes_and_what_comes_next(studio: Studio, clock: StillClock) -> None:
    studio.counter.subscribe(OWNER, CLIENT, "business", annual=True)
    studio.counter.subscribe(OWNER, CLIENT, "basic")
    now, *_ = tab(visit(studio, CLIENT))
    assert "6,000 playground credits a month" in now
    assert 'datetime="2026-12-01T00:00:00+00:00"' in now
    assert "<dt>Then</dt><dd>Basic</dd>" in now
    assert "Tunes are kept while the plan is active" in now
    assert "nothing is refused" in tab(visit(studio))[0]
    assert "Ohne Tarif" in tab(visit(studio, OTHER, "de"))[0]


def test_the_table_has_the_18_cells(studio: Studio) -> None:
    now, *_ = tab(visit(studio, CLIENT))
    sizes = [row for row in cells(now) if row and "×" in row[0]]
    assert sizes == [
        ["512 × 512", "1", "2", "4"],
        ["512 × 768", "1", "2", "4"],
        ["512 × 1024", "1", "2", "6"],
        ["768 × 768", "1", "2", "6"],
        ["768 × 1024", "1", "2", "8"],
        ["1024 × 1024", "2", "4", "10"],
    ]


def test_this_months_use_is_a_bar_for_each_day(studio: Studio, clock: StillClock) -> None:
    studio.counter.grant(OWNER, CLIENT, "playground", 100, reason="kind")
    for count in (1, 4):
        job = studio.generate(CLIENT, {"prompt": "a face", "count": count, "width": 128, "height": 128})
        studio.wait(CLIENT, job.id)
        clock.now += 86_400
    now, *_ = tab(visit(studio, CLIENT))
    assert "Playground: 5 credits" in now
    assert re.findall(r'height:(\d+)%" title="Day (\d+): (\d+) credits?"', now)[:3] == [
        ("25", "1", "1"), ("100", "2", "4"), ("0", "3", "0"),
    ]  # fmt: skip
    assert now.count("title=&#34;Day") + now.count('title="Day') == 30
    clock.now += 86_400 * 30
    assert "Playground: 0 credits" in tab(visit(studio, CLIENT))[0]


def test_an_entry_leads_to_its_job_and_its_pictures(studio: Studio) -> None:
    job = studio.generate(OWNER, {"prompt": "a face", "count": 2, "width": 128, "height": 128})
    studio.wait(OWNER, job.id)
    made = studio.gallery.of_job(OWNER, job.id)
    _, book, _ = tab(visit(studio), phase="capture")
    assert f'data-do="look" data-job="{job.id}"' in book
    assert re.findall(r'data-view="([\w-]+)"', book) == [one.id for one in made]


def test_the_book_is_filtered_and_leafed_through(studio: Studio) -> None:
    for number in range(30):
        studio.counter.grant(OWNER, CLIENT, "tune" if number % 3 else "playground", 1, reason=f"number {number}")
    asker = visit(studio, CLIENT)
    _, book, _ = tab(asker)
    assert "1–25 of 30" in book and "number 29" in book and "number 4<" not in book
    _, older, _ = tab(asker, place=re.findall(r'data-place="(before:\d+)"', book)[0])
    assert "26–30 of 30" in older and "number 4<" in older
    _, newer, _ = tab(asker, place=re.findall(r'data-place="(after:\d+)"', older)[0])
    assert newer == book
    assert "1–10 of 10" in tab(asker, kind="playground")[1]
    assert "No entry matches." in tab(asker, phase="refund")[1]


@pytest.mark.parametrize("place", ["before:", "before:x", "after:-1", "before:" + "9" * 40, "sideways:3", "x", "%00"])
def test_a_place_that_is_none_is_the_newest_page(studio: Studio, place: str) -> None:
    studio.counter.grant(OWNER, CLIENT, "tune", 1, reason="kind")
    assert tab(visit(studio, CLIENT), kind="'; DROP", phase="x", place=place) == tab(visit(studio, CLIENT))


def test_what_has_not_changed_is_not_sent_again(studio: Studio) -> None:
    first = credits.looked(visit(studio), {}, "", "", "", "")
    again = credits.looked(visit(studio), first[-1], "", "", "", "")
    assert all(piece["__type__"] == "update" for piece in again[:-1])
    studio.counter.grant(OWNER, OWNER, "tune", 1, reason="kind")
    moved = credits.looked(visit(studio), again[-1], "", "", "", "")
    assert isinstance(moved[0], Markup) and isinstance(moved[1], Markup)


def test_what_people_wrote_is_text_and_never_markup(studio: Studio) -> None:
    studio.counter.grant(OWNER, CLIENT, "tune", 1, reason="<img src=x onerror=alert(1)>")
    whole = "".join(tab(visit(studio), whose=CLIENT))
    assert "<img src=x" not in whole and "&lt;img src=x" in whole


def test_the_reasons_of_the_book_are_said_in_german(studio: Studio) -> None:
    studio.counter.buy(OWNER, CLIENT, "tune", price=990)
    studio.counter.grant(OWNER, CLIENT, "playground", 5, reason="granted by the owner")
    studio.generate(CLIENT, {"prompt": "a face"})
    _, book, _ = tab(visit(studio, CLIENT, "de"))
    for said in ("Paket Tune, 9.90 USD, eingetragen von owner", "vom Besitzer gutgeschrieben", "für einen Auftrag"):
        assert said in book


# --- as CSV ----------------------------------------------------------------------------------------------------------


def asked(**params: str) -> Any:
    return SimpleNamespace(query_params=params)


def test_the_csv_has_every_entry_that_the_filter_lets_through(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_book, "AT_A_TIME", 2)
    for number in range(5):
        studio.counter.grant(OWNER, CLIENT, "tune", number + 1, reason="=1+1" if number == 4 else "kind")
    studio.counter.grant(OWNER, CLIENT, "playground", 9, reason="kind")
    whole = "".join(account_book.as_csv(visit(studio, CLIENT), CLIENT, "tune", None))
    rows = list(csv.DictReader(io.StringIO(whole)))
    assert [row["balance"] for row in rows] == ["5", "4", "3", "2", "1"]
    assert (rows[0]["reason"], rows[0]["at"], rows[0]["what"]) == ("'=1+1", "2026-11-01 12:00:00", "grant")


def test_the_csv_of_anothers_book_does_not_exist(studio: Studio) -> None:
    assert csv_of(visit(studio, CLIENT), asked()).status_code == 200
    assert csv_of(visit(studio), asked(whose=CLIENT)).status_code == 200
    for whose in (OWNER, OTHER, "nobody"):
        with pytest.raises(NotFound):
            csv_of(visit(studio, CLIENT), asked(whose=whose))
    with pytest.raises(NotFound):
        csv_of(visit(studio), asked(whose="nobody"))


# --- who may what ----------------------------------------------------------------------------------------------------


def test_what_is_anothers_does_not_exist_and_the_owner_sees_accounts_but_no_pictures(studio: Studio) -> None:
    job = studio.generate(OWNER, {"prompt": "a face", "width": 128, "height": 128})
    studio.counter.grant(OWNER, CLIENT, "playground", 5, reason="kind")
    theirs = studio.generate(CLIENT, {"prompt": "a face", "width": 128, "height": 128})
    studio.wait(CLIENT, theirs.id)
    for whose in (OWNER, OTHER, "nobody"):
        with pytest.raises(NotFound):
            tab(visit(studio, CLIENT), whose=whose)
    mine = "".join(tab(visit(studio, CLIENT)))
    assert OTHER not in mine and job.id not in mine and 'data-do="deal"' not in mine
    now, book, office = tab(visit(studio), whose=CLIENT)
    assert f"This is the account {CLIENT}." in now
    assert "data-view" not in book and "data-job" not in book and theirs.id[:8] in book
    assert {row[0] for row in cells(office) if row} >= {OWNER, CLIENT, OTHER}


def window(visit: Visit, **data: str) -> dict[str, str]:
    """Opens the window of a deal and returns its fields as the browser would send them."""
    fields = re.findall(r'<input[^>]*?name="(\w+)" value="([^"]*)"', str(deals.offered(visit, data)))
    return {name: value for name, value in fields}


def attempts(studio: Studio) -> list[dict[str, str]]:
    bought = studio.counter.buy(OWNER, CLIENT, "tune")
    return [
        {"what": "subscribe", "item": "business", "price": ""},
        {"what": "house"},
        {"what": "buy", "item": "tune", "price": "0"},
        {"what": "refund", "item": bought.id, "reason": "please"},
        {"what": "grant", "kind": "tune", "amount": "5", "reason": "please"},
    ]


def test_nobody_but_the_owner_changes_credits_by_hand(studio: Studio) -> None:
    made = attempts(studio)
    before = book_of(studio)
    for attempt in made:
        for whose in ("", CLIENT, OTHER, OWNER, "nobody"):
            data = {**attempt, "whose": whose, "id": new_id(), "account": OWNER, "by": OWNER}
            with pytest.raises(StudioError):
                deals.offered(visit(studio, CLIENT), data)
            with pytest.raises(StudioError):
                deals.done(visit(studio, CLIENT), data)
    assert book_of(studio) == before


def test_a_plan_is_cancelled_by_the_owner_and_by_whose_it_is(studio: Studio) -> None:
    for account in (CLIENT, OTHER):
        studio.counter.subscribe(OWNER, account, "basic")
    with pytest.raises(NotFound):
        deals.done(visit(studio, CLIENT), {"what": "cancel", "whose": OTHER})
    assert studio.counter.plan(OTHER).ends_at is None
    assert deals.done(visit(studio, CLIENT), {"what": "cancel"}).notice
    assert deals.done(visit(studio), {"what": "cancel", "whose": OTHER}).notice
    assert studio.counter.plan(CLIENT).ends_at == studio.counter.plan(OTHER).ends_at is not None


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"what": None},
        {"what": ["grant"]},
        {"what": "steal"},
        {"what": "grant", "kind": "gold", "amount": "5", "reason": "x", "id": new_id()},
        {"what": "grant", "kind": "tune", "amount": "5", "reason": "x", "id": "mine"},
        {"what": "grant", "kind": "tune", "amount": "5", "reason": "x" * 300, "id": new_id()},
        {"what": "grant", "kind": "tune", "amount": {"a": 1}, "reason": "x", "id": new_id()},
        {"what": "buy", "item": "../../etc", "price": "", "id": new_id()},
        {"what": "buy", "item": "tune", "id": new_id()},
        {"what": "subscribe", "item": 5, "price": "", "id": new_id()},
        {"what": "refund", "item": new_id(), "reason": "x"},
        {"what": "refund", "item": "x" * 500, "reason": "x"},
    ],
)
def test_what_no_window_would_send_changes_nothing(studio: Studio, data: dict[str, Any]) -> None:
    before = book_of(studio)
    with contextlib.suppress(StudioError):
        assert deals.done(visit(studio), {"whose": CLIENT, **data}).notice is None
    assert book_of(studio) == before


@pytest.mark.parametrize("amount", ["0", "-5", "1.5", "1e3", "²", "", "nan", "9" * 12, "True"])
def test_an_amount_that_is_none_is_told_in_the_window_with_what_was_filled_in(studio: Studio, amount: str) -> None:
    data = window(visit(studio), what="grant", whose=CLIENT) | {"kind": "tune", "amount": amount, "reason": "a <gift>"}
    done = deals.done(visit(studio), data)
    assert done.notice is None
    assert "amount must be a whole number from 1 to 1000000000" in done.dialog
    assert 'name="reason" value="a &lt;gift&gt;"' in done.dialog
    assert studio.counter.history(CLIENT) == []


# --- what is done ----------------------------------------------------------------------------------------------------


def test_a_purchase_is_said_then_recorded_and_a_double_click_is_one(studio: Studio) -> None:
    data = window(visit(studio), what="buy", item="tune", whose=CLIENT) | {"price": "12,50"}
    assert studio.counter.history(CLIENT) == []
    for _ in range(2):
        assert "Pack Tune recorded for client." in str(deals.done(visit(studio), data).notice)
    (bought,) = studio.counter.purchases(OWNER, CLIENT)
    assert (bought.price, bought.id) == (1250, data["id"])
    assert studio.counter.balances(CLIENT)["tune_image"].posted == 64


def test_a_subscription_by_the_year_costs_what_the_year_costs(studio: Studio) -> None:
    data = window(visit(studio), what="subscribe", item="standard", whose=CLIENT, on="1")
    assert data["price"] == "294.00"
    assert deals.done(visit(studio), {**data, "on": True}).notice
    (bought,) = studio.counter.purchases(OWNER, CLIENT)
    assert (bought.price, bought.annual) == (29_400, True)
    told = str(deals.offered(visit(studio), {"what": "subscribe", "item": "basic", "whose": CLIENT}))
    assert "begins on" in told and "2027-11-01" in told


def test_a_refund_says_what_it_will_do_and_does_that(studio: Studio) -> None:
    bought = studio.counter.subscribe(OWNER, CLIENT, "basic", price=1900).purchase
    assert bought is not None
    studio.generate(CLIENT, {"prompt": "a face", "count": 4})
    asked_for = {"what": "refund", "item": bought.id, "whose": CLIENT}
    told = str(deals.offered(visit(studio), asked_for))
    for said in (
        "Basic (19.00 USD)",
        "That takes 996 credits.",
        "4 credits stay with the jobs",
        "The plan ends at once.",
    ):
        assert said in told
    assert studio.counter.plan(CLIENT).name == "basic", "looking changes nothing"
    done = deals.done(visit(studio), {**window(visit(studio), **asked_for), "reason": "did not like it"})
    assert "Basic was given back; taken: 996 credits." in str(done.notice)
    assert studio.counter.balances(CLIENT)["playground"].posted == 4
    with pytest.raises(Conflict, match="already given back"):
        deals.offered(visit(studio), asked_for)


def test_the_button_goes_when_it_is_too_late(studio: Studio, clock: StillClock) -> None:
    studio.counter.buy(OWNER, CLIENT, "tune")
    clock.now += 30 * 86_400 - 1
    assert 'data-what="refund"' in tab(visit(studio), whose=CLIENT)[2]
    clock.now += 1
    assert 'data-what="refund"' not in tab(visit(studio), whose=CLIENT)[2]


def test_the_owner_tries_a_plan_and_goes_back_to_the_house(studio: Studio) -> None:
    assert 'data-what="house"' not in tab(visit(studio))[0]
    deals.done(visit(studio), window(visit(studio), what="subscribe", item="basic"))
    assert 'data-what="house"' in tab(visit(studio))[0]
    assert deals.done(visit(studio), window(visit(studio), what="house")).notice
    assert studio.counter.plan(OWNER).name == deals.HOUSE
