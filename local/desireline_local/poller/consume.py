"""The consumer of one mapping: it reads the topic, and delivers batches concurrently, but only one
at a time for each partition."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from desireline_local.poller.batch import partition_of, size
from desireline_local.poller.deliver import PAYLOAD_LIMIT, Batch, Counts, Delivery
from desireline_local.poller.event_source import KafkaEventSource
from desireline_local.poller.progress import PartitionProgress

IDLE_SECONDS = 0.2
FETCH = 500
BUFFERED_BATCHES = 2
"""The number of batches in a partition's buffer, above which its reading pauses."""
TIMEOUT = 120.0
"""Longer than a broker's restart, which may happen during a request for offsets."""

log = logging.getLogger(__name__)


class MappingConsumer(threading.Thread):
    """Consumes one topic for one function, from the committed offsets of its group.

    At most `mapping.pollers` batches are under way at once. A batch that is retried does not count,
    so a poison record does not delay other partitions. An offset is committed when all records
    before it are handled or dead letters.
    """

    def __init__(self, mapping: KafkaEventSource, *, bootstrap: str, lambdas: Any, s3: Any) -> None:
        super().__init__(name=f"{mapping.function}:{mapping.topic}", daemon=True)
        self.mapping = mapping
        self._deliver = Delivery(mapping, bootstrap=bootstrap, lambdas=lambdas, s3=s3)
        self._progress = PartitionProgress()
        self._waiting: dict[int, deque[Message]] = {}
        self._paused: set[int] = set()
        self._held: set[int] = set()
        self._healthy = 0
        self._since: float | None = None
        self._changed = threading.Condition()
        self._interrupted = threading.Event()
        self._ending = threading.Event()
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": mapping.group,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 100,
                "queued.max.messages.kbytes": 16_384,
                # A killed member delays its group this long; a slow machine must not lose members.
                "session.timeout.ms": 15_000,
                "topic.metadata.refresh.interval.ms": 5_000,
                "log_level": 2,
            }
        )

    @property
    def counts(self) -> Counts:
        """The counts so far."""
        return self._deliver.counts

    @property
    def done(self) -> dict[int, int]:
        """By partition, the first offset that is not handled."""
        return self._progress.done

    def end(self) -> None:
        """Stop after the current invocations."""
        self._interrupted.set()
        self._ending.set()

    def run(self) -> None:
        self._consumer.subscribe(
            [self.mapping.topic], on_assign=self._assigned, on_revoke=self._revoked
        )
        try:
            while not self._ending.is_set():
                self._fetch()
                self._dispatch()
                self._pause_and_resume()
                self._commit()
        finally:
            self._interrupted.set()
            self._come_to_rest()
            self._consumer.close()

    def _fetch(self) -> None:
        """Buffer the available records, or wait for the first one.

        `consume` alone would wait for a full batch."""
        timeout = IDLE_SECONDS
        if self._since is not None and self.mapping.window:
            timeout = max(0.001, min(timeout, self._since + self.mapping.window - time.monotonic()))
        first = self._consumer.poll(timeout)
        if first is None:
            return
        messages = [first, *self._consumer.consume(FETCH, timeout=0)]
        with self._changed:
            for message in messages:
                if (error := message.error()) is not None:
                    if error.fatal():
                        raise KafkaException(error)
                    continue
                self._waiting.setdefault(partition_of(message), deque()).append(message)
                self._since = self._since or time.monotonic()

    def _dispatch(self) -> None:
        """Start batches up to the limit of `pollers`."""
        with self._changed:
            while self._healthy < self.mapping.pollers and not self._interrupted.is_set():
                batch = self._take()
                if not batch:
                    return
                self._healthy += 1
                self._start(batch, healthy=True)

    def _take(self) -> list[Message]:
        """Take a batch from partitions without a running batch, by size, bytes and window."""
        idle = [self._waiting[number] for number in sorted(self._waiting.keys() - self._held)]
        count = sum(len(queue) for queue in idle)
        since = self._since or 0.0
        if not count or (
            count < self.mapping.batch_size and time.monotonic() < since + self.mapping.window
        ):
            return []
        batch: list[Message] = []
        room = PAYLOAD_LIMIT
        for queue in idle:
            while queue and len(batch) < self.mapping.batch_size:
                needed = size(queue[0])
                if batch and needed > room:
                    break
                room -= needed
                batch.append(queue.popleft())
        self._since = time.monotonic() if any(self._waiting.values()) else None
        return batch

    def _start(self, messages: Sequence[Message], *, healthy: bool) -> None:
        self._held |= {partition_of(message) for message in messages}
        self._progress.start(messages)
        self.counts.busy = True
        threading.Thread(target=self._deliver_batch, args=(messages, healthy), daemon=True).start()

    def _deliver_batch(self, messages: Sequence[Message], healthy: bool) -> None:
        """Deliver one batch, and hold its partitions until it ends.

        healthy: whether the batch counts towards `pollers`. It no longer does after a failure."""
        held = {partition_of(message) for message in messages}
        counted = healthy

        def stuck() -> None:
            nonlocal counted
            if counted:
                counted = False
                with self._changed:
                    self._healthy -= 1
                self._dispatch()

        def split(others: Sequence[Message]) -> None:
            held.difference_update(partition_of(message) for message in others)
            with self._changed:
                self._start(others, healthy=False)

        batch = Batch(
            finished=self._progress.finish, stuck=stuck, split=split, interrupted=self._interrupted
        )
        try:
            self._deliver(messages, batch)
        except InterruptedError:
            log.info("%s: interrupted; uncommitted records will be read again", self.name)
        except Exception:
            log.exception("%s: the poller fails", self.name)
            self.end()
        finally:
            with self._changed:
                self._healthy -= counted
                self._held -= held
                self.counts.busy = bool(self._held)
                self._changed.notify_all()
            self._dispatch()

    def _commit(self) -> None:
        """Commit new offsets.

        Only the consumer's own thread may call this, because polling blocks other threads."""
        topic = self.mapping.topic
        if moved := self._progress.uncommitted():
            try:
                self._consumer.commit(
                    offsets=[TopicPartition(topic, *item) for item in moved.items()],
                    asynchronous=False,
                )
            except KafkaException as error:
                log.warning("%s: commit failed, will be retried: %s", self.name, error)

    def _pause_and_resume(self) -> None:
        with self._changed:
            full = {
                partition
                for partition, queue in self._waiting.items()
                if len(queue) > BUFFERED_BATCHES * self.mapping.batch_size
                or sum(size(message) for message in queue) > BUFFERED_BATCHES * PAYLOAD_LIMIT
            }
            topic = self.mapping.topic
            if pausing := full - self._paused:
                self._consumer.pause([TopicPartition(topic, one) for one in pausing])
            if resuming := self._paused - full:
                self._resume(resuming)
            self._paused = full

    def _resume(self, partitions: set[int]) -> None:
        self._consumer.resume([TopicPartition(self.mapping.topic, one) for one in partitions])

    def _assigned(self, consumer: Consumer, partitions: Sequence[Any]) -> None:
        for partition in self._answer(consumer.committed, list(partitions)):
            start = partition.offset
            if start < 0:
                start, _ = self._answer(consumer.get_watermark_offsets, partition)
            self._progress.begin(partition.partition, start)

    def _answer(self, ask: Callable[..., Any], about: Any) -> Any:
        """Repeat a request until the broker answers: a new broker may refuse for a while."""
        while True:
            try:
                return ask(about, timeout=TIMEOUT)
            except KafkaException as error:
                log.warning("%s: retrying a request: %s", self.name, error)
                if self._ending.wait(IDLE_SECONDS):
                    raise

    def _revoked(self, _: Consumer, __: Sequence[Any]) -> None:
        """Finish running batches, and drop the buffer, which will be read again.

        Paused partitions are resumed, because the pause would outlast a new assignment."""
        self._interrupted.set()
        self._come_to_rest()
        with self._changed:
            self._waiting.clear()
            self._since = None
            self._resume(self._paused)
            self._paused = set()
        if not self._ending.is_set():
            self._interrupted.clear()

    def _come_to_rest(self) -> None:
        """Wait for the running invocations, and commit their progress."""
        with self._changed:
            self._changed.wait_for(lambda: not self._held)
        self._commit()
