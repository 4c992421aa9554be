"""The fault run: many events through the running cloud while it is mistreated, then counted.

`python -m bench.fault_run EVENTS` prints what was found as JSON: the test that CI runs and
`make bench ONLY=faults` read it.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson

from bench.read_topic import read_topic
from desireline.contracts import Table, Topic
from desireline.errors import RetryableError
from desireline.events import AliasType, CanonicalEvent
from desireline.journey.state import EMPTY, JourneyState, fold
from desireline.recover.redrive.redrive import Order
from desireline.recover.redrive.selection import Selection
from desireline.rows import ClaimRow, ClaimState, PersonRow, StateRow
from desireline_learning.simulator.senders import iso
from desireline_local.cloud import LocalCloud
from desireline_local.demo.ledger import all_rows
from desireline_local.demo.run import MAILBOX, mail, prepare
from desireline_local.demo.world import CloudWorld
from desireline_local.sender_side.signing import sign
from desireline_operate.compose import Redriving

START = 1_767_571_200_000
HOUR = 3_600_000
NOW = START + 5 * HOUR
"""Where journey time stands: the first check of the earlier trials is due."""
EVENTS_A_BATCH = 100
PATIENCE = 1_200.0
"""Seconds: a message whose delivery was cut off is invisible for some minutes."""
NAMES: tuple[tuple[str, dict[str, str]], ...] = (
    ("Signed In", {}),
    ("Task Created", {}),
    ("Project Created", {"project_name": "one"}),
    ("Feature Used", {"feature_name": "board"}),
    ("Integration Failed", {"integration_name": "slack"}),
    ("Invite Sent", {"role": "member"}),
)
POISONED = "u_poisoned"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was found at the end. Events that were acknowledged and not counted, counted more than
    once; persons that differ from the oracle's; messages that reached somebody twice; claims that
    were left open; records set aside and brought back; faults that were injected."""

    events: int
    lost: int
    counted_twice: int
    wrong_states: int
    wrong_persons: int
    messages: int
    messages_twice: int
    open_claims: int
    redriven: int
    injected: dict[str, int]
    seconds: float


