"""Whether the pipeline is behind: what the marks of delivery rule 12 are to tell, told exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from desireline.resolve.ids import id_hash
from tests.simulation.tables import Tables

NEVER = 1 << 62


class SimReadiness:
    """The Readiness of checks. answered: when each webhook was answered with 2xx, by its number.
    ids: of the events in each."""

    def __init__(
        self, tables: Tables, answered: Mapping[int, int], ids: Sequence[Sequence[str]]
    ) -> None:
        self._tables = tables
        self._answered = answered
        self._hashes = [[id_hash(one) for one in each] for each in ids]

    def behind(self, due: int) -> bool:
        return self.behind_at(due, self._tables.steps)

    def behind_at(self, due: int, step: int) -> bool:
        """Whether an event that was answered before `due` was not counted yet at that step."""
        counted = self._tables.counted
        return any(
            counted.get(one, NEVER) > step
            for number, at in self._answered.items()
            if at < due
            for one in self._hashes[number]
        )
