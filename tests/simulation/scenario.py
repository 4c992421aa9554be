"""What happens to a company's trials, drawn from a seed: households of ids that turn out to belong
together, now before and now after something was decided about them."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from tests.simulation import refusing
from tests.simulation.refusing import Order

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
START = 20_370 * DAY
CHECKS = (0, 4 * HOUR, 24 * HOUR, 48 * HOUR)
"""When integration_first checks a trial."""
END = 54 * HOUR

USAGE = (
    "Integration Connected",
    "Project Created",
    "Task Created",
    "Invite Sent",
    "Report Viewed",
    "Automation Created",
)


@dataclass(frozen=True)
class Post:
    """One webhook: when it is sent first, epoch ms, by whom, and its body."""

    at: int
    source: str
    body: bytes


@dataclass(frozen=True)
class Scenario:
    """conflicts: people share devices. several: persons own several groups. untimed: some events
    come without a time. Of such streams less can be foretold. orders: suppressions. careful: checks
    wait until everything that arrived before the due time is counted. deployed_at: when a later
    release replaces all processes, epoch ms; None if none does. ahead: by how much the wall clock
    differs from journey time, ms."""

    posts: tuple[Post, ...]
    conflicts: bool = False
    several: bool = False
    untimed: bool = False
    orders: tuple[Order, ...] = ()
    careful: bool = False
    deployed_at: int | None = None
    ahead: int = 0

    @property
    def exact(self) -> bool:
        """Whether persons, subjects and scores are a function of the set of events."""
        return not (self.conflicts or self.several)


@dataclass
class _Household:
    """One customer: users of it, their devices, its group and its billing id."""

    number: int
    start: int
    users: list[str]
    devices: dict[str, list[str]]
    customer: str
    moments: list[int]
    groups: tuple[str, ...]


@dataclass
class _Draft:
    """storm: nearly everything happens at once."""

    rng: random.Random
    untimed: bool
    storm: bool
    posts: list[Post] = field(default_factory=list)

    def segment(self, at: int, call: str, **fields: Any) -> None:
        """A call of Segment's; it arrives late at times, an hour and more."""
        number = len(self.posts)
        message: dict[str, Any] = {"type": call, "messageId": f"m{number}", **fields}
        if not (self.untimed and self.rng.random() < 0.15):
            message["timestamp"] = _iso(at)
        self._post(at, "segment", message)

    def stripe(self, at: int, kind: str, found: dict[str, Any], **data: Any) -> None:
        """An event of Stripe's."""
        event = {"id": f"evt_{len(self.posts)}", "type": kind, "created": at // 1000}
        self._post(at, "stripe", {**event, "data": {"object": found, **data}})

    def _post(self, at: int, source: str, message: dict[str, Any]) -> None:
        late = self.rng.choice((0, 0, 0, 0, 0, 20_000, 20 * MINUTE, 3 * HOUR))
        sent = at + self.rng.randint(0, 300) + self.rng.randint(0, late)
        self.posts.append(Post(sent, source, orjson.dumps(message)))


def drawn(rng: random.Random, more: random.Random) -> Scenario:
    """A scenario out of two generators. more: of what refuses messages, and of how it is run."""
    conflicts, several = rng.random() < 0.15, rng.random() < 0.25
    draft = _Draft(rng, untimed=rng.random() < 0.15, storm=rng.random() < 0.3)
    households = [
        _household(rng, number, 2 if several else 1) for number in range(rng.randint(1, 3))
    ]
    for household in households:
        _fill(draft, household)
    if conflicts:
        _share_devices(draft, households)
    if rng.random() < 0.2 and len(households) > 1:
        _visit(draft, households[0], households[1].groups[0])
    orders = _refuse(_Draft(more, draft.untimed, draft.storm, draft.posts), households)
    return Scenario(
        tuple(sorted(draft.posts, key=lambda post: post.at)),
        conflicts,
        several,
        draft.untimed,
        orders,
        careful=more.random() < 0.3,
        deployed_at=_deployment(more, households) if more.random() < 0.4 else None,
        ahead=more.choice((0, 0, 40 * DAY, -400 * DAY)),
    )


def leaving() -> Scenario:
    """A trial that pays between the first and the second of its close steps, while what the first
    one said is on its way."""
    draft = _Draft(random.Random("leaving"), untimed=False, storm=False)
    draft.segment(START, "track", event="Trial Started", userId="u")
    draft.stripe(
        START + 1_000,
        "customer.subscription.updated",
        {"customer": "cus", "status": "active", "metadata": {"user_id": "u"}},
        previous_attributes={"status": "trialing"},
    )
    return Scenario(tuple(draft.posts))


def _refuse(draft: _Draft, households: list[_Household]) -> tuple[Order, ...]:
    """Payments, opt-outs and suppressions, when something is decided or on its way."""
    rng, orders = draft.rng, list[Order]()
    for household in households:
        start, users = household.start, household.users
        if rng.random() < 0.4:
            _converts(draft, household, refusing.moment(rng, start))
        for user in users:
            refusing.opts_out(rng, start, lambda at, name, u=user: _track(draft, at, name, u))  # type: ignore[misc]
        orders += refusing.orders(rng, start, users)
    return tuple(orders)


def _deployment(rng: random.Random, households: list[_Household]) -> int:
    """Mostly in the middle of a run."""
    return rng.choice(households).start + rng.randint(0, rng.choice((2, 15, 300)) * MINUTE)


def _track(draft: _Draft, at: int, event: str, user: str) -> None:
    draft.segment(at, "track", event=event, userId=user)


def _converts(draft: _Draft, household: _Household, at: int) -> None:
    """A payment that names its user, and at times ends again."""
    rng = draft.rng
    owner = {"customer": household.customer, "metadata": {"user_id": household.users[0]}}
    draft.stripe(
        at,
        "customer.subscription.updated",
        {**owner, "status": "active"},
        previous_attributes={"status": "trialing"},
    )
    if rng.random() < 0.25:
        ends = at + rng.randint(1_000, rng.choice((60_000, 6 * HOUR)))
        draft.stripe(ends, "customer.subscription.deleted", owner)


def _household(rng: random.Random, number: int, groups: int) -> _Household:
    users = [f"u{number}{letter}" for letter in "ab"[: rng.choice((1, 1, 2))]]
    devices = {user: [f"d{user}{one}" for one in range(rng.randint(1, 2))] for user in users}
    start = START + rng.randint(0, 90 * MINUTE)
    moments = [start, *(start + rng.choice(CHECKS) for _ in range(2))]
    moments += [start + rng.randint(0, 50 * HOUR) for _ in range(rng.randint(0, 2))]
    names = tuple(f"g{number}{letter}" for letter in "xy"[:groups])
    return _Household(number, start, users, devices, f"cus_{number}", moments, names)


def _near(draft: _Draft, household: _Household) -> int:
    """Mostly together with other things that happen, when a check is due say; else anywhere."""
    rng = draft.rng
    if draft.storm and rng.random() < 0.8:
        return household.start + rng.randint(-100, 300)
    match rng.randrange(8):
        case 0:
            return household.start + rng.randint(-30, 60) * MINUTE
        case 1:
            return household.start + rng.randint(0, 50) * HOUR
        case 2:
            return rng.choice(household.moments) + rng.randint(-20, 60) * MINUTE
        case _:
            return rng.choice(household.moments) + rng.randint(-900, 900)


def _fill(draft: _Draft, household: _Household) -> None:
    rng = draft.rng
    for user in household.users:
        for device in household.devices[user]:
            for _ in range(rng.randint(0, 2)):
                draft.segment(
                    household.start - rng.randint(0, 60) * MINUTE,
                    "page",
                    anonymousId=device,
                    properties={"path": rng.choice(("/pricing", "/blog", "/"))},
                )
            if rng.random() < 0.8:
                draft.segment(
                    _near(draft, household),
                    "identify",
                    userId=user,
                    anonymousId=device,
                    traits={"name": f"{user}, {len(draft.posts)}"},
                )
        for _ in range(rng.randint(0, 6)):
            _use(draft, household, user)
    _sign_up(draft, household)
    _owns(draft, household)
    _pays(draft, household)


def _who(draft: _Draft, household: _Household, user: str) -> dict[str, Any]:
    """Sometimes only the device is known."""
    device = draft.rng.choice(household.devices[user])
    return draft.rng.choice(({"userId": user}, {"anonymousId": device}, {"userId": user}))


def _in_group(draft: _Draft, household: _Household) -> dict[str, Any]:
    group = draft.rng.choice(household.groups)
    return {"context": {"groupId": group}} if draft.rng.random() < 0.4 else {}


def _use(draft: _Draft, household: _Household, user: str) -> None:
    event = draft.rng.choice(USAGE)
    properties = {"integration_name": "x"} if event == USAGE[0] else {}
    draft.segment(
        _near(draft, household),
        "track",
        event=event,
        properties=properties,
        **_who(draft, household, user),
        **_in_group(draft, household),
    )


def _sign_up(draft: _Draft, household: _Household) -> None:
    """Once, or by two who do not know of one another, or on a device that is not yet known."""
    rng = draft.rng
    for number in range(rng.choice((0, 1, 1, 1, 2, 2))):
        draft.segment(
            household.start + (number and rng.choice((1, 1_000, 30_000, HOUR))),
            "track",
            event="Trial Started",
            **_who(draft, household, rng.choice(household.users)),
            **_in_group(draft, household),
        )


def _owns(draft: _Draft, household: _Household) -> None:
    """The account becomes known late, at times."""
    rng = draft.rng
    for user in household.users:
        if rng.random() < 0.5:
            draft.segment(
                _near(draft, household),
                "group",
                groupId=rng.choice(household.groups),
                traits={"role": rng.choice(("owner", "owner", "member"))},
                **_who(draft, household, user),
            )


def _pays(draft: _Draft, household: _Household) -> None:
    """Billing knows its customer, and only sometimes the user or the group."""
    rng = draft.rng
    if rng.random() < 0.4:
        customer = {"id": household.customer, **_metadata(rng, household)}
        draft.stripe(_near(draft, household), "customer.created", customer)
    for _ in range(rng.choice((0, 0, 1, 2))):
        found = {"id": "x", "customer": household.customer, **_metadata(rng, household)}
        draft.stripe(_near(draft, household), "payment_method.attached", found)
    if rng.random() < 0.2:
        found = {"customer": household.customer, "status": "active", **_metadata(rng, household)}
        before = {"status": "trialing"}
        draft.stripe(
            _near(draft, household),
            "customer.subscription.updated",
            found,
            previous_attributes=before,
        )


def _metadata(rng: random.Random, household: _Household) -> dict[str, Any]:
    who = {"user_id": household.users[0]} if rng.random() < 0.5 else {}
    group = {"group_id": rng.choice(household.groups)} if rng.random() < 0.5 else {}
    return {"metadata": {**who, **group}}


def _share_devices(draft: _Draft, households: list[_Household]) -> None:
    """Somebody signs in on somebody else's device."""
    rng = draft.rng
    users = [(household, user) for household in households for user in household.users]
    for household, user in users:
        other, whose = rng.choice(users)
        device = rng.choice(other.devices[whose])
        draft.segment(_near(draft, household), "identify", userId=user, anonymousId=device)


def _visit(draft: _Draft, household: _Household, group: str) -> None:
    """Somebody works in another customer's account: a mention, which merges nothing."""
    draft.segment(
        _near(draft, household),
        "track",
        event="Task Created",
        userId=household.users[0],
        context={"groupId": group},
    )


def _iso(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds")
