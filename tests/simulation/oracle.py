"""What must come of a set of events, found in another way: by joining sets, without any order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import orjson

from desireline.events import AccountRole, CanonicalEvent, RawPointer
from desireline.receive.request import WebhookRequest
from desireline.receive.senders import load_senders
from tests.simulation.releases import CANONICAL
from tests.simulation.scenario import Post

SENDERS = load_senders(("segment", "stripe"))
NONE = "-"


class Joined:
    """Disjoint sets."""

    def __init__(self) -> None:
        self._parent: dict[Hashable, Hashable] = {}

    def find(self, one: Hashable) -> Hashable:
        while self._parent.setdefault(one, one) != one:
            one = self._parent[one]
        return one

    def join(self, left: Hashable, right: Hashable) -> None:
        self._parent[self.find(left)] = self.find(right)

    def groups(self) -> list[set[Hashable]]:
        found: dict[Hashable, set[Hashable]] = defaultdict(set)
        for one in list(self._parent):
            found[self.find(one)].add(one)
        return list(found.values())


@dataclass(frozen=True)
class Expected:
    """persons: sets of fragments. subjects: sets of ('person', fragment) and ('account', key), each
    with the events that it consists of."""

    events: tuple[CanonicalEvent, ...]
    persons: list[set[str]]
    subjects: list[tuple[set[tuple[str, str]], list[CanonicalEvent]]]


def events_of(posts: Iterable[Post]) -> tuple[CanonicalEvent, ...]:
    """The canonical events, as if each had arrived at once."""
    return tuple(
        CANONICAL.event(
            post.source, reported, RawPointer(id="raw"), received_at=post.at, stamped=post.at
        )
        for post in posts
        for reported in SENDERS[post.source].messages(
            orjson.loads(post.body), WebhookRequest(post.source, {}, post.body)
        )
    )


def expected(events: tuple[CanonicalEvent, ...]) -> Expected:
    """Whose events these are. With conflicts, or persons of several accounts, only an upper bound:
    whatever is apart here must be apart."""
    people, owners = Joined(), Joined()
    for event in events:
        for alias in event.aliases:
            people.join(alias.fragment, event.aliases[0].fragment)
    for event in events:
        person = ("person", people.find(event.fragment))
        owners.find(person)
        for account in event.accounts:
            place = ("account", account.key)
            owners.find(place)
            if account.role is AccountRole.OWNER:
                owners.join(place, person)
    mine: dict[Hashable, list[CanonicalEvent]] = defaultdict(list)
    for event in events:
        mine[owners.find(_belongs(event, people))].append(event)
    return Expected(
        events=events,
        persons=[{str(one) for one in group} for group in people.groups()],
        subjects=[
            (_members(group, people), mine[owners.find(next(iter(group)))])
            for group in owners.groups()
        ],
    )


def _belongs(event: CanonicalEvent, people: Joined) -> tuple[str, Hashable]:
    if event.account_key != NONE:
        return ("account", event.account_key)
    return ("person", people.find(event.fragment))


def _members(group: set[Hashable], people: Joined) -> set[tuple[str, str]]:
    """With all fragments in the place of each person."""
    fragments: dict[Hashable, set[str]] = defaultdict(set)
    for one in people.groups():
        fragments[people.find(next(iter(one)))] = {str(fragment) for fragment in one}
    found: set[tuple[str, str]] = set()
    for member in group:
        kind, name = member  # type: ignore[misc]
        names = fragments[name] if kind == "person" else {str(name)}
        found |= {(kind, one) for one in names}
    return found
