"""Event source mappings of DynamoDB streams, as Lambda documents them.

Stock ministack reads all streams in one thread, one batch after the other, waits a second after a
failure, loses what a partial response reports, and knows neither retries nor bisection. Here each
mapping has a reader of its own, in order, which never skips a record: it is taken by the function,
or it has used up its retries or its age and lies in the on-failure destination. Not done: several
batches of a shard at once (ParallelizationFactor).
"""

from __future__ import annotations

import json
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

from desireline_local.aws.tool.stream_failures import set_aside

FIRST_BACKOFF = 0.05
LONGEST_BACKOFF = 2.0
UNLIMITED = -1

log = logging.getLogger(__name__)
_busy: set[str] = set()
_busy_lock = threading.Lock()


def install() -> None:
    """Put our readers in place of ministack's. Raises AssertionError when it has changed."""
    assert callable(lambdas._poll_dynamodb_streams)
    assert callable(dynamodb.stream_records_since)
    lambdas._poll_dynamodb_streams = _start_readers
    lambdas._ESM_IDLE_WAKE_GAP_SECONDS = 0.002
    lambdas._ESM_BACKOFF_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Place:
    """Where a mapping reads, and in whose name."""

    account: str
    region: str
    mapping: dict[str, Any]
    table: str


class GoneError(Exception):
    """The mapping was deleted or disabled; what it has not handled stays where it is."""


def _start_readers() -> bool:
    """Called by ministack's loop whenever something was written: whether a reader was started."""
    started = False
    for place in _places():
        identity = place.mapping["UUID"]
        with _busy_lock:
            if identity in _busy:
                continue
            _busy.add(identity)
        threading.Thread(target=_read, args=(place,), daemon=True).start()
        started = True
    return started


@contextmanager
def _scope(account: str, region: str) -> Iterator[None]:
    """ministack's stores are looked at as this account in this region."""
    tokens = _request_account_id.set(account), _request_region.set(region)
    try:
        yield
    finally:
        _request_account_id.reset(tokens[0])
        _request_region.reset(tokens[1])


def _places() -> list[Place]:
    """The mappings that work and have records that they have not handled."""
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
            place = Place(account, region, mapping, name[0])
            try:
                _function(place)
            except GoneError:
                continue
            if dynamodb.stream_end_position(place.table) > _position(place):
                found.append(place)
    return found


def _read(place: Place) -> None:
    """Handle records until there are none, or the mapping is gone."""
    try:
        with _scope(place.account, place.region):
            while batch := _next_batch(place):
                _handle(place, batch, attempt=0)
    except GoneError:
        log.info("%s: gone", place.mapping["UUID"])
    except Exception:
        log.exception("%s: the reader failed, and is started again", place.mapping["UUID"])
        time.sleep(LONGEST_BACKOFF)
    finally:
        with _busy_lock:
            _busy.discard(place.mapping["UUID"])
        lambdas._esm_wake.set()


@dataclass(frozen=True, slots=True)
class Numbered:
    """A stream record and its position."""

    position: int
    record: dict[str, Any]


def _next_batch(place: Place) -> list[Numbered]:
    """The next records that the mapping's filters let pass; empty at the end."""
    size = int(place.mapping.get("BatchSize") or 100)
    end = time.monotonic() + float(place.mapping.get("MaximumBatchingWindowInSeconds") or 0)
    while True:
        start = max(_position(place), dynamodb.stream_start_position(place.table))
        records = dynamodb.stream_records_since(place.table, start, size)
        if records and len(records) < size and time.monotonic() < end:
            time.sleep(0.02)
            continue
        numbered = [Numbered(start + index, record) for index, record in enumerate(records)]
        kept = lambdas._apply_filter_criteria(records, place.mapping)
        passed = [one for one in numbered if any(one.record is record for record in kept)]
        if records and not passed:
            _advance(place, start + len(records))
            continue
        return passed


