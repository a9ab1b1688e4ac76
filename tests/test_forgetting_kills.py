"""`kill -9` at every step of a deletion: it is finished after the restart, and nothing is left."""

import random
import shutil
from collections import defaultdict
from pathlib import Path

import pytest

from studio.domain import OWNER, NotFound
from tests.killed import delete_and_die
from tests.person import House, Person, crowd, left_of, open_house, somebody
from tests.processes import needs_fork, start

SEED = 20_261


@needs_fork
@pytest.mark.timeout(7200)
@pytest.mark.parametrize(
    ("times", "most_steps"), [(1, 6), pytest.param(20, None, marks=pytest.mark.nightly)], ids=["some", "all"]
)
def test_a_deletion_that_was_killed_at_any_step_is_finished_after_the_restart(
    tmp_path: Path, times: int, most_steps: int | None
) -> None:
    # 1. Somebody, and where in the code the deletion takes which of its steps.
    house = open_house(tmp_path / "before")
    somebody(house)
    crowd(house, 2)
    person = somebody(house, ends=False)
    house.studio.close()
    shutil.copytree(tmp_path / "before", tmp_path / "whole")
    trace = tmp_path / "trace"
    assert killed(tmp_path / "whole", person, 0, trace) == 0
    places: dict[str, list[int]] = defaultdict(list)
    for number, place in enumerate(trace.read_text().splitlines(), start=1):
        places[place].append(number)
    assert len(places) >= 10 and "elsewhere" not in places

    # 2. Killed at each of them.
    draw = random.Random(SEED)
    chosen = sorted(places) if most_steps is None else draw.sample(sorted(places), most_steps)
    kills = 0
    for place in chosen:
        for _ in range(times):
            root = tmp_path / "data"
            shutil.copytree(tmp_path / "before", root)
            assert killed(root, person, draw.choice(places[place]), trace) != 0, place
            restarted(open_house(root), person, place)
            shutil.rmtree(root)
            kills += 1
    print(f"{kills} kills at {len(chosen)} places of {sum(map(len, places.values()))} steps")


def killed(root: Path, person: Person, at: int, trace: Path) -> int | None:
    process = start(delete_and_die, root, person.tune, at, trace)
    process.join(120)
    return process.exitcode


def restarted(house: House, person: Person, place: str) -> None:
    """What a start does, and what must be true then: all of it is gone, or the deletion had not begun."""
    assert house.studio.retention.finish(), place
    if not house.studio.retention.receipts(OWNER):
        assert house.studio.tuning.get(OWNER, person.tune).state == "ready", place
        house.studio.retention.delete(OWNER, person.tune)
    (receipt,) = house.studio.retention.receipts(OWNER)
    assert not receipt.is_pending, place
    assert left_of(person, house.root) == [], place
    with pytest.raises(NotFound):
        house.studio.tuning.get(OWNER, person.tune)
    assert house.studio.verify() == [], place
    house.studio.close()
