"""The commands for plans, packs, refunds, backup and restore: what they print, how they end, what they leave."""

# ruff: noqa: F811
import io
import json
import sys
from pathlib import Path

import pytest

from studio.domain import OWNER
from studio.rules import new_id
from tests.fakes import CLIENT
from tests.test_cli import Shell, shell  # noqa: F401


@pytest.fixture
def client(shell: Shell) -> Shell:
    studio = shell.studio()
    studio.open_account(CLIENT)
    studio.close()
    return shell


def posted(shell: Shell, account: str = CLIENT) -> tuple[int, int, int]:
    found = shell("credits", "show", "--account", account, "--json").json
    assert set(found) == {"playground", "tune", "tune_image"}
    return found["playground"]["posted"], found["tune"]["posted"], found["tune_image"]["posted"]


def test_a_plan_is_subscribed_to_changed_and_cancelled(client: Shell) -> None:
    done = client("credits", "subscribe", "basic", "--account", CLIENT, "--json").json
    assert (done["plan"], done["begins"], done["gives"]) == ("basic", "now", 1000)
    assert (done["purchase"]["price"], done["purchase"]["recorded_by"]) == ("19.00", OWNER)
    done = client("credits", "subscribe", "business", "--annual", "--account", CLIENT, "--json").json
    assert (done["gives"], done["purchase"]["price"], done["purchase"]["annual"]) == (5000, "390.00", True)
    done = client("credits", "subscribe", "standard", "--price", "24.5", "--account", CLIENT, "--json").json
    assert (done["begins"], done["gives"], done["purchase"]["price"]) == ("later", 0, "24.50")
    assert posted(client) == (6000, 0, 0)
    assert "Plan: Business" in client("credits", "show", "--account", CLIENT).out
    ends = client("credits", "cancel", "--account", CLIENT, "--json").json["ends_at"]
    assert ends == done["begins_at"]
    assert client("credits", "cancel", "--account", CLIENT).code == 1


def test_the_owner_goes_on_a_plan_and_back_to_the_house(shell: Shell) -> None:
    assert shell("credits", "subscribe", "basic").code == 0
    assert posted(shell, OWNER) == (1000, 0, 0)
    done = shell("credits", "subscribe", "house", "--json").json
    assert (done["plan"], done["purchase"]) == ("house", None)
    assert "Plan: House." in shell("credits", "show").out


def test_a_pack_is_bought_listed_and_given_back(client: Shell) -> None:
    same = new_id()
    words = ("credits", "buy", "tune", "--account", CLIENT, "--price", "9.90", "--id", same, "--json")
    assert client(*words).json == client(*words).json
    assert posted(client) == (0, 1, 64)
    assert same in client("credits", "purchases", "--account", CLIENT).out
    (listed,) = client("credits", "purchases", "--account", CLIENT, "--json").json["purchases"]
    assert (listed["id"], listed["price"], listed["currency"], listed["refunded_at"]) == (same, "9.90", "USD", None)

    done = client("credits", "refund", same, "--json")
    assert done.json == {"purchase": same, "takes": {"tune": 1, "tune_image": 64}, "held": {}, "ends_plan": False}
    # What it will do is said before it is done, and not on standard output.
    assert "takes back 1 tune credit and 64 tune-image credits" in done.err
    assert posted(client) == (0, 0, 0)
    assert client("credits", "refund", same).code == 1


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "left"), [("n\n", (0, 1, 64)), ("\n", (0, 1, 64)), ("y\n", (0, 0, 0))])
def test_on_a_terminal_a_refund_is_asked_for(
    client: Shell, monkeypatch: pytest.MonkeyPatch, answer: str, left: tuple[int, int, int]
) -> None:
    bought = client("credits", "buy", "tune", "--account", CLIENT, "--json").json["purchase"]["id"]
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    assert client("credits", "refund", bought, "--json").code == (0 if "y" in answer else 1)
    assert posted(client) == left


