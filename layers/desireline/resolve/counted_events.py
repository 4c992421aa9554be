"""Whether events have been counted, for whoever only asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from desireline.events import CanonicalEvent
from desireline.journey.state import DAY
from desireline.ports import Store
from desireline.resolve.fold import HOT_DAYS
from desireline.resolve.ids import Ids, id_hash, unpack
from desireline.rows import Ref, SealedIdsRow, StateRow


class StoredCounts:
    """Reads state rows, and those sealed rows in which an id may lie (delivery rule 2)."""

    def __init__(self, store: Store, *, hot_days: int = HOT_DAYS) -> None:
        self._store = store
        self._hot_days = hot_days

    def __call__(self, events: Sequence[CanonicalEvent]) -> frozenset[str]:
        """The ids of those that have been counted. Raises RetryableError."""
        places = {self._place(event) for event in events}
        rows = self._store.get_all(list(places))
        ids: dict[Ref[Any], Ids] = {place: unpack(row.ids) for place, row in rows.items()}
        sealed = {
            ref
            for event in events
            if (row := rows.get(self._place(event))) is not None
            for day in self._days(event)
            if day <= row.floor
            for ref in (SealedIdsRow.ref_to(event.fragment, event.account_key, day),)
        }
        for ref, found in self._store.get_all(list(sealed)).items():
            ids[ref] = unpack(found.ids)
        return frozenset(event.event_id for event in events if self._is_in(event, ids))

    def _is_in(self, event: CanonicalEvent, ids: dict[Ref[Any], Ids]) -> bool:
        key = id_hash(event.event_id)
        for day in self._days(event):
            sealed = SealedIdsRow.ref_to(event.fragment, event.account_key, day)
            for ref in (self._place(event), sealed):
                if key in ids.get(ref, {}).get(day, ()):
                    return True
        return False

    def _days(self, event: CanonicalEvent) -> range:
        day = event.occurred_at // DAY
        around = 0 if event.timed else self._hot_days
        return range(day - around, day + around + 1)

    @staticmethod
    def _place(event: CanonicalEvent) -> Ref[StateRow]:
        return StateRow.ref_to(event.fragment, event.account_key)
