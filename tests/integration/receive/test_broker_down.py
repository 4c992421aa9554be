"""Receive on a real broker that goes away: a sender is told in time, and nothing is lost or
doubled once it is back."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import orjson
import pytest

from bench.read_topic import read_topic
from desireline.adapters.aws import QUICK_SECONDS, _session, quick_client
from desireline.adapters.clock import WallClock
from desireline.adapters.dynamodb import DynamoStore
from desireline.adapters.kafka import KafkaProducer
from desireline.adapters.suppressions import DynamoSuppressions
from desireline.contracts import EVENTS_LIMIT, Table, Topic
from desireline.errors import UnavailableError
from desireline.events import CanonicalEvent
from desireline.plan.tracking_plan import load_plan
from desireline.ports import Suppressions
from desireline.receive.mapping.event_mapper import EventMapper
from desireline.receive.receive_webhook import ANSWER_SHARE, ReceiveWebhook
from desireline.receive.request import WebhookRequest
from desireline.receive.senders import load_senders
from desireline.throttle import ANY, Limit, Throttle
from desireline_local.kafka.broker import LOOPBACK, Kafka, create_topics
from desireline_local.sender_side.signing import sign
from tests.worlds.frozen_broker import frozen

SECRET = b"secret"
TIGHTEST = min(sender.deadline for sender in load_senders().values())
DEADLINE = load_senders(["segment"])["segment"].deadline
NOT_WAITED_FOR = "Kafka did not acknowledge"
"""What the producer says when its patience ended, and not Kafka's."""
PLAN = load_plan()


class Ports:
    """Secrets and metrics."""

    def current(self, name: str) -> tuple[bytes, ...]:
        return (SECRET,)

    def refresh(self, name: str) -> bool:
        return False

    def count(self, name: str, value: int = 1, **dimensions: str) -> None: ...


class Patience(KafkaProducer):
    """Notes how long it is let wait: what has passed until then tells more of the machine."""

    def __init__(self, bootstrap: str) -> None:
        super().__init__(bootstrap, "plaintext", probe=Topic.EVENTS_RECEIVED)
        self.seconds = 0.0
        self.failures: list[str] = []

    def flush(self, timeout: float) -> None:
        self.seconds += timeout
        try:
            super().flush(timeout)
        except UnavailableError as error:
            self.failures.append(str(error))
            raise


