"""cost.*: what the running local cloud was counted to do for a company's events, at list prices.

The events are a few days of a simulated company, in the order of their time, a day old, so that
they start no playbook; the enrolments are trials that begin now and run to their end, in journey
time. See docs/cost.md.
"""

from __future__ import annotations

import gzip
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson

from bench import mature
from bench.figures import say
from bench.hot_leads import epoch, in_time
from bench.load import behind, post_calls
from desireline.contracts import Table, Topic
from desireline.rows import EnrolmentRow
from desireline_learning.simulator.company import Company
from desireline_learning.simulator.scenario import Scenario
from desireline_learning.simulator.senders import iso
from desireline_local.cloud import LocalCloud
from desireline_local.demo.ledger import all_rows
from desireline_local.demo.run import prepare
from desireline_local.demo.world import CloudWorld
from desireline_operate.cost.bill import Counted, bill
from desireline_operate.cost.prices import list_prices
from infra.settings import context, deployment_settings

TRIALS, DAYS, SEED = 150, 14, 21
KNOWN, KNOWN_RATE = 4_000, 250
"""Of the company's first calls, so many are before the count: then nearly everybody is known when
an event comes, as in a company that has run for a while."""
ONES, ONE_RATE = 1_200, 40
TENS, TEN, TEN_RATE = 3_000, 10, 80
ENROLMENTS = 12
AGE = 26 * 3_600_000
"""Milliseconds: older than any playbook begins with."""
MILLION = 1_000_000
TARGETS = {"ten": 1.35, "one": 2.6}
"""Dollars on demand, once the changes that these figures call for are made."""
PATIENCE = 300.0

Row = dict[str, Any]


def measure() -> list[Row]:
    """A million events, one and ten a webhook, by component; an enrolment; what stands."""
    calls = _calls(KNOWN + ONES + TENS)
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalCloud(Path(folder) / "cloud") as cloud,
        httpx.Client(timeout=60) as http,
        CloudWorld(cloud.at, patience=PATIENCE) as world,
    ):
        prepare(cloud.at, time.time_ns() // 1_000_000)
        run = CountedRun(cloud, http, world)
        say(f"  {KNOWN} events before the count")
        run.send([*calls[:KNOWN], _unmapped(calls[0])], batch=100, rate=KNOWN_RATE)
        run.settle()
        say(f"  {ONES} events, one a webhook")
        ones = run.events(calls[KNOWN : KNOWN + ONES], batch=1, rate=ONE_RATE)
        say(f"  {TENS} events, ten a webhook")
        tens = run.events(calls[KNOWN + ONES :], batch=TEN, rate=TEN_RATE)
        say(f"  {ENROLMENTS} enrolments to their end")
        enrolled = run.enrolments()
    prices = list_prices()
    return [
        *_events("ten", *tens),
        *_events("one", *ones),
        *_counts("ten", *tens),
        *_counts("one", *ones),
        *mature.measure(),
        {"name": "cost.enrolment", "value": _dollars(*enrolled), "unit": "$"},
        {
            "name": "cost.floor_per_month",
            "value": sum(prices.monthly(one) for one in prices.floor),
            "unit": "$",
        },
    ]


def _unmapped(call: dict[str, Any]) -> dict[str, Any]:
    """Return a call that goes to quarantine. It starts index_quarantine before the count, because
    a bill needs a warm invocation of each function."""
    return {**call, "messageId": "unmapped", "type": "track", "event": "Unmapped"}


def _calls(count: int) -> list[dict[str, Any]]:
    """Segment's first calls of the company, by time, moved so that the last is a day old."""
    company = Company(
        Scenario(trials=TRIALS, days=DAYS, seed=SEED, late_delivery=0, duplicate_delivery=0)
    )
    made: list[dict[str, Any]] = []
    for delivery in company.deliveries:
        if delivery.source == "segment":
            body = orjson.loads(delivery.body)
            made += body.get("batch", [body])
    chosen = sorted(made, key=lambda call: str(call["timestamp"]))[:count]
    assert len(chosen) == count, f"the company has too few calls: {len(made)}"
    last = epoch(chosen[-1]["timestamp"])
    shift = time.time_ns() // 1_000_000 - AGE - last
    return [in_time(call, shift) for call in chosen]


@dataclass(frozen=True, slots=True)
class Before:
    """What there was when counting began."""

    stored: dict[str, int]
    files: frozenset[str]


class CountedRun:
    """Sends events, and returns what was counted of them with how many were accepted."""

    def __init__(self, cloud: LocalCloud, http: httpx.Client, world: CloudWorld) -> None:
        self._cloud = cloud
        self._world = world
        self._http = http
        self._secret = cloud.at.secret("segment")
        self._control = cloud.at.clock()
        self._s3 = cloud.at.client("s3")

    def events(
        self, calls: Sequence[dict[str, Any]], *, batch: int, rate: int
    ) -> tuple[Counted, int]:
        """All that these events cause."""
        before = self._begin()
        accepted = self.send(calls, batch=batch, rate=rate)
        self.settle()
        return self._counted(before), accepted

    def enrolments(self) -> tuple[Counted, int]:
        """Trials that begin now, and everything that their playbooks do until they end."""
        known = self._enrolled()
        before = self._begin()
        now = self._control.now()
        self.send([_signup(number, now) for number in range(ENROLMENTS)], batch=1, rate=10)
        self.settle()
        while (due := self._world.next_due()) is not None:
            self._world.advance(due)
            self._world.settle()
        self.settle()
        counted = self._counted(before)
        return counted, len(self._enrolled() - known)

    def send(self, calls: Sequence[dict[str, Any]], *, batch: int, rate: int) -> int:
        """At this rate of events; how many were accepted."""
        bodies = [calls[start : start + batch] for start in range(0, len(calls), batch)]
        due = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            answers = []
            for body in bodies:
                answers.append(pool.submit(self._post, body))
                due += batch / rate
                time.sleep(max(0.0, due - time.monotonic()))
            return sum(answer.result() for answer in answers)

    def settle(self) -> None:
        """Until nothing is under way, the archive included."""
        self._world.settle()
        until = time.monotonic() + PATIENCE
        poller = self._cloud.at.polling()
        while behind(poller):
            assert time.monotonic() < until, "the archive does not get through"
            time.sleep(0.5)

    def _post(self, calls: Sequence[dict[str, Any]]) -> int:
        return post_calls(self._http, self._cloud.at.webhooks, self._secret, calls)

    def _begin(self) -> Before:
        before = Before(self._stored(), frozenset(self._files()))
        self._control.count()
        return before

    def _counted(self, before: Before) -> Counted:
        usage = self._control.usage()
        usage.pop("counting")
        stored = self._stored()
        return Counted.of(
            usage,
            deployment=self._cloud.at.deployment,
            kafka_bytes={topic: size - before.stored[topic] for topic, size in stored.items()},
            archived_bytes=sum(map(self._unpacked, set(self._files()) - before.files)),
        )

    def _stored(self) -> dict[str, int]:
        """By topic, the bytes of its records on the broker's disk."""
        sizes = dict.fromkeys((topic.value for topic in Topic), 0)
        for log in (self._cloud.home / "kafka").rglob("*.log"):
            topic = log.parent.name.rpartition("-")[0]
            if topic in sizes:
                sizes[topic] += log.stat().st_size
        return sizes

    def _files(self) -> Iterator[str]:
        pages = self._s3.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self._cloud.at.archive_bucket):
            yield from (one["Key"] for one in page.get("Contents", ()))

    def _unpacked(self, key: str) -> int:
        answer = self._s3.get_object(Bucket=self._cloud.at.archive_bucket, Key=key)
        return len(gzip.decompress(answer["Body"].read()))

    def _enrolled(self) -> set[str]:
        rows = all_rows(self._cloud.at, Table.INTERVENTIONS)
        return {row.enrolment for row in rows if isinstance(row, EnrolmentRow)}


