"""Event source mappings of DynamoDB streams, as Lambda documents them.

Stock ministack reads all streams in one thread, one batch after the other. It waits a second after
a failure, loses partial responses, and has neither retries nor bisection. Here each mapping has its
own reader, which handles records in order and skips none. A record that the function does not
handle goes to the on-failure destination after its retries or its age. ParallelizationFactor
(several batches of a shard at once) is not modelled.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ministack.services.lambda_svc as lambdas
from ministack.core.arn import ArnParseError, parse_arn
from ministack.core.responses import _request_account_id, _request_region
from ministack.services import dynamodb

from desireline_local.aws.tool.patches import reported_failures
from desireline_local.aws.tool.stream_failures import set_aside

FIRST_BACKOFF = 0.05
LONGEST_BACKOFF = 2.0
UNLIMITED = -1

log = logging.getLogger(__name__)
_busy: set[str] = set()
_busy_lock = threading.Lock()


def install() -> None:
    """Replace ministack's readers by ours. Raises AssertionError if ministack has changed."""
    assert callable(lambdas._poll_dynamodb_streams)
    assert callable(dynamodb.stream_records_since)
    lambdas._poll_dynamodb_streams = _start_readers
    lambdas._ESM_IDLE_WAKE_GAP_SECONDS = 0.002
    lambdas._ESM_BACKOFF_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class EventSource:
    """A mapping with its table, and the account and region that it belongs to."""

    account: str
    region: str
    mapping: dict[str, Any]
    table: str


class GoneError(Exception):
    """The mapping was deleted or disabled. Its unhandled records stay in the stream."""


def _start_readers() -> bool:
    """Start the missing readers, and return whether there were any.

    ministack's loop calls this after each write."""
    started = False
    for source in _behind():
        identity = source.mapping["UUID"]
        with _busy_lock:
            if identity in _busy:
                continue
            _busy.add(identity)
        threading.Thread(target=_read, args=(source,), daemon=True).start()
        started = True
    return started


@contextmanager
def _scope(account: str, region: str) -> Iterator[None]:
    """Read ministack's stores as this account in this region."""
    tokens = _request_account_id.set(account), _request_region.set(region)
    try:
        yield
    finally:
        _request_account_id.reset(tokens[0])
        _request_region.reset(tokens[1])


def _behind() -> list[EventSource]:
    """Return the enabled mappings that have unhandled records."""
    found = []
    for account, region, mapping in lambdas._iter_all_esms():
        with _scope(account, region):
            try:
                spec = parse_arn(mapping.get("EventSourceArn") or "")
            except ArnParseError:
                continue
            name = lambdas._dynamodb_stream_table_from_arn_spec(spec)
            table = dynamodb._tables.get(name[0]) if name else None
            if not table or table.get("LatestStreamArn") != mapping["EventSourceArn"]:
                continue
            source = EventSource(account, region, mapping, name[0])
            try:
                _function(source)
            except GoneError:
                continue
            if dynamodb.stream_end_position(source.table) > _position(source):
                found.append(source)
    return found


def _read(source: EventSource) -> None:
    """Handle records until none is left, or until the mapping is deleted."""
    try:
        with _scope(source.account, source.region):
            while batch := _next_batch(source):
                _handle(source, batch, attempt=0)
    except GoneError:
        log.info("%s: the mapping was deleted or disabled", source.mapping["UUID"])
    except Exception:
        log.exception("%s: the reader failed, and will start again", source.mapping["UUID"])
        time.sleep(LONGEST_BACKOFF)
    finally:
        with _busy_lock:
            _busy.discard(source.mapping["UUID"])
        lambdas._esm_wake.set()


@dataclass(frozen=True, slots=True)
class Numbered:
    """A stream record and its position."""

    position: int
    record: dict[str, Any]


def _next_batch(source: EventSource) -> list[Numbered]:
    """Return the next records that pass the mapping's filters; empty at the end."""
    size = int(source.mapping.get("BatchSize") or 100)
    end = time.monotonic() + float(source.mapping.get("MaximumBatchingWindowInSeconds") or 0)
    while True:
        start = max(_position(source), dynamodb.stream_start_position(source.table))
        records = dynamodb.stream_records_since(source.table, start, size)
        if records and len(records) < size and time.monotonic() < end:
            time.sleep(0.02)
            continue
        numbered = [Numbered(start + index, record) for index, record in enumerate(records)]
        kept = lambdas._apply_filter_criteria(records, source.mapping)
        passed = [one for one in numbered if any(one.record is record for record in kept)]
        if records and not passed:
            _advance(source, start + len(records))
            continue
        return passed


