"""StoredCounts: look up whether events are counted, without counting them."""

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
    """Reads state rows, and the sealed rows that may hold an event's id (delivery rule 2)."""

    def __init__(self, store: Store, *, hot_days: int = HOT_DAYS) -> None:
        self._store = store
        self._hot_days = hot_days

    def __call__(self, events: Sequence[CanonicalEvent]) -> frozenset[str]:
        """Return the ids of the events that are counted. Raises RetryableError."""
        refs = {self._state_ref(event) for event in events}
        rows = self._store.get_all(list(refs))
        ids: dict[Ref[Any], Ids] = {ref: unpack(row.ids) for ref, row in rows.items()}
        sealed = {
            ref
            for event in events
            if (row := rows.get(self._state_ref(event))) is not None
            for day in self._days(event)
            if day <= row.floor
            for ref in (SealedIdsRow.ref_to(event.fragment, event.account_key, day),)
        }
        for ref, sealed_row in self._store.get_all(list(sealed)).items():
            ids[ref] = unpack(sealed_row.ids)
        return frozenset(event.event_id for event in events if self._is_counted(event, ids))

    def _is_counted(self, event: CanonicalEvent, ids: dict[Ref[Any], Ids]) -> bool:
        key = id_hash(event.event_id)
        for day in self._days(event):
            sealed = SealedIdsRow.ref_to(event.fragment, event.account_key, day)
            for ref in (self._state_ref(event), sealed):
                if key in ids.get(ref, {}).get(day, ()):
                    return True
        return False

    def _days(self, event: CanonicalEvent) -> range:
        day = event.occurred_at // DAY
        around = 0 if event.timed else self._hot_days
        return range(day - around, day + around + 1)

    @staticmethod
    def _state_ref(event: CanonicalEvent) -> Ref[StateRow]:
        return StateRow.ref_to(event.fragment, event.account_key)