def receiving(
    producer: KafkaProducer,
    suppressions: Suppressions | None = None,
    throttle: Throttle | None = None,
) -> ReceiveWebhook:
    ports, wall = Ports(), WallClock()
    return ReceiveWebhook(
        senders=load_senders(["segment", "stripe"]),
        secrets=ports,
        mapper=EventMapper.with_secret(PLAN, b"namespace", suppressions),
        producer=producer,
        clock=wall,
        wall=wall,
        metrics=ports,
        throttle=throttle,
    )


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and never says anything."""
    held: list[socket.socket] = []
    stopped = threading.Event()
    with socket.create_server((LOOPBACK, 0)) as server:
        server.settimeout(0.1)

        def accept() -> None:
            while not stopped.is_set():
                with suppress(TimeoutError):
                    held.append(server.accept()[0])

        thread = threading.Thread(target=accept)
        thread.start()
        yield server.getsockname()[1]
        stopped.set()
        thread.join()
        for connection in held:
            connection.close()


def webhook(number: int) -> WebhookRequest:
    body = orjson.dumps(
        {"type": "track", "messageId": f"m{number}", "userId": f"u{number % 5}",
         "timestamp": "2026-01-05T00:00:00Z", "event": "Report Viewed", "properties": {}}
    )  # fmt: skip
    return WebhookRequest("segment", sign("segment", body, SECRET, 0), body)


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[Kafka]:
    """A broker that may be killed."""
    with Kafka(tmp_path / "kafka") as kafka:
        create_topics(kafka.bootstrap, {topic.value: 2 for topic in Topic})
        yield kafka


def test_5xx_until_the_broker_is_back_then_nothing_is_missing_and_nothing_counts_twice(
    own_kafka: Kafka,
) -> None:
    """Given a sender that repeats what was answered with 5xx, as senders do,
    when the broker dies with -9 in the middle and comes back,
    then every webhook is in the end answered with 200, and each event is there under one id."""
    producer = Patience(own_kafka.bootstrap)
    receive = receiving(producer)
    node = own_kafka.nodes[0]
    pending, answers = list(range(30)), []
    insist(receive, pending[:10])
    own_kafka.kill(node)
    for number in pending[10:13]:
        producer.seconds = 0.0
        answer = receive(webhook(number))
        answers.append((answer.status, answer.retry_after is not None))
        assert 0 < producer.seconds <= DEADLINE * ANSWER_SHARE
    assert answers == [(503, True)] * 3

    own_kafka.start_node(node)
    own_kafka.wait(node)
    insist(receive, pending[10:])

    events = map(CanonicalEvent.decode, values(own_kafka, Topic.EVENTS_RECEIVED))
    by_id: dict[str, set[bytes]] = {}
    for event in events:
        told = event.model_copy(update={"received_at": 0, "stamps": None, "raw": None})
        by_id.setdefault(event.event_id, set()).add(repr(told).encode())
    assert len(by_id) == len(pending), "each is there, under the id of its first delivery"
    assert all(len(same) == 1 for same in by_id.values()), "what came twice is the same"
    raws = {orjson.loads(raw)["id"] for raw in values(own_kafka, Topic.WEBHOOKS_RAW)}
    assert len(raws) == len(pending)


def test_a_broker_that_stands_still_is_a_503_while_the_sender_waits(own_kafka: Kafka) -> None:
    """Given a broker whose machine hangs: connections stay open, and nothing is answered."""
    producer = Patience(own_kafka.bootstrap)
    receive = receiving(producer)
    insist(receive, [1])
    producer.seconds, producer.failures = 0.0, []
    with frozen(own_kafka.nodes[0]):
        assert receive(webhook(2)).status == 503
    assert 0 < producer.seconds <= DEADLINE * ANSWER_SHARE
    assert NOT_WAITED_FOR in producer.failures[0]


@pytest.mark.parametrize("deadline", [3.0, 5.0])
def test_an_address_that_never_speaks_is_a_503_in_time(
    monkeypatch: pytest.MonkeyPatch, silent: int, deadline: float
) -> None:
    """Given something that takes connections and says nothing, then the tightest sender too is
    answered before it gives up, and a function's own end is kept as well."""
    monkeypatch.setattr(type(load_senders(["segment"])["segment"]), "deadline", deadline)
    producer = Patience(f"{LOOPBACK}:{silent}")
    receive = receiving(producer)
    for number in range(2):
        producer.seconds = 0.0
        assert receive(webhook(number)).status == 503
        assert 0 < producer.seconds <= deadline * ANSWER_SHARE
    short = webhook(9)
    hurried = WebhookRequest(short.source, short.headers, short.body, deadline=1.0)
    producer.seconds = 0.0
    assert receive(hurried).status == 503
    assert 0 < producer.seconds <= 1.0 * ANSWER_SHARE
    assert all(NOT_WAITED_FOR in why for why in producer.failures)


def test_tables_that_never_speak_are_a_503_before_the_tightest_sender_gives_up(
    monkeypatch: pytest.MonkeyPatch, silent: int
) -> None:
    """Given that neither a limit can be looked up nor who is suppressed, nor Kafka be reached, then
    nothing is taken, and in time: what waits, waits one after the other."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{LOOPBACK}:{silent}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    _session.cache_clear()
    with closing(quick_client("dynamodb")) as client:
        calls: list[Any] = []
        client.meta.events.register("before-send.dynamodb", lambda **_: calls.append(1))
        waits = client.meta.config
        assert waits.read_timeout == waits.connect_timeout == QUICK_SECONDS
        wall, ports = WallClock(), Ports()
        suppressions = DynamoSuppressions(client, "table", wall, ports)
        store = DynamoStore(client, {Table.ADMISSION: "admission"})
        throttle = Throttle(store, {ANY: Limit(rate=1, burst=EVENTS_LIMIT)}, wall, ports)
        producer = Patience(f"{LOOPBACK}:{silent}")
        receive = receiving(producer, suppressions, throttle)
        for number in range(3):
            producer.seconds, calls[:] = 0.0, []
            assert receive(webhook(number)).status == 503
            assert calls
            assert len(calls) * QUICK_SECONDS + producer.seconds < TIGHTEST
    _session.cache_clear()


def insist(receive: ReceiveWebhook, numbers: list[int]) -> None:
    """Send each again until it is taken, as senders do."""
    left, end = numbers, time.monotonic() + 300
    while left:
        assert time.monotonic() < end, f"not taken: {left}"
        left = [number for number in left if receive(webhook(number)).status != 200]


def values(kafka: Kafka, topic: Topic) -> list[bytes]:
    return [message.value() or b"" for message in read_topic(kafka.bootstrap, topic)]
