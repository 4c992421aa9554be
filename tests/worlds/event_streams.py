"""Seeded streams of events for tests of resolve, with their truth."""

from __future__ import annotations

import random
from uuid import NAMESPACE_URL, uuid5

from desireline.events import Account, AccountRole, Alias, AliasType, CanonicalEvent, RawPointer
from desireline.records import Record

DAY = 86_400_000
START = 1_760_000_000_000


def alias(text: str) -> Alias:
    """'user:u1' as an alias."""
    kind, _, value = text.partition(":")
    return Alias(type=AliasType(kind), value=value, fragment=str(uuid5(NAMESPACE_URL, text)))


def event(
    number: object, *aliases: str, name: str = "logged_in", **fields: object
) -> CanonicalEvent:
    """An event of these aliases, strongest first; `accounts` as 'owner=group:a'."""
    accounts = tuple(
        Account(key=key, role=AccountRole(role))
        for role, _, key in (str(one).partition("=") for one in fields.pop("accounts", ()))
    )
    values = {
        "occurred_at": START,
        "received_at": START,
        "category": "product",
        "source": "test",
        "raw": RawPointer(id="raw"),
        **fields,
    }
    return CanonicalEvent(
        event_id=str(number),
        name=name,
        aliases=tuple(sorted(map(alias, aliases), key=lambda a: a.type.strength)),
        accounts=accounts,
        **values,
    )


def record(one: CanonicalEvent, offset: int = 0) -> Record:
    """The event as it comes out of its topic."""
    return Record("events.received", 0, offset, 0, one.fragment.encode(), one.encode())


def household(rng: random.Random, people: int = 4) -> list[CanonicalEvent]:
    """A few people of a few companies, each with two devices, an email, a billing id."""
    events: list[CanonicalEvent] = []

    def add(*aliases: str, name: str, **fields: object) -> None:
        at = START + rng.randrange(12) * DAY + rng.randrange(DAY)
        events.append(
            event(f"e{len(events)}", *aliases, name=name, occurred_at=at, received_at=at, **fields)
        )

    for i in range(people):
        ids = [f"user:u{i}", f"anonymous:a{i}", f"anonymous:b{i}", f"email:p{i}@x.test"]
        company = f"group:c{i % 2}"
        for _ in range(rng.randint(1, 6)):
            add(rng.choice(ids), name=rng.choice(["page_viewed", "logged_in", "project_created"]))
        for one in ids[1:]:
            if rng.random() < 0.7:
                add(ids[0], one, name="identified")
        if rng.random() < 0.5:
            add(*rng.sample(ids, 3), name="identified")
        if i < 2 and rng.random() < 0.8:
            add(ids[0], name="trial_signup", accounts=[f"owner={company}"])
        if rng.random() < 0.6:
            add(rng.choice(ids), name="task_created", accounts=[f"mention={company}"])
        if i < 2 and rng.random() < 0.5:
            add(ids[0], f"billing:cus{i}", name="identified", accounts=[f"owner=cus:cus{i}"])
    return events
