"""What receive makes of the simulator's deliveries is what the simulator meant."""

from collections import Counter, defaultdict

import pytest

from desireline.events import AccountRole
from desireline_learning.simulator import Company, Scenario
from desireline_learning.simulator.canonical import arrivals, canonical
from desireline_learning.simulator.touches import Call

COMPANY = Company(Scenario(trials=30, days=14.0, seed=7))
MEANT = {Call.IDENTIFY: "identified", Call.GROUP: "account_joined"}


@pytest.fixture(scope="module")
def events():
    return [event for event, _ in canonical(COMPANY)]


def test_every_touch_becomes_one_event_of_its_name_time_and_source(events):
    meant = Counter(
        (
            touch.name or MEANT[touch.call],
            touch.at,
            "stripe" if touch.call is Call.STRIPE else "segment",
        )
        for touch in COMPANY.touches
    )

    assert Counter((event.name, event.occurred_at, event.source) for event in events) == meant


def test_events_name_the_accounts_that_were_meant(events):
    meant = Counter()
    for touch in COMPANY.touches:
        if touch.account is None:
            continue
        owns = touch.call is Call.STRIPE or touch.name == "trial_signup"
        owns = owns or touch.traits.get("role") == "owner"
        role = AccountRole.OWNER if owns else AccountRole.MENTION
        role = AccountRole.MEMBER if touch.traits.get("role") == "member" else role
        meant[f"group:{touch.account.group}", role] += 1
        if touch.call is Call.STRIPE:
            meant[f"cus:{touch.account.customer}", AccountRole.OWNER] += 1

    found = Counter((one.key, one.role) for event in events for one in event.accounts)

    assert found == meant


def test_aliases_that_occur_together_make_the_true_persons(events):
    """Union-find over the aliases of each event ends in the simulator's own partition."""
    parent = {}

    def root(alias):
        while parent.setdefault(alias, alias) != alias:
            alias = parent[alias]
        return alias

    for event in events:
        names = [(str(alias.type), alias.value) for alias in event.aliases]
        for name in names:
            parent[root(name)] = root(names[0])
    persons = defaultdict(set)
    for alias in list(parent):
        persons[root(alias)].add(alias)

    assert {frozenset(person) for person in persons.values()} == set(COMPANY.truth.persons)


def test_duplicates_arrive_as_the_same_event(events):
    arrived = Counter(event.event_id for event, _ in arrivals(COMPANY))

    assert set(arrived) == {event.event_id for event in events}
    assert max(arrived.values()) == 2
    assert sum(arrived.values()) > len(events) + 40


def test_neither_the_forged_nor_the_broken_delivery_becomes_an_event(events):
    users = {alias.value for event in events for alias in event.aliases}

    assert not any("forged" in user or "broken" in user for user in users)


def test_measures_are_summed_where_the_plan_asks(events):
    assert any(event.measures.get("session_ended.duration", 0) > 0 for event in events)
    assert any(event.measures.get("invoice_paid.amount", 0) > 0 for event in events)


def test_traits_tell_who_and_which_account(events):
    named = [event for event in events if event.name == "identified"]

    assert all(event.traits["name"] and "@" in event.traits["email"] for event in named)
    joined = [event for event in events if event.name == "account_joined"]
    assert {event.traits["csm"] for event in joined} <= {"csm-lena", "csm-raj", "csm-tom"}
