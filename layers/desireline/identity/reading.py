"""Batch reads that depend on each other.

A reading is a generator. It yields the references of the rows that it needs, receives the rows that
exist, and returns its result. `read` runs one reading. `read_all` runs the readings of a batch in
step: each step is one request to the store for all of them.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any, TypeVar

from desireline.errors import Failure, RetryableError, TerminalError
from desireline.ports import Store
from desireline.rows import Ref

T = TypeVar("T")

Refs = Sequence[Ref[Any]]
Rows = Mapping[Ref[Any], Any]
Reading = Generator[Refs, Rows, T]


def read(store: Store, reading: Reading[T]) -> T:
    """Run a reading and return its result. Raises what the reading or the store raises."""
    try:
        refs = next(reading)
        while True:
            refs = reading.send(_fetch(store, refs))
    except StopIteration as end:
        result: T = end.value
        return result


def read_all(store: Store, readings: Sequence[Reading[T]]) -> list[T | Failure]:
    """Run readings in step. Return the result or the failure of each, in order.

    If a joint request fails, each reading makes its own request, so that one failure does not
    affect the others."""
    results: list[Any] = [None] * len(readings)
    answers: dict[int, Rows | None] = dict.fromkeys(range(len(readings)))
    while answers:
        requests = _advance(readings, answers, results, caught=(RetryableError, TerminalError))
        answers = dict(_answers(store, requests, results))
    return results


def together(*readings: Reading[Any]) -> Reading[list[Any]]:
    """Combine readings to one that runs them in step and returns their results, in order."""
    results: list[Any] = [None] * len(readings)
    answers: dict[int, Rows | None] = dict.fromkeys(range(len(readings)))
    while True:
        requests = _advance(readings, answers, results)
        if not requests:
            return results
        rows = yield [ref for refs in requests.values() for ref in refs]
        answers = dict.fromkeys(requests, rows)


def _advance(
    readings: Sequence[Reading[Any]],
    answers: Mapping[int, Rows | None],
    results: list[Any],
    *,
    caught: tuple[type[Exception], ...] = (),
) -> dict[int, Refs]:
    """Send each reading its answer, and return the references that it requests next, by index.

    answers: rows by the reading's index; None starts a reading. If a reading ends, its result goes
    to `results`. So does an error of a type in `caught`; other errors are raised."""
    requests: dict[int, Refs] = {}
    for index, answer in answers.items():
        try:
            reading = readings[index]
            requests[index] = next(reading) if answer is None else reading.send(answer)
        except StopIteration as end:
            results[index] = end.value
        except caught as error:
            results[index] = error
    return requests


def _answers(
    store: Store, requests: Mapping[int, Refs], results: list[Any]
) -> list[tuple[int, Rows | None]]:
    """Read the requested rows, and return them by the reading's index.

    A failure goes to `results`, and its reading gets no answer."""
    if len(requests) > 1:
        try:
            rows = store.get_all([ref for refs in requests.values() for ref in refs])
        except (RetryableError, TerminalError):
            pass
        else:
            return [(index, rows) for index in requests]
    answers: list[tuple[int, Rows | None]] = []
    for index, refs in requests.items():
        try:
            answers.append((index, _fetch(store, refs)))
        except (RetryableError, TerminalError) as error:
            results[index] = error
    return answers


def _fetch(store: Store, refs: Refs) -> Rows:
    if len(refs) == 1:
        row = store.get(refs[0])
        return {} if row is None else {refs[0]: row}
    return store.get_all(refs) if refs else {}