def calls(rng: random.Random, events: int) -> Iterator[dict[str, Any]]:
    """Segment calls of some hundred users, two devices each, and a trial of each."""
    users = max(20, events // 200)
    for number in range(events):
        user = rng.randrange(users)
        event, properties = NAMES[rng.randrange(len(NAMES))]
        known = rng.random() < 0.7
        call: dict[str, Any] = {
            "type": "track",
            "messageId": f"m{number}",
            "timestamp": iso(START + rng.randrange(3 * HOUR)),
            "anonymousId": f"d{user}-{rng.randrange(2)}",
            "event": event,
            "properties": properties,
        }
        if known:
            call["userId"] = f"u{user}"
        if number < users:
            call |= {"userId": f"u{user_of(number, users)}", "event": "Trial Started"}
            call |= {"anonymousId": f"d{user_of(number, users)}-0", "properties": {"plan": "trial"}}
        yield call


def user_of(number: int, users: int) -> int:
    """The first calls start one trial for each user."""
    return number % users


def bodies(rng: random.Random, events: int) -> list[bytes]:
    """Batches in a random order, a tenth of them twice."""
    made = list(calls(rng, events))
    rng.shuffle(made)
    batches = [made[i : i + EVENTS_A_BATCH] for i in range(0, len(made), EVENTS_A_BATCH)]
    found = [orjson.dumps({"batch": batch}) for batch in batches]
    found += [body for body in found if rng.random() < 0.1]
    rng.shuffle(found)
    return found


class Sender:
    """Posts as Segment does: until it is answered with 2xx. A context manager."""

    def __init__(self, cloud: LocalCloud) -> None:
        self._url = f"{cloud.at.webhooks}/segment"
        self._secret = cloud.at.secret("segment")
        self._http = httpx.Client(timeout=120)
        self.refused = 0

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def post(self, body: bytes) -> None:
        """Deliver it for good."""
        headers = sign("segment", body, self._secret, 0)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            try:
                answer = self._http.post(self._url, content=body, headers=headers)
                if answer.status_code == 200:
                    return
            except httpx.TransportError:
                pass
            self.refused += 1
            time.sleep(0.3)
        raise AssertionError("a webhook was never taken")


def mistreat(cloud: LocalCloud) -> None:
    """A poller killed with -9, the broker killed and started again, throttled tables."""
    time.sleep(4)
    cloud.kill_poller()
    cloud.start_poller()
    time.sleep(4)
    assert cloud.kafka is not None
    node = cloud.kafka.nodes[0]
    cloud.kafka.kill(node)
    time.sleep(1)
    cloud.kafka.start_node(node)
    cloud.kafka.wait(node)


def run(cloud: LocalCloud, *, events: int, seed: int = 1) -> Outcome:
    """The whole run on a started cloud of one node without a warehouse."""
    began = time.monotonic()
    rng = random.Random(seed)
    addresses = cloud.at
    prepare(addresses, NOW)
    control = addresses.clock()
    poisoned = addresses.as_deployment().fragments().alias(AliasType.USER, POISONED)
    assert poisoned is not None
    control.faults(throttle=0.03, conflict=0.02, seed=seed, poison=poisoned.fragment)
    control.faults(silent_publishes=2)
    sent = bodies(rng, events)
    sent.append(orjson.dumps({"batch": [_poison_call()]}))
    with Sender(cloud) as sender, ThreadPoolExecutor(4) as pool:
        posting = [pool.submit(sender.post, body) for body in sent]
        mistreat(cloud)
        for one in posting:
            one.result()
    _until_set_aside(cloud)
    control.faults(throttle=0.0, conflict=0.0, poison="")
    redriven = _redrive(cloud)
    with CloudWorld(addresses, patience=PATIENCE) as world:
        world.settle()
    injected = control.faults()["injected"]
    return _count(cloud, sent, redriven, injected, time.monotonic() - began)


def _poison_call() -> dict[str, Any]:
    return {
        "type": "track",
        "messageId": "poison",
        "timestamp": iso(START),
        "userId": POISONED,
        "event": "Task Created",
        "properties": {},
    }


def _until_set_aside(cloud: LocalCloud) -> None:
    """Until the poisoned record lies in the on-failure bucket."""
    bucket = Redriving(cloud.at.as_deployment()).bucket
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if any(True for _ in bucket.objects()):
            return
        time.sleep(1)
    raise AssertionError("the poisoned record was not set aside")


def _redrive(cloud: LocalCloud) -> int:
    """Everything set aside, until nothing is; the pipeline has to be at rest for that."""
    redriving = Redriving(cloud.at.as_deployment())
    total = 0
    for attempt in range(5):
        with CloudWorld(cloud.at, patience=PATIENCE) as world:
            world.settle()
        reason = "the faults are over"
        order = Order(id=f"r{attempt}", requested_by="the fault run", why=reason, rate=5_000)
        try:
            found = redriving.redrive.survey(Selection())
            if not found.chosen:
                return total
            sending = redriving.redrive.send(found, order)
            outcome = redriving.follow_up(sending, PATIENCE)
        except RetryableError:
            continue
        total += len(sending.sent) + len(sending.accepted)
        assert outcome.good, outcome.total
    return total


def _count(
    cloud: LocalCloud,
    sent: Sequence[bytes],
    redriven: int,
    injected: dict[str, int],
    seconds: float,
) -> Outcome:
    events = _received(cloud)
    expected: dict[tuple[str, str], dict[str, CanonicalEvent]] = defaultdict(dict)
    for event in events:
        expected[event.fragment, event.account_key][event.event_id] = event
    ids = {call["messageId"] for body in sent for call in orjson.loads(body)["batch"]}
    states = {
        (row.fragment, row.account): row.state
        for row in all_rows(cloud.at, Table.STATES)
        if isinstance(row, StateRow)
    }
    expected_states = {key: fold(EMPTY, group.values()) for key, group in expected.items()}
    over, under = _differences(states, expected_states)
    claims = [r for r in all_rows(cloud.at, Table.INTERVENTIONS) if isinstance(r, ClaimRow)]
    messages = len(mail(cloud.at, _mailbox(cloud)))
    accepted = sum(row.state in (ClaimState.SENT, ClaimState.UNKNOWN) for row in claims)
    return Outcome(
        events=len(ids),
        lost=under + len(ids) - len({e.event_id for e in events}),
        counted_twice=over,
        wrong_states=sum(states.get(key) != state for key, state in expected_states.items()),
        wrong_persons=_wrong_persons(cloud, events),
        messages=messages,
        messages_twice=max(0, messages - accepted),
        open_claims=sum(row.state in (ClaimState.CLAIMED, ClaimState.SENDING) for row in claims),
        redriven=redriven,
        injected=injected,
        seconds=seconds,
    )


def _received(cloud: LocalCloud) -> list[CanonicalEvent]:
    """Every record of events.received."""
    messages = read_topic(cloud.bootstrap, Topic.EVENTS_RECEIVED)
    return [CanonicalEvent.decode(message.value() or b"") for message in messages]


def _differences(
    states: dict[tuple[str, str], JourneyState],
    expected_states: dict[tuple[str, str], JourneyState],
) -> tuple[int, int]:
    """Events counted beyond, and short of, what they should be."""
    over = under = 0
    for key in states.keys() | expected_states.keys():
        have = sum(states.get(key, EMPTY).counts.values())
        want = sum(expected_states.get(key, EMPTY).counts.values())
        over += max(0, have - want)
        under += max(0, want - have)
    return over, under


def _wrong_persons(cloud: LocalCloud, events: Sequence[CanonicalEvent]) -> int:
    """Fragments whose person is not that of the union-find over all events."""
    parent: dict[str, str] = {}

    def find(one: str) -> str:
        while parent.setdefault(one, one) != one:
            one = parent[one]
        return one

    for event in events:
        for alias in event.aliases:
            parent[find(alias.fragment)] = find(event.fragment)
    rows = {
        row.fragment: row
        for row in all_rows(cloud.at, Table.IDENTITY)
        if isinstance(row, PersonRow)
    }

    def root(fragment: str) -> str:
        while fragment in rows and (into := rows[fragment].merged_into):
            fragment = into
        return fragment

    groups: dict[str, set[str]] = defaultdict(set)
    for fragment in parent:
        groups[find(fragment)].add(root(fragment))
    split = sum(len(roots) - 1 for roots in groups.values())
    merged = len(groups) - len({frozenset(roots) for roots in groups.values()})
    return split + merged


def _mailbox(cloud: LocalCloud) -> str:
    return str(cloud.at.client("sqs").get_queue_url(QueueName=MAILBOX)["QueueUrl"])


def main() -> None:
    """Run on a cloud of its own."""
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalCloud(Path(folder) / "cloud", warehouse=False) as cloud,
    ):
        found = run(cloud, events=int(sys.argv[1]))
    sys.stdout.write(json.dumps(asdict(found)) + "\n")


if __name__ == "__main__":
    main()