def _signup(number: int, now: int) -> dict[str, Any]:
    return {
        "type": "track",
        "messageId": f"enrolled-{number}",
        "timestamp": iso(now),
        "userId": f"enrolled-{number}",
        "event": "Trial Started",
        "properties": {"plan": "trial"},
        "context": {"groupId": f"enrolled-{number}"},
    }


def _bill(counted: Counted) -> dict[str, float]:
    prod = deployment_settings(context()["stages"], "prod")
    memory = {function.value: one.memory_mb for function, one in prod.functions.items()}
    return bill(counted, list_prices(), memory)


def _dollars(counted: Counted, times: int) -> float:
    assert times, "nothing was counted"
    return sum(_bill(counted).values()) / times


def _events(name: str, counted: Counted, accepted: int) -> Iterator[Row]:
    whole = f"cost.per_million_events{'' if name == 'ten' else '.one'}"
    value, target = _dollars(counted, accepted) * MILLION, TARGETS[name]
    yield {
        "name": whole,
        "value": value,
        "unit": "$",
        "target": f"≤ {target:g}",
        "met": value <= target,
    }
    for component, dollars in _bill(counted).items():
        yield {
            "name": f"cost.per_million_events.{name}.{component}",
            "value": dollars / accepted * MILLION,
            "unit": "$",
        }


def _counts(name: str, counted: Counted, accepted: int) -> Iterator[Row]:
    """What weighs most, for an event."""
    for what, count, unit in (
        ("invocations", sum(counted.invocations.values()), ""),
        ("cpu", sum(counted.cpu_seconds.values()) * 1000, "ms of a core"),
        ("passed", sum(counted.milliseconds.values()), "ms in handlers"),
        ("kafka_bytes", sum(counted.kafka_bytes.values()), "bytes"),
        ("log_bytes", sum(counted.log_bytes.values()), "bytes"),
        ("read_units", sum(counted.read_units.values()), "units"),
        ("write_units", sum(counted.write_units.values()), "units"),
        *((f"write_units.{table}", n, "units") for table, n in counted.write_units.items()),
    ):
        yield {"name": f"cost.an_event.{name}.{what}", "value": count / accepted, "unit": unit}
