"""`tune extend | delete`, `retention list | run`: what goes is said before it goes, and a receipt says that it went."""

import io
import time

import pytest

from studio.storage import deletions
from studio.storage.database import Database
from tests.test_cli_tunes import Shell, shell  # noqa: F401

DAY = 86_400


class Terminal(io.StringIO):
    """A person at the keyboard who types this."""

    def isatty(self) -> bool:
        return True


def test_a_deletion_says_exactly_what_goes_and_what_stays(shell: Shell) -> None:  # noqa: F811
    made = shell.train("--styles", "toon").json
    done = shell("tune", "delete", made["tune"], "--yes", "--json")
    assert done.code == 0, done.err
    assert "Goes: the model, 5 photos, 8 pictures, the record of consent." in done.err
    assert "Stays: 6 lines of the account book, 2 jobs without" in done.err
    body = done.json
    assert body["goes"] == {"models": 1, "photos": 5, "pictures": 8, "records": 1}
    assert body["receipt"]["counts"] == {"tunes": 1, "models": 1, "photos": 5, "pictures": 8}
    assert body["receipt"]["pending"] is False
    assert shell("tune", "show", made["tune"], "--json").json["field"] == "tune"
    assert shell("jobs", "list", "--json").json["jobs"] == []
    assert not any((shell.settings.data / "tunes").iterdir()) and not any((shell.settings.data / "uploads").iterdir())
    (receipt,) = shell("retention", "list", "--json").json["receipts"]
    assert receipt == body["receipt"] and made["tune"] not in str(receipt)


def test_the_model_alone_goes_and_its_pictures_stay(shell: Shell) -> None:  # noqa: F811
    made = shell.train("--styles", "toon").json
    done = shell("tune", "delete", made["tune"], "--model-only", "--yes", "--json")
    assert done.json["goes"] == {"models": 1}
    assert done.json["stays"] == {"bookings": 6, "receipts": 1, "photos": 5, "pictures": 8}
    shown = shell("tune", "show", made["tune"], "--json").json
    assert (shown["state"], shown["expires_at"], len(shown["made"])) == ("gone", None, 8)
    again = shell("tune", "delete", made["tune"], "--model-only", "--yes", "--json")
    assert (again.code, again.json["field"]) == (2, "tune")
    assert shell("avatars", made["tune"], "--count", "1", "--json").code == 2


@pytest.mark.parametrize(("typed", "goes"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_on_a_terminal_it_asks(
    shell: Shell,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    typed: str,
    goes: bool,
) -> None:
    made = shell.train("--styles", "").json
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    done = shell("tune", "delete", made["tune"])
    assert "Go on? [y/N]" in done.err
    assert done.code == (0 if goes else 1)
    assert (shell("tune", "show", made["tune"]).code == 0) is not goes


def test_without_a_terminal_it_wants_a_yes(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    made = shell.train("--styles", "").json
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    done = shell("tune", "delete", made["tune"], "--json")
    assert (done.code, done.json["field"], done.json["allowed"]) == (2, "yes", "--yes")
    assert shell("tune", "show", made["tune"]).code == 0


def test_an_extension_adds_thirty_days(shell: Shell) -> None:  # noqa: F811
    made = shell.train("--styles", "").json
    before = shell("tune", "show", made["tune"], "--json").json["expires_at"]
    done = shell("tune", "extend", made["tune"], "--json")
    assert done.json["expires_at"] == before + 30 * DAY
    assert shell("tune", "extend", "nobody", "--json").json["field"] == "tune"


def test_what_is_due_is_listed_and_goes_when_it_is_time(shell: Shell) -> None:  # noqa: F811
    made = shell.train("--styles", "").json
    (photos,) = shell("retention", "list", "--json").json["due"]  # the house keeps the model
    assert (photos["what"], photos["id"], photos["why"]) == ("photos", made["tune"], "trained")
    assert "24 hours after training" in shell("retention", "list").out

    soon = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(photos["at"] - 60))
    assert shell("retention", "run", "--now", soon, "--json").json["receipts"] == []
    then = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(photos["at"]))
    ran = shell("retention", "run", "--now", then, "--json").json
    assert [one["counts"] for one in ran["receipts"]] == [{"photos": 5}]
    assert (ran["believed"], ran["pending"]) == (True, False)
    assert shell("retention", "list", "--json").json["due"] == []
    assert shell("tune", "show", made["tune"], "--json").json["state"] == "ready"


def test_without_a_page_the_first_command_of_an_hour_deletes_what_is_due(shell: Shell) -> None:  # noqa: F811
    shell.train("--styles", "")
    database = Database(shell.settings.data / "studio.db")
    with database.write() as tx:
        tx.execute("UPDATE job SET ended_at = ended_at - ?", (DAY,))
        tx.execute("UPDATE upload SET created_at = created_at - ?", (2 * DAY,))
    shell("tune", "list")
    assert any((shell.settings.data / "uploads").iterdir()), "it was swept just now"
    with database.write() as tx:
        deletions.saw(tx, int(time.time()) - 3600)
    database.close()
    assert shell("tune", "list").code == 0
    assert not any((shell.settings.data / "uploads").iterdir())


def test_a_clock_a_year_ahead_is_not_believed_at_once(shell: Shell) -> None:  # noqa: F811
    shell.train("--styles", "")
    year = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 365 * DAY))
    first = shell("retention", "run", "--now", year, "--json")
    assert (first.json["receipts"], first.json["believed"]) == ([], False)
    assert "the clock may be wrong" in first.err
    assert len(shell("retention", "run", "--now", year, "--json").json["receipts"]) == 1
    assert shell("retention", "run", "--now", "tomorrow", "--json").json["field"] == "now"