@pytest.mark.parametrize(
    ("words", "field"),
    [
        ("subscribe gold", "plan"),
        ("buy gold", "pack"),
        ("buy tune --price free", "price"),
        ("buy tune --price 9.999", "price"),
        ("buy tune --price -1", "price"),
        ("buy tune --id 7", "id"),
        ("cancel", "plan"),
        ("refund 7", "purchase"),
        ("subscribe house --account client", "plan"),
        ("purchases --limit 0", "limit"),
    ],
)
def test_what_is_refused_is_one_sentence_that_names_the_field(client: Shell, words: str, field: str) -> None:
    done = client("credits", *words.split(), "--json")
    assert (done.code, done.json["field"]) == (2, field)
    assert posted(client) == posted(client, OWNER) == (0, 0, 0)


def test_what_nobody_has_bought_and_who_nobody_is_are_not_found(client: Shell) -> None:
    assert client("credits", "refund", new_id()).code == 1
    assert client("credits", "buy", "tune", "--account", "nobody").code == 1


def test_the_operators_prices_are_those_of_every_door(client: Shell) -> None:
    own = client.settings.data / "prices.toml"
    own.write_text(
        "[image.credits]\n512x512 = [3, 4, 5]\n[packs.tune]\nprice = 5\n[packs.wedding]\ntune = 2\nprice = 50"
    )
    assert client("quote", "--steps", "10", "--count", "2", "--json").json["price"] == 6
    made = client("generate", "a face", "--count", "2", "--json").json
    assert made["price"] == 6
    bought = client("credits", "buy", "wedding", "--account", CLIENT, "--json").json
    assert (bought["gives"], bought["purchase"]["price"]) == ({"tune": 2}, "50.00")

    own.write_text("[image.credits]\n512x512 = [3, 4, -5]")
    done = client("quote", "--steps", "10", "--count", "2", "--json")
    assert (done.code, done.json["price"]) == (0, 6)


# --- backup and restore -----------------------------------------------------------------------------------------------


def test_a_backup_is_restored(client: Shell, tmp_path: Path) -> None:
    client("generate", "a face", "--count", "4")
    client("credits", "grant", "playground", "5", "--account", CLIENT)
    done = client("backup", str(tmp_path / "b.tar"), "--json").json
    assert (done["file"], done["files"], done["faults"]) == (str(tmp_path / "b.tar"), 6, [])
    client("credits", "grant", "playground", "7", "--account", CLIENT)
    assert client("restore", str(tmp_path / "b.tar"), "--json").code == 2  # nobody to ask
    assert posted(client) == (12, 0, 0)
    done = client("restore", str(tmp_path / "b.tar"), "--yes", "--json").json
    assert (done["files"], done["forgotten"], done["notes"]) == (6, 0, [])
    assert posted(client) == (5, 0, 0)
    assert len(list(client.settings.data.glob("pictures/*/*.png"))) == 4


def test_a_backup_goes_nowhere_where_something_is(client: Shell, tmp_path: Path) -> None:
    (tmp_path / "b.tar").write_text("precious")
    done = client("backup", str(tmp_path / "b.tar"), "--json")
    assert (done.code, done.json["field"], (tmp_path / "b.tar").read_text()) == (1, "file", "precious")
    assert client("backup", str(tmp_path / "b.tar"), "--database-only", "--overwrite", "--json").json["files"] == 2


def test_without_a_studio_there_is_nothing_to_back_up(shell: Shell, tmp_path: Path) -> None:
    assert shell("backup", str(tmp_path / "b.tar")).code == 2
    assert not shell.settings.data.exists()


def test_a_file_that_is_no_backup_changes_nothing(client: Shell, tmp_path: Path) -> None:
    client("credits", "grant", "playground", "5", "--account", CLIENT)
    (tmp_path / "b.tar").write_text("nonsense")
    done = client("restore", str(tmp_path / "b.tar"), "--yes", "--json")
    assert done.code == 2 and "no whole backup" in done.json["error"]
    assert posted(client) == (5, 0, 0)


def test_a_restore_into_a_new_folder_says_that_it_cannot_know_what_was_deleted(
    client: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client("backup", str(tmp_path / "b.tar"))
    monkeypatch.setenv("STUDIO_DATA", str(tmp_path / "elsewhere"))
    done = client("restore", str(tmp_path / "b.tar"), "--yes", "--json")
    assert "forgotten.log" in done.json["notes"][0]
    assert "forgotten.log" in done.err
    assert json.loads((tmp_path / "elsewhere" / "forgotten.log").read_text().splitlines()[0])["what"] == "begin"
