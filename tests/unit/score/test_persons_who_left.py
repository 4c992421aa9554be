"""A person who owns accounts of two groups leaves one of their subjects, and nobody renames it."""

from desireline.adapters.memory import MemoryStore
from desireline.events import Account, AccountRole, Alias, AliasType
from desireline.records import Record
from desireline.resolve.resolve_identity import ResolveIdentity
from desireline.rows import JourneyRow, PersonRow
from tests.worlds.scoring import WallStandingStill, event, record, use_case


class Passed:
    def __init__(self):
        self.records = []

    def produce(self, outgoing):
        self.records.append(outgoing)

    def flush(self, timeout): ...
    def count(self, name, value=1, **dimensions): ...


def owner_of(group, happened, *others):
    return happened.model_copy(
        update={
            "accounts": (Account(key=group, role=AccountRole.OWNER),) if group else (),
            "aliases": (*happened.aliases, *others),
        }
    )


def copy_of_resolve(store, passed):
    wall = WallStandingStill()
    return ResolveIdentity(store=store, producer=passed, clock=wall, wall=wall, metrics=passed)


def received(happened):
    return Record("events.received", 0, 0, 0, happened.fragment.encode(), happened.encode())


def test_an_event_passed_on_with_the_subject_it_left_is_scored_where_it_counts():
    # Given a copy of resolve that remembers whose subject billing's person was
    store, passed = MemoryStore(), Passed()
    stale, other = copy_of_resolve(store, passed), copy_of_resolve(store, passed)
    bill = Alias(type=AliasType.BILLING, value="bill", fragment="bill")
    paid = event("invoice_paid", 10, who="bill").model_copy(update={"aliases": (bill,)})
    other([received(owner_of("group:1", event("trial_signup")))])
    stale([received(owner_of("group:2", paid.model_copy(update={"event_id": "first"})))])
    stale([received(paid.model_copy(update={"event_id": "second"}))])

    # When another copy finds that she is the owner of another group, and an event comes after it
    other([received(owner_of(None, event("logged_in", 20), bill))])
    assert store.get(PersonRow.ref_to("bill")).merged_into == "ann"
    late = paid.model_copy(update={"event_id": "late", "occurred_at": paid.occurred_at + 1000})
    passed.records.clear()
    stale([received(late)])
    use_case(store)([record(one.topic, one.value, one.key) for one in passed.records])

    # Then the subject that has the event is scored with it
    assert [one.key for one in passed.records] == ["bill"]
    row = store.get(JourneyRow.ref_to("ann"))
    assert row is not None
    assert row.current.as_of == late.occurred_at
