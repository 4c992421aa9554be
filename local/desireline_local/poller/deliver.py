"""Deliver one batch to one function, until each record is handled or a dead letter."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from confluent_kafka import Message

from desireline_local.poller.batch import BadResponseError, event_of, failed_of, partition_of, size
from desireline_local.poller.dead_letter import EXHAUSTED, TOO_LARGE, TOO_OLD, document, object_key
from desireline_local.poller.event_source import UNLIMITED, KafkaEventSource

PAYLOAD_LIMIT = 6 * 1024 * 1024 - 1024
"""Lambda's limit of 6 MB, less the bytes around the records."""
FIRST_BACKOFF = 0.05
LONGEST_BACKOFF = 2.0

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Counts:
    """The counts of a mapping so far."""

    records: int = 0
    invocations: int = 0
    failures: int = 0
    dead_letters: int = 0
    busy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The callbacks of a running delivery.

    finished: receives the handled records. stuck: called if the batch fails, so that other batches
    need not wait for it. split: hands records of other partitions to another thread. interrupted:
    set if the delivery has to stop; unfinished records are then read again.
    """

    finished: Callable[[Sequence[Message]], None]
    stuck: Callable[[], None]
    split: Callable[[Sequence[Message]], None]
    interrupted: threading.Event


class Delivery:
    """Delivers batches of one mapping. Several threads may use it at once."""

    def __init__(self, mapping: KafkaEventSource, *, bootstrap: str, lambdas: Any, s3: Any) -> None:
        self.counts = Counts()
        self._mapping = mapping
        self._bootstrap = bootstrap
        self._lambdas = lambdas
        self._s3 = s3

    def __call__(self, messages: Sequence[Message], batch: Batch, *, attempt: int = 0) -> None:
        """Deliver the records, and return when each is finished. Raises InterruptedError."""
        left = list(messages)
        while left := self._without_unfit(left, batch, attempt):
            if batch.interrupted.is_set():
                raise InterruptedError
            failed, counts = self._invoke(left)
            batch.finished(_without(left, failed))
            if not failed:
                return
            self.counts.failures += 1
            batch.stuck()
            if counts and self._mapping.bisect and 1 < len(failed) == len(left):
                left = self._bisect(failed, batch, attempt)
                continue
            left, attempt = failed, attempt + counts
            if self._mapping.retries != UNLIMITED and attempt > self._mapping.retries:
                self._dead_letter(left, batch, EXHAUSTED, attempt)
                return
            batch.interrupted.wait(min(LONGEST_BACKOFF, FIRST_BACKOFF * 2 ** min(attempt, 10)))

    def _bisect(self, failed: list[Message], batch: Batch, attempt: int) -> list[Message]:
        """Split the failed records, start one part, and return the other.

        A part of other partitions goes to another thread. Within one partition the first half is
        delivered first, to keep the order.
        """
        partitions = sorted({partition_of(message) for message in failed})
        if len(partitions) > 1:
            own = set(partitions[: len(partitions) // 2])
            batch.split([message for message in failed if partition_of(message) not in own])
            return [message for message in failed if partition_of(message) in own]
        middle = len(failed) // 2
        self(failed[:middle], batch, attempt=attempt)
        return failed[middle:]

    def _invoke(self, messages: list[Message]) -> tuple[list[Message], int]:
        """Invoke the function once. Returns the failed records, and 1 if it counts as an attempt.

        A throttled call or an unreachable service does not count."""
        event = event_of(messages, source=self._mapping.source, bootstrap=self._bootstrap)
        self.counts.invocations += 1
        try:
            answer = self._lambdas.invoke(
                FunctionName=self._mapping.arn,
                Payload=json.dumps(event, separators=(",", ":")).encode(),
            )
            body = answer["Payload"].read()
        except (BotoCoreError, ClientError) as error:
            log.warning("%s: not invoked: %s", self._mapping.function, error)
            return messages, 0
        if answer.get("FunctionError"):
            log.warning("%s: %s", self._mapping.function, body.decode(errors="replace")[:500])
            return messages, 1
        try:
            failed = (
                failed_of(messages, json.loads(body or b"null")) if self._mapping.partial else []
            )
        except (BadResponseError, ValueError) as error:
            log.warning("%s: invalid partial response: %s", self._mapping.function, error)
            return messages, 1
        self.counts.records += len(messages) - len(failed)
        return failed, 1

    def _without_unfit(self, messages: list[Message], batch: Batch, attempt: int) -> list[Message]:
        """Write too large and too old records as dead letters, and return the others."""
        for condition, unfit in (
            (TOO_LARGE, [message for message in messages if size(message) > PAYLOAD_LIMIT]),
            (TOO_OLD, [message for message in messages if self._too_old(message)]),
        ):
            if unfit:
                self._dead_letter(unfit, batch, condition, attempt)
                messages = _without(messages, unfit)
        return messages

    def _too_old(self, message: Message) -> bool:
        limit = self._mapping.max_age
        return limit != UNLIMITED and time.time() - message.timestamp()[1] / 1000 > limit

    def _dead_letter(
        self, messages: list[Message], batch: Batch, condition: str, tried: int
    ) -> None:
        """Write the records to the on-failure bucket. It retries until the write succeeds, because
        else the records would be lost. Raises InterruptedError."""
        event = event_of(messages, source=self._mapping.source, bootstrap=self._bootstrap)
        body = json.dumps(document(self._mapping, event, condition=condition, tried=tried))
        key = object_key(self._mapping, event, datetime.now(UTC))
        log.error("%s: %d dead letters: %s", self._mapping.function, len(messages), condition)
        while self._mapping.bucket:
            if batch.interrupted.is_set():
                raise InterruptedError
            try:
                self._s3.put_object(Bucket=self._mapping.bucket, Key=key, Body=body.encode())
                break
            except (BotoCoreError, ClientError) as error:
                log.warning("%s: on-failure destination: %s", self._mapping.function, error)
                batch.interrupted.wait(LONGEST_BACKOFF)
        self.counts.dead_letters += len(messages)
        batch.finished(messages)


def _without(messages: list[Message], others: list[Message]) -> list[Message]:
    """Return the messages without the others."""
    excluded = {id(message) for message in others}
    return [message for message in messages if id(message) not in excluded]
