"""The scheduler on use cases so small that one sees what it must find."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from desireline.errors import ConflictError
from desireline.rows import AccountRow, Put
from tests.simulation.faults import Faults
from tests.simulation.scheduler import Crash, NeverAtRestError, Scheduler
from tests.simulation.tables import SimStore, Tables

PLACE = AccountRow.ref_to("group:a")
NEVER = 10**12
ROOT = Path(__file__).parents[2]


def scheduler(seed: int, **rates: float) -> Scheduler:
    return Scheduler(random.Random(seed), Faults(**rates), now=0, calm_at=NEVER)


def add(store: SimStore, name: str, *, careful: bool) -> None:
    """Note one more fragment in a row, by reading and writing."""
    while True:
        row = store.get(PLACE) or AccountRow(account="group:a", subject="s")
        more = row.but(fragments=tuple(sorted({*row.fragments, name})))
        if not careful:
            current = store.get(PLACE)
            more = more.but(version=current.version if current else 0)
        try:
            return store.write(Put(more))
        except ConflictError:
            continue


def noted(seed: int, *, careful: bool, **rates: float) -> tuple[str, ...]:
    """What two processes have noted at the same time."""
    tables, running = Tables(), scheduler(seed, **rates)
    for name in ("x", "y"):
        store = SimStore(tables, running)
        running.spawn(name, lambda s=store, n=name: add(s, n, careful=careful))  # type: ignore[misc]
    running.run(lambda: None)
    row = tables.get(PLACE)
    return row.fragments if row else ()


def test_a_lost_update_is_found_in_some_order() -> None:
    assert any(len(noted(seed, careful=False)) < 2 for seed in range(50))


def test_a_version_loses_no_update_in_any_order() -> None:
    assert all(noted(seed, careful=True) == ("x", "y") for seed in range(200))


def test_processes_die_before_and_after_their_writes() -> None:
    found = {noted(seed, careful=True, crash=0.3) for seed in range(100)}
    assert found == {(), ("x",), ("y",), ("x", "y")}


def test_a_crash_is_caught_by_no_handler_and_told() -> None:
    running, died = scheduler(1, crash=1.0), []

    def body() -> None:
        try:
            running.pause("here")
            running.pause("never here")
        except Exception:  # noqa: BLE001
            pytest.fail("a process caught its own death")

    running.spawn("task", body, died=died.append)
    running.run(lambda: None)

    assert [type(one) for one in died] == [Crash]


def test_a_process_that_runs_too_long_is_killed() -> None:
    running, died = scheduler(1), []
    running.spawn("task", lambda: running.sleep(2_000, "long"), died=died.append, timeout=1_000)
    running.run(lambda: None)
    assert str(died[0]) == "timed out"


def test_what_never_rests_is_told() -> None:
    running = scheduler(1)

    def for_ever() -> None:
        while True:
            running.pause("again")

    running.spawn("task", for_ever)
    with pytest.raises(NeverAtRestError):
        running.run(lambda: None)


def test_a_seed_is_one_history_whatever_the_process() -> None:
    program = (
        "import hashlib; from tests.simulation.history import Case, judge;"
        "traces = [judge(Case.of(seed))[0].scheduler.trace for seed in range(4)];"
        "print(hashlib.sha256(repr(traces).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert len(digests) == 1