def _handle(source: EventSource, batch: Sequence[Numbered], *, attempt: int) -> None:
    """Invoke the function until each record is handled or in the on-failure destination.

    Raises GoneError."""
    while True:
        function = _function(source)
        event = {"Records": [one.record for one in batch]}
        answer = lambdas._execute_function(function, event)
        done = _done(source.mapping, batch, answer)
        if done:
            _advance(source, batch[done - 1].position + 1)
        if done == len(batch):
            source.mapping["LastProcessingResult"] = f"OK - {done} records"
            return
        source.mapping["LastProcessingResult"] = "FAILED"
        if done:
            batch, attempt = batch[done:], 0
            continue
        if answer.get("throttle"):
            time.sleep(FIRST_BACKOFF)
            continue
        if len(batch) > 1 and _true(source.mapping.get("BisectBatchOnFunctionError")):
            middle = len(batch) // 2
            _handle(source, batch[:middle], attempt=attempt)
            _handle(source, batch[middle:], attempt=attempt)
            return
        attempt += 1
        condition = _exhausted(source.mapping, batch, attempt)
        if condition:
            set_aside(
                source.mapping,
                function,
                event["Records"],
                answer,
                condition=condition,
                tried=attempt,
                pause=lambda: _pause(source),
            )
            _advance(source, batch[-1].position + 1)
            return
        time.sleep(min(LONGEST_BACKOFF, FIRST_BACKOFF * 2 ** min(attempt - 1, 10)))


def _done(mapping: Mapping[str, Any], batch: Sequence[Numbered], answer: Mapping[str, Any]) -> int:
    """Count the leading records that need no retry."""
    if answer.get("error"):
        return 0
    if "ReportBatchItemFailures" not in (mapping.get("FunctionResponseTypes") or ()):
        return len(batch)
    failures = reported_failures(answer.get("body"))
    numbers = [one.record["dynamodb"]["SequenceNumber"] for one in batch]
    if failures is None or any(number not in numbers for number in failures):
        return 0
    return min((numbers.index(number) for number in failures), default=len(batch))


def _exhausted(mapping: Mapping[str, Any], batch: Sequence[Numbered], attempt: int) -> str | None:
    """Return the reason to stop retrying these records, or None."""
    retries = int(mapping.get("MaximumRetryAttempts", UNLIMITED))
    if retries != UNLIMITED and attempt > retries:
        return "RetryAttemptsExhausted"
    limit = int(mapping.get("MaximumRecordAgeInSeconds", UNLIMITED))
    created = float(batch[0].record["dynamodb"]["ApproximateCreationDateTime"])
    if limit != UNLIMITED and time.time() - created > limit:
        return "MaxRecordAgeExceeded"
    return None


def _pause(source: EventSource) -> None:
    """Wait before the next write to the destination. Raises GoneError."""
    time.sleep(LONGEST_BACKOFF)
    _function(source)


def _function(source: EventSource) -> Any:
    """Return the function's record. Raises GoneError if the mapping no longer leads to it."""
    mapping = lambdas._esms.get(source.mapping["UUID"])
    if mapping is not source.mapping or not mapping.get("Enabled", True):
        raise GoneError
    function, _ = lambdas._get_func_record_for_qualifier(
        mapping["FunctionName"], mapping.get("Qualifier")
    )
    if function is None:
        raise GoneError
    return function


def _position(source: EventSource) -> int:
    """Return the first unhandled position."""
    identity = source.mapping["UUID"]
    with lambdas._dynamodb_stream_positions_lock:
        known = lambdas._dynamodb_stream_positions.get(identity)
        if known is None:
            oldest = source.mapping.get("StartingPosition") == "TRIM_HORIZON"
            at = dynamodb.stream_start_position if oldest else dynamodb.stream_end_position
            known = lambdas._dynamodb_stream_positions[identity] = at(source.table)
        return int(known)


def _advance(source: EventSource, to: int) -> None:
    with lambdas._dynamodb_stream_positions_lock:
        lambdas._dynamodb_stream_positions[source.mapping["UUID"]] = to


def _true(value: object) -> bool:
    return str(value).lower() == "true"
