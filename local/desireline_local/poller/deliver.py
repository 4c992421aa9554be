"""One batch to one function: invoked until each record is taken or set aside."""

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
from desireline_local.poller.event_source import UNLIMITED, KafkaMapping

PAYLOAD_LIMIT = 6 * 1024 * 1024 - 1024
"""Lambda's 6 MB, less what is around the records."""
FIRST_BACKOFF = 0.05
LONGEST_BACKOFF = 2.0

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Counts:
    """What a mapping did so far."""

    records: int = 0
    invocations: int = 0
    failures: int = 0
    dead_letters: int = 0
    busy: bool = False


class Batch:
    """What is being delivered, and what its owner does as it goes on.

    finished: these records need not come again. stuck: it fails, others should not wait for it.
    split: hands records of other partitions to another thread. interrupted: whether to give up,
    leaving what is not finished to be read again.
    """

    def __init__(
        self,
        *,
        finished: Callable[[Sequence[Message]], None],
        stuck: Callable[[], None],
        split: Callable[[Sequence[Message]], None],
        interrupted: threading.Event,
    ) -> None:
        self.finished = finished
        self.stuck = stuck
        self.split = split
        self.interrupted = interrupted


class Delivery:
    """Delivers batches of one mapping; may be used by several threads at once."""

    def __init__(self, mapping: KafkaMapping, *, bootstrap: str, lambdas: Any, s3: Any) -> None:
        self.counts = Counts()
        self._mapping = mapping
        self._bootstrap = bootstrap
        self._lambdas = lambdas
        self._s3 = s3

    def __call__(self, messages: Sequence[Message], batch: Batch, *, attempt: int = 0) -> None:
        """Return when each of these is finished. Raises InterruptedError."""
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
                self._set_aside(left, batch, EXHAUSTED, attempt)
                return
            batch.interrupted.wait(min(LONGEST_BACKOFF, FIRST_BACKOFF * 2 ** min(attempt, 10)))

    def _bisect(self, failed: list[Message], batch: Batch, attempt: int) -> list[Message]:
        """Split what failed; deliver one part elsewhere or first, and return the other.

        Parts of different partitions do not wait for one another; within one, order holds.
        """
        partitions = sorted({partition_of(message) for message in failed})
        if len(partitions) > 1:
            kept = set(partitions[: len(partitions) // 2])
            batch.split([one for one in failed if partition_of(one) not in kept])
            return [one for one in failed if partition_of(one) in kept]
        middle = len(failed) // 2
        self(failed[:middle], batch, attempt=attempt)
        return failed[middle:]

    def _invoke(self, messages: list[Message]) -> tuple[list[Message], int]:
        """What failed in one invocation, and whether it counts as an attempt: a throttle or an
        unreachable service does not."""
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
            log.warning("%s: no partial response: %s", self._mapping.function, error)
            return messages, 1
        self.counts.records += len(messages) - len(failed)
        return failed, 1

    def _without_unfit(self, messages: list[Message], batch: Batch, attempt: int) -> list[Message]:
        """Those that Lambda may still be given; the others are set aside."""
        for condition, unfit in (
            (TOO_LARGE, [one for one in messages if size(one) > PAYLOAD_LIMIT]),
            (TOO_OLD, [one for one in messages if self._too_old(one)]),
        ):
            if unfit:
                self._set_aside(unfit, batch, condition, attempt)
                messages = _without(messages, unfit)
        return messages

    def _too_old(self, message: Message) -> bool:
        limit = self._mapping.max_age
        return limit != UNLIMITED and time.time() - message.timestamp()[1] / 1000 > limit

    def _set_aside(self, messages: list[Message], batch: Batch, condition: str, tried: int) -> None:
        """Write the records to the on-failure bucket; it is tried until it works, because what is
        neither handled nor set aside would be lost. Raises InterruptedError."""
        event = event_of(messages, source=self._mapping.source, bootstrap=self._bootstrap)
        body = json.dumps(document(self._mapping, event, condition=condition, tried=tried))
        key = object_key(self._mapping, event, datetime.now(UTC))
        log.error("%s: %d records set aside: %s", self._mapping.function, len(messages), condition)
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
    """The messages that are none of the others."""
    excluded = {id(one) for one in others}
    return [one for one in messages if id(one) not in excluded]
