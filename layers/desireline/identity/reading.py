"""Reads that depend on each other, described apart from how they are made.

A reading is a generator: it asks for rows by reference, is sent those that exist, and returns what
it was made for. One runs by itself; the readings of a batch run in step, so that each level of all
of them is one request to the store instead of one apiece.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any, TypeVar

from desireline.errors import Failure, RetryableError, TerminalError
from desireline.ports import Store
from desireline.rows import Ref

T = TypeVar("T")

Refs = Sequence[Ref[Any]]
Found = Mapping[Ref[Any], Any]
Reading = Generator[Refs, Found, T]


def read(store: Store, reading: Reading[T]) -> T:
    """What the reading returns. Raises what it or the store raises."""
    try:
        asked = next(reading)
        while True:
            asked = reading.send(_found(store, asked))
    except StopIteration as end:
        result: T = end.value
        return result


def read_all(store: Store, readings: Sequence[Reading[T]]) -> list[T | Failure]:
    """What each reading returns, or what stopped it, in order.

    Within a reading every read comes after the answer to the one before, as it does alone. When a
    joint request fails its readings ask one by one, so that only those fail that have to."""
    results: list[Any] = [None] * len(readings)
    answers: dict[int, Found | None] = dict.fromkeys(range(len(readings)))
    while answers:
        asked = _asked(readings, answers, results, kept=(RetryableError, TerminalError))
        answers = dict(_answers(store, asked, results))
    return results


def together(*readings: Reading[Any]) -> Reading[list[Any]]:
    """What the readings return, as one reading that asks for each level of all of them at once."""
    results: list[Any] = [None] * len(readings)
    answers: dict[int, Found | None] = dict.fromkeys(range(len(readings)))
    while True:
        asked = _asked(readings, answers, results)
        if not asked:
            return results
        found = yield [ref for refs in asked.values() for ref in refs]
        answers = dict.fromkeys(asked, found)


def _asked(
    readings: Sequence[Reading[Any]],
    answers: Mapping[int, Found | None],
    results: list[Any],
    *,
    kept: tuple[type[Exception], ...] = (),
) -> dict[int, Refs]:
    """What the readings that were answered ask for next; results of those that end, and errors that
    are kept, go to their places."""
    asked: dict[int, Refs] = {}
    for index, answer in answers.items():
        try:
            reading = readings[index]
            asked[index] = next(reading) if answer is None else reading.send(answer)
        except StopIteration as end:
            results[index] = end.value
        except kept as error:
            results[index] = error
    return asked


def _answers(
    store: Store, asked: Mapping[int, Refs], results: list[Any]
) -> list[tuple[int, Found | None]]:
    if len(asked) > 1:
        try:
            found = store.get_all([ref for refs in asked.values() for ref in refs])
        except (RetryableError, TerminalError):
            pass
        else:
            return [(index, found) for index in asked]
    answers: list[tuple[int, Found | None]] = []
    for index, refs in asked.items():
        try:
            answers.append((index, _found(store, refs)))
        except (RetryableError, TerminalError) as error:
            results[index] = error
    return answers


def _found(store: Store, refs: Refs) -> Found:
    if len(refs) == 1:
        row = store.get(refs[0])
        return {} if row is None else {refs[0]: row}
    return store.get_all(refs) if refs else {}
