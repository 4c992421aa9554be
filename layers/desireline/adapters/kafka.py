"""The Producer port on Kafka: one idempotent producer per environment.

Lambda freezes an environment between invocations. Timers and keep-alives then stop, and connections
may close unnoticed. So the settings have short timeouts, and the producer reads metadata after a
pause. Both limit the time of the first send after a pause.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Literal

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from desireline.errors import UnavailableError
from desireline.records import Outgoing

Auth = Literal["iam", "plaintext"]

IDLE_SECONDS = 30.0
PROBE_SECONDS = 1.0

SETTINGS: dict[str, Any] = {
    "acks": "all",
    "enable.idempotence": True,
    "linger.ms": 5,
    "compression.type": "lz4",
    "partitioner": "murmur2_random",
    "message.max.bytes": 8_000_000,
    "socket.timeout.ms": 3_000,
    "message.timeout.ms": 10_000,
    "socket.keepalive.enable": True,
    "connections.max.idle.ms": 30_000,
    "reconnect.backoff.ms": 20,
    "reconnect.backoff.max.ms": 500,
    "retry.backoff.ms": 50,
    # Flush counts the records that are left, so only failures need a callback. A callback for each
    # record would cost as much as producing it.
    "delivery.report.only.error": True,
    "log_level": 3,
}


class KafkaProducer:
    """A producer. auth: 'iam' on MSK, 'plaintext' locally. probe: a topic whose metadata it reads.

    A thread makes the client, because with IAM the client's constructor sleeps for one second. The
    environment can continue its initialisation meanwhile.
    """

    def __init__(self, bootstrap: str, auth: Auth, *, probe: str, region: str = "") -> None:
        self._settings = {"bootstrap.servers": bootstrap, **SETTINGS, **security(auth, region)}
        self._probe = probe
        self._failures = _Failures()
        self._client: Producer | None = None
        self._open: Producer | None = None
        self._used_at = time.monotonic()
        self._maker = threading.Thread(target=self._make, daemon=True)
        self._maker.start()

    def produce(self, record: Outgoing) -> None:
        # `_ready` checks the connection once between two flushes, not for every record.
        client = self._open or self._ready()
        try:
            self._enqueue(client, record)
        except BufferError:
            client.poll(1.0)
            try:
                self._enqueue(client, record)
            except BufferError as error:
                raise UnavailableError("the producer's queue is full") from error

    def _enqueue(self, client: Producer, record: Outgoing) -> None:
        topic, key, value, headers = record
        try:
            if headers:
                client.produce(topic, value, key.encode(), headers=[*headers.items()])
            else:
                client.produce(topic, value, key.encode())
        except KafkaException as error:
            raise self._unavailable(error.args[0]) from error

    def flush(self, timeout: float) -> None:
        client = self._open or self._ready()
        self._open = None
        left = client.flush(timeout)
        self._used_at = time.monotonic()
        if failures := self._failures.drain():
            if any(error.fatal() for error in failures):
                self._renew()
            raise UnavailableError(f"Kafka refused {len(failures)} records: {failures[0].str()}")
        if left:
            # Records in the queue may still arrive. They are then duplicates, which count once.
            self._renew()
            raise UnavailableError(f"Kafka did not acknowledge {left} records in {timeout} s")

    def warm(self, timeout: float = 10.0) -> None:
        """Connect now, so that the first webhook does not wait. timeout: seconds."""
        self._ready().list_topics(self._probe, timeout=timeout)

    def _make(self) -> None:
        # One callback serves all records. One per record would add a third to the cost.
        self._client = Producer({**self._settings, "on_delivery": self._failures.add})

    def _ready(self) -> Producer:
        self._maker.join()
        if self._client is None:
            self._make()
        client = self._client
        assert client is not None
        if time.monotonic() - self._used_at > IDLE_SECONDS:
            self._used_at = time.monotonic()
            try:
                client.list_topics(self._probe, timeout=PROBE_SECONDS)
            except KafkaException:
                self._renew()
                return self._ready()
        self._open = client
        return client

    def _unavailable(self, error: KafkaError) -> UnavailableError:
        if error.fatal():
            self._renew()
        return UnavailableError(error.str())

    def _renew(self) -> None:
        self._client = self._open = None
        self._used_at = time.monotonic()


class _Failures:
    """Collects the errors of delivery. It is separate from the producer, because the client refers
    to it, and so would keep the producer alive."""

    def __init__(self) -> None:
        self._errors: list[KafkaError] = []

    def add(self, error: KafkaError | None, _: Message) -> None:
        """Add the error of a delivery report, if any."""
        if error is not None:
            self._errors.append(error)

    def drain(self) -> list[KafkaError]:
        """Return the errors since the last call."""
        errors, self._errors = self._errors, []
        return errors


def security(auth: Auth, region: str) -> dict[str, Any]:
    """Return a client's settings for authentication."""
    if auth == "plaintext":
        return {"security.protocol": "PLAINTEXT"}
    return {
        "security.protocol": "SASL_SSL",
        "sasl.mechanisms": "OAUTHBEARER",
        "oauth_cb": _token(region),
    }


def _token(region: str) -> Callable[[str], tuple[str, float]]:
    from aws_msk_iam_sasl_signer import MSKAuthTokenProvider  # noqa: PLC0415 — only with IAM

    def fetch(_: str) -> tuple[str, float]:
        token, expires_ms = MSKAuthTokenProvider.generate_auth_token(region)
        return token, expires_ms / 1000

    return fetch
