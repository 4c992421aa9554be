"""A stage for scoring: a store with folded states, a fixed wall clock, and records as resolve makes
them."""

from __future__ import annotations

from collections import Counter

from desireline.adapters.memory import MemoryStore
from desireline.adapters.packaged_models import journey_model
from desireline.contracts import Topic
from desireline.errors import ThrottledError
from desireline.events import (
    Alias,
    AliasType,
    CanonicalEvent,
    ChangeKind,
    IdentityChanged,
    RawPointer,
    ResolvedEvent,
    Stamps,
)
from desireline.journey.state import DAY, EMPTY, fold
from desireline.records import Record
from desireline.rows import JourneyRow, Put, StateRow, SubjectRow
from desireline.score.score_journey import ScoreJourneys

SIGNUP = 20_000 * DAY
WALL = 1_800_000_000_000
MODEL = journey_model()


class WallStandingStill:
    def now(self):
        return WALL


class CountedMetrics:
    def __init__(self):
        self.counts = Counter()

    def count(self, name, value=1, **_dimensions):
        self.counts[name] += value


class InterruptedStore(MemoryStore):
    """Lets something happen right after the n-th read of a kind of row."""

    def __init__(self):
        super().__init__()
        self.interruptions = []

    def after_reading(self, row_type, what, *, times=1):
        self.interruptions += [(row_type, what)] * times

    def get(self, ref):
        row = super().get(ref)
        self._interrupt(ref.type)
        return row

    def get_all(self, refs):
        rows = super().get_all(refs)
        for row_type in {ref.type for ref in refs}:
            self._interrupt(row_type)
        return rows

    def _interrupt(self, row_type):
        for place, (wanted, what) in enumerate(self.interruptions):
            if wanted is row_type:
                del self.interruptions[place]
                what()
                return


def event(name, after=0, *, who="ann", received=None):
    at = SIGNUP + after
    return CanonicalEvent(
        event_id=f"{name}-{after}-{who}",
        name=name,
        category="any",
        source="segment",
        occurred_at=at,
        received_at=at,
        aliases=(Alias(type=AliasType.USER, value=who, fragment=who),),
        raw=RawPointer(id="raw"),
        stamps=Stamps(received=received, resolved=received and received + 5),
    )


def folded(store, *events):
    """Count events, as resolve does before it passes them on."""
    for happened in events:
        ref = StateRow.ref_to(happened.fragment, happened.account_key)
        row = store.get(ref) or StateRow(
            fragment=happened.fragment, account=happened.account_key, state=EMPTY
        )
        store.write(Put(row.but(state=fold(row.state, [happened]))))


def resolved(happened, *, subject="ann", offset=0):
    message = ResolvedEvent(event=happened, person=subject, subject=subject)
    return record(Topic.EVENTS_RESOLVED, message.encode(), subject, offset)


def merged(winner, loser, *, offset=0):
    message = IdentityChanged(
        id=f"{loser}-into-{winner}",
        kind=ChangeKind.SUBJECT_MERGED,
        subject=winner,
        winner=winner,
        loser=loser,
        at=SIGNUP,
        stamps=Stamps(resolved=77),
    )
    return record(Topic.IDENTITY_CHANGED, message.encode(), winner, offset)


def record(topic, value, key="ann", offset=0):
    return Record(
        topic=topic, partition=0, offset=offset, timestamp=WALL, key=key.encode(), value=value
    )


def merge_subjects(store, winner, loser):
    """What resolve writes when two subjects turn out to be one."""
    store.write(
        Put(SubjectRow(subject=winner, persons=(winner, loser), absorbed=(loser,))),
        Put(SubjectRow(subject=loser, persons=(loser,), merged_into=winner)),
    )


def use_case(store, metrics=None):
    return ScoreJourneys(
        store=store, model=MODEL, wall=WallStandingStill(), metrics=metrics or CountedMetrics()
    )


def journey(store, subject="ann"):
    return store.get(JourneyRow.ref_to(subject))


class ThrottledStore(MemoryStore):
    """Refuses every request that asks for this row, alone or among others."""

    def __init__(self, ref):
        super().__init__()
        self._ref = ref

    def get(self, ref):
        self._refuse([ref])
        return super().get(ref)

    def get_all(self, refs):
        self._refuse(refs)
        return super().get_all(refs)

    def _refuse(self, refs):
        if self._ref in refs:
            raise ThrottledError("slow down")
