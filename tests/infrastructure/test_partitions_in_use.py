"""Nothing local enforces the partitions of a table that a role names: so what the use cases ask for
in histories of the simulation is held to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any

from desireline.contracts import Function, Table
from desireline.rows import Check, Put, Ref, Row
from tests.infrastructure.assembly import Assembly, table_arn
from tests.simulation.history import Case
from tests.simulation.tables import SimStore
from tests.simulation.world import World

WRITERS = {
    "resolve": Function.RESOLVE_IDENTITY,
    "score": Function.SCORE_JOURNEY,
    "start": Function.START_INTERVENTIONS,
    "check": Function.CHECK_PLAYBOOK,
    "deliver": Function.DELIVER_ACTION,
}


def test_the_use_cases_stay_within_the_partitions_that_their_roles_name(dev: Assembly) -> None:
    """Reads, writes and the conditions of transactions, by table and function."""
    asked: set[tuple[Function, Table, str, str]] = set()

    def note(store: SimStore, action: str, refs: Iterable[Ref[Any]]) -> None:
        function = WRITERS[store._scheduler.current.name.partition("[")[0]]
        asked.update((function, ref.type.table, action, ref.pk) for ref in refs)

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

    for seed in range(8):
        case = Case.of(seed)
        world = World(seed, case.scenario, case.faults)
        world._store = lambda w=world: Noting(w.tables, w.scheduler)  # type: ignore[method-assign,misc]
        world.run()

    assert {function for function, *_ in asked} == set(WRITERS.values())
    denied = {
        (function, action, table, key.partition("#")[0])
        for function, table, action, key in asked
        if not _granted(dev, function, f"dynamodb:{action}", table, key)
    }
    assert not denied


def _granted(dev: Assembly, function: Function, action: str, table: Table, key: str) -> bool:
    arn = table_arn("desireline-dev", table)
    for statement in dev.statements(function):
        if statement.covers(action, arn):
            named = statement.conditions.get("ForAllValues:StringLike", {})
            patterns = named.get("dynamodb:LeadingKeys", ["*"])
            if any(fnmatchcase(key, pattern) for pattern in patterns):
                return True
    return False
