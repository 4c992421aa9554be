"""One mapping's consumer: batches, invocations in order, retries, bisection, dead letters."""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from confluent_kafka import Consumer, KafkaException, Message

from desireline_local.poller.batch import BadResponseError, event_of, left_over, next_offsets, size
from desireline_local.poller.mapping import UNLIMITED, KafkaMapping

PAYLOAD_LIMIT = 6_000_000 - 100_000
FIRST_BACKOFF = 0.1
LONGEST_BACKOFF = 2.0
IDLE_SECONDS = 0.2

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Counts:
    """What a mapping did so far."""

    records: int = 0
    invocations: int = 0
    failures: int = 0
    dead_letters: int = 0
    busy: bool = False


class MappingConsumer(threading.Thread):
    """Consumes one topic for one function. `done` holds, by partition, the next offset whose
    predecessors have all been handled."""

    def __init__(self, mapping: KafkaMapping, *, bootstrap: str, lambdas: Any, s3: Any) -> None:
        super().__init__(name=f"{mapping.function}:{mapping.topic}", daemon=True)
        self.mapping = mapping
        self.counts = Counts()
        self.done: dict[int, int] = {}
        self._brokers = bootstrap
        self._lambdas = lambdas
        self._s3 = s3
        self._ending = threading.Event()

    def end(self) -> None:
        """Stop after the current invocation."""
        self._ending.set()

    def run(self) -> None:
        consumer = Consumer(
            {
                "bootstrap.servers": self._brokers,
                "group.id": self.mapping.group,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 10,
                "session.timeout.ms": 6_000,
                "topic.metadata.refresh.interval.ms": 5_000,
                "log_level": 2,
            }
        )
        consumer.subscribe([self.mapping.topic], on_assign=self._assigned)
        pending: list[Message] = []
        try:
            while not self._ending.is_set():
                batch, pending = self._gather(consumer, pending)
                if batch:
                    self.counts.busy = True
                    self._handle(batch, attempt=0)
                    self._commit(consumer, batch)
                self.counts.busy = bool(pending)
        except InterruptedError:
            log.info("%s: ends; what is not committed comes again", self.name)
        finally:
            consumer.close()

    def _assigned(self, consumer: Consumer, partitions: Sequence[Any]) -> None:
        for place in consumer.committed(list(partitions), timeout=10):
            if place.offset >= 0:
                self.done[place.partition] = place.offset

    def _gather(
        self, consumer: Consumer, pending: list[Message]
    ) -> tuple[list[Message], list[Message]]:
        """The next batch and what did not fit: up to its size, its bytes, its window."""
        batch: list[Message] = []
        total = 0
        end = time.monotonic() + self.mapping.window
        waiting = pending
        while True:
            while waiting and len(batch) < self.mapping.batch_size:
                if batch and total + size(waiting[0]) > PAYLOAD_LIMIT:
                    return batch, waiting
                total += size(waiting[0])
                batch.append(waiting.pop(0))
            left = end - time.monotonic()
            if len(batch) >= self.mapping.batch_size or (batch and left <= 0):
                return batch, waiting
            if self._ending.is_set():
                return [], []
            waiting.extend(self._fetch(consumer, self.mapping.batch_size - len(batch), left))

    def _fetch(self, consumer: Consumer, most: int, left: float) -> list[Message]:
        """What is there now, or the first record to come: `consume` alone would wait for `most`."""
        first = consumer.poll(min(left, IDLE_SECONDS) if left > 0 else IDLE_SECONDS)
        if first is None:
            return []
        found = [first, *consumer.consume(most - 1, timeout=0)] if most > 1 else [first]
        return [message for message in found if message.error() is None]

    def _commit(self, consumer: Consumer, batch: Sequence[Message]) -> None:
        offsets = next_offsets(batch)
        for place in offsets:
            self.done[place.partition] = place.offset
        try:
            consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            log.warning("%s: not committed, will come again: %s", self.name, error)

    def _handle(self, batch: Sequence[Message], *, attempt: int) -> None:
        """Have the function take all of these, or set aside what it will not take.

        Raises InterruptedError when the poller is to end before that.
        """
        while True:
            if self._ending.is_set():
                raise InterruptedError
            failed, why = self._invoke(batch)
            if not failed:
                return
            self.counts.failures += 1
            if len(failed) < len(batch):
                batch, attempt = failed, 0
                continue
            if self.mapping.bisect and len(batch) > 1:
                middle = len(batch) // 2
                self._handle(batch[:middle], attempt=attempt)
                self._handle(batch[middle:], attempt=attempt)
                return
            attempt += 1
            condition = self._exhausted(batch, attempt)
            if condition:
                self._set_aside(batch, condition, attempt, why)
                return
            self._ending.wait(min(LONGEST_BACKOFF, FIRST_BACKOFF * 2 ** (attempt - 1)))

    def _invoke(self, batch: Sequence[Message]) -> tuple[Sequence[Message], str]:
        """What is to be tried again after one invocation, and why."""
        event = event_of(batch, source=self.mapping.source, bootstrap=self._brokers)
        self.counts.invocations += 1
        try:
            answer = self._lambdas.invoke(
                FunctionName=self.mapping.arn, Payload=json.dumps(event).encode()
            )
            body = answer["Payload"].read()
        except (BotoCoreError, ClientError) as error:
            return batch, f"{type(error).__name__}: {error}"
        if answer.get("FunctionError"):
            return batch, body.decode()[:2000]
        self.counts.records += len(batch)
        if not self.mapping.partial:
            return (), ""
        try:
            return left_over(batch, json.loads(body or b"null")), "reported by the function"
        except BadResponseError as error:
            return batch, f"names an unknown record: {error}"

    def _exhausted(self, batch: Sequence[Message], attempt: int) -> str | None:
        """Why this batch is given up, if it is."""
        if self.mapping.retries != UNLIMITED and attempt > self.mapping.retries:
            return "RetryAttemptsExhausted"
        oldest = min(message.timestamp()[1] for message in batch) / 1000
        if self.mapping.max_age != UNLIMITED and time.time() - oldest > self.mapping.max_age:
            return "MaxRecordAgeExceeded"
        return None

    def _set_aside(self, batch: Sequence[Message], condition: str, tried: int, why: str) -> None:
        """Write the records to the on-failure bucket; it is tried until it works, because what is
        neither handled nor set aside would be lost."""
        now = datetime.now(UTC)
        event = event_of(batch, source=self.mapping.source, bootstrap=self._brokers)
        document = _dead_letter(self.mapping, event, condition, tried=tried, why=why)
        key = (
            f"aws/lambda/{self.mapping.id}/{self.mapping.function}/{now:%Y/%m/%d}/"
            f"{now:%Y-%m-%dT%H.%M.%S}-{uuid.uuid4()}"
        )
        log.error("%s: %d records set aside: %s: %s", self.name, len(batch), condition, why[:300])
        while self.mapping.bucket:
            if self._ending.is_set():
                raise InterruptedError
            try:
                self._s3.put_object(
                    Bucket=self.mapping.bucket, Key=key, Body=json.dumps(document).encode()
                )
                break
            except (BotoCoreError, ClientError) as error:
                log.warning("%s: on-failure destination: %s", self.name, error)
                self._ending.wait(LONGEST_BACKOFF)
        self.counts.dead_letters += len(batch)


def _dead_letter(
    mapping: KafkaMapping, event: Mapping[str, Any], condition: str, *, tried: int, why: str
) -> dict[str, Any]:
    """docs.aws.amazon.com/lambda/latest/dg/kafka-on-failure.html; S3 gets the records too."""
    records = [record for records in event["records"].values() for record in records]
    payload = json.dumps(event)
    return {
        "requestContext": {
            "requestId": str(uuid.uuid4()),
            "functionArn": mapping.arn,
            "condition": condition,
            "approximateInvokeCount": tried,
        },
        "responseContext": {
            "statusCode": 200,
            "executedVersion": "$LATEST",
            "functionError": why,
        },
        "version": "1.0",
        "timestamp": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}Z",
        "KafkaBatchInfo": {
            "batchSize": len(records),
            "eventSourceArn": mapping.source,
            "bootstrapServers": event["bootstrapServers"],
            "payloadSize": len(payload),
            "recordInfo": {
                "offset": records[0]["offset"],
                "timestamp": records[0]["timestamp"],
            },
        },
        "payload": payload,
    }