def _handle(place: Place, batch: Sequence[Numbered], *, attempt: int) -> None:
    """Have the function take all of these, or set aside what it will not take. Raises GoneError."""
    while True:
        function = _function(place)
        event = {"Records": [one.record for one in batch]}
        answer = lambdas._execute_function(function, event)
        done = _done(place.mapping, batch, answer)
        if done:
            _advance(place, batch[done - 1].position + 1)
        if done == len(batch):
            place.mapping["LastProcessingResult"] = f"OK - {done} records"
            return
        place.mapping["LastProcessingResult"] = "FAILED"
        if done:
            batch, attempt = batch[done:], 0
            continue
        if answer.get("throttle"):
            time.sleep(FIRST_BACKOFF)
            continue
        if len(batch) > 1 and _true(place.mapping.get("BisectBatchOnFunctionError")):
            middle = len(batch) // 2
            _handle(place, batch[:middle], attempt=attempt)
            _handle(place, batch[middle:], attempt=attempt)
            return
        attempt += 1
        condition = _exhausted(place.mapping, batch, attempt)
        if condition:
            set_aside(
                place.mapping,
                function,
                event["Records"],
                answer,
                condition=condition,
                tried=attempt,
                pause=lambda: _pause(place),
            )
            _advance(place, batch[-1].position + 1)
            return
        time.sleep(min(LONGEST_BACKOFF, FIRST_BACKOFF * 2 ** min(attempt - 1, 10)))


def _done(mapping: Mapping[str, Any], batch: Sequence[Numbered], answer: Mapping[str, Any]) -> int:
    """How many records, from the first on, need not be tried again."""
    if answer.get("error"):
        return 0
    if "ReportBatchItemFailures" not in (mapping.get("FunctionResponseTypes") or ()):
        return len(batch)
    body = answer.get("body")
    try:
        body = json.loads(body) if isinstance(body, str) and body else body
        failures = (body or {}).get("batchItemFailures") or ()
        reported = [failure["itemIdentifier"] for failure in failures]
    except (AttributeError, KeyError, TypeError, ValueError):
        return 0
    numbers = [one.record["dynamodb"]["SequenceNumber"] for one in batch]
    if any(number not in numbers for number in reported):
        return 0
    return min((numbers.index(number) for number in reported), default=len(batch))


def _exhausted(mapping: Mapping[str, Any], batch: Sequence[Numbered], attempt: int) -> str | None:
    """Why these records are given up, if they are."""
    retries = int(mapping.get("MaximumRetryAttempts", UNLIMITED))
    if retries != UNLIMITED and attempt > retries:
        return "RetryAttemptsExhausted"
    limit = int(mapping.get("MaximumRecordAgeInSeconds", UNLIMITED))
    created = float(batch[0].record["dynamodb"]["ApproximateCreationDateTime"])
    if limit != UNLIMITED and time.time() - created > limit:
        return "MaxRecordAgeExceeded"
    return None


def _pause(place: Place) -> None:
    """Wait before the destination is tried again. Raises GoneError."""
    time.sleep(LONGEST_BACKOFF)
    _function(place)


def _function(place: Place) -> Any:
    """The function's record. Raises GoneError when the mapping no longer leads to it."""
    mapping = lambdas._esms.get(place.mapping["UUID"])
    if mapping is not place.mapping or not mapping.get("Enabled", True):
        raise GoneError
    function, _ = lambdas._get_func_record_for_qualifier(
        mapping["FunctionName"], mapping.get("Qualifier")
    )
    if function is None:
        raise GoneError
    return function


def _position(place: Place) -> int:
    """The first position that is not handled."""
    identity = place.mapping["UUID"]
    with lambdas._dynamodb_stream_positions_lock:
        known = lambdas._dynamodb_stream_positions.get(identity)
        if known is None:
            oldest = place.mapping.get("StartingPosition") == "TRIM_HORIZON"
            at = dynamodb.stream_start_position if oldest else dynamodb.stream_end_position
            known = lambdas._dynamodb_stream_positions[identity] = at(place.table)
        return int(known)


def _advance(place: Place, to: int) -> None:
    with lambdas._dynamodb_stream_positions_lock:
        lambdas._dynamodb_stream_positions[place.mapping["UUID"]] = to


def _true(value: object) -> bool:
    return str(value).lower() == "true"
