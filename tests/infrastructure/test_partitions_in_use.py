"""Nothing local enforces the partitions of a table that a role names: so what the use cases ask for
in histories of the simulation is held to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from itertools import product
from typing import Any

import pytest

from desireline.contracts import Function, Table
from desireline.rows import Check, Put, Ref, Row
from tests.infrastructure.assembly import Assembly, table_arn
from tests.simulation.history import Case
from tests.simulation.tables import SimStore
from tests.simulation.world import World

ACTIONS = ("BatchGetItem", "ConditionCheckItem", "GetItem", "PutItem", "Query")
WRITERS = {
    "resolve": Function.RESOLVE_IDENTITY,
    "score": Function.SCORE_JOURNEY,
    "start": Function.START_INTERVENTIONS,
    "check": Function.CHECK_PLAYBOOK,
    "deliver": Function.DELIVER_ACTION,
}


RARE = {
    (Function.SCORE_JOURNEY, "PutItem", Table.QUARANTINE): "what cannot be read is set aside",
    (Function.START_INTERVENTIONS, "PutItem", Table.QUARANTINE): "what cannot be read is set aside",
    (Function.CHECK_PLAYBOOK, "PutItem", Table.IDENTITY): "a subject that has no holdout yet",
}
"""Rights for what no history holds."""

Asked = tuple[Function, str, Table, str]
"""Function, action, table, partition key."""


@pytest.fixture(scope="module")
def asked() -> set[Asked]:
    """Reads, writes and the conditions of transactions."""
    asked: set[Asked] = set()

    def note(store: SimStore, action: str, refs: Iterable[Ref[Any]]) -> None:
        function = WRITERS[store._scheduler.current.name.partition("[")[0]]
        asked.update((function, action, ref.type.table, ref.pk) for ref in refs)

    class Noting(SimStore):
        def get(self, ref: Ref[Any]) -> Any:
            note(self, "GetItem", [ref])
            return super().get(ref)

        def get_all(self, refs: Sequence[Ref[Any]]) -> Any:
            note(self, "BatchGetItem", refs)
            return super().get_all(refs)

        def query(self, row_type: type[Row], pk: str) -> Any:
            note(self, "Query", [Ref(row_type, pk)])
            return super().query(row_type, pk)

        def write(self, *writes: Put | Check) -> None:
            for kind, action in ((Put, "PutItem"), (Check, "ConditionCheckItem")):
                note(self, action, [one.row.ref for one in writes if isinstance(one, kind)])
            super().write(*writes)

    for seed in range(12):
        case = Case.of(seed)
        world = World(seed, case.scenario, case.faults)
        world._store = lambda w=world: Noting(w.tables, w.scheduler)  # type: ignore[method-assign,misc]
        world.run()
    return asked


def test_the_use_cases_stay_within_the_partitions_that_their_roles_name(
    dev: Assembly, asked: set[Asked]
) -> None:
    assert {function for function, *_ in asked} == set(WRITERS.values())
    denied = {
        (function, action, table, key.partition("#")[0])
        for function, action, table, key in asked
        if not _granted(dev, function, f"dynamodb:{action}", table, key)
    }
    assert not denied


def test_they_ask_for_every_right_that_they_have(dev: Assembly, asked: set[Asked]) -> None:
    granted = {
        (function, action, table)
        for function, action, table in product(WRITERS.values(), ACTIONS, Table)
        if any(
            statement.covers(f"dynamodb:{action}", table_arn("desireline-dev", table))
            for statement in dev.statements(function)
        )
    }
    assert granted - {(function, action, table) for function, action, table, _ in asked} == {*RARE}


def _granted(dev: Assembly, function: Function, action: str, table: Table, key: str) -> bool:
    arn = table_arn("desireline-dev", table)
    for statement in dev.statements(function):
        if statement.covers(action, arn):
            named = statement.conditions.get("ForAllValues:StringLike", {})
            patterns = named.get("dynamodb:LeadingKeys", ["*"])
            if any(fnmatchcase(key, pattern) for pattern in patterns):
                return True
    return False
