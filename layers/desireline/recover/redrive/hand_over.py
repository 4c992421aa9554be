"""Invoke functions with dead letters that come from table streams or from other clusters' topics.

Each invocation has the records of one object, in the form of the event source mapping."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from desireline.errors import TerminalError
from desireline.recover.redrive.dead_letters import DeadLetter
from desireline.recover.redrive.ports import Functions
from desireline.recover.redrive.selection import order

Handed = tuple[Sequence[DeadLetter], Sequence[DeadLetter]]
"""The letters that the function processed, and those that it did not process."""


def hand_over(letters: Sequence[DeadLetter], functions: Functions) -> Iterator[Handed]:
    """Invoke each letter's function with its record. Records of one object go together, the oldest
    first. Yield the result of each invocation.

    Raises RetryableError if the result of an invocation is unknown. Yielded results are final."""
    by_object: dict[str, list[DeadLetter]] = defaultdict(list)
    for letter in sorted(letters, key=order):
        by_object[letter.batch.object_key].append(letter)
    for batch in by_object.values():
        try:
            answer = functions.invoke(batch[0].batch.function, _event(batch))
        except TerminalError:
            yield (), batch
            continue
        yield _split_by_answer(batch, answer)


def _event(letters: Sequence[DeadLetter]) -> dict[str, Any]:
    if letters[0].streamed:
        return {"Records": [letter.record for letter in letters]}
    records: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for letter in letters:
        records[f"{letter.topic}-{letter.record['partition']}"].append(letter.record)
    return {**letters[0].batch.envelope, "records": records}


def _split_by_answer(letters: Sequence[DeadLetter], answer: Any) -> Handed:
    """Split letters by a function's partial batch response.

    A function stops at the first failure in a stream, so all later records count as failed too."""
    items = (answer or {}).get("batchItemFailures") or ()
    failures = [item.get("itemIdentifier") for item in items]
    if not failures:
        return letters, ()
    if letters[0].streamed:
        numbers = [letter.record["dynamodb"]["SequenceNumber"] for letter in letters]
        positions = [numbers.index(number) for number in failures if number in numbers]
        first = min(positions, default=0)
        return letters[:first], letters[first:]
    failed = {(failure["partition"], failure["offset"]) for failure in failures}
    return _split(letters, failed)


def _split(letters: Sequence[DeadLetter], failed: Collection[tuple[str, int]]) -> Handed:
    def is_failed(letter: DeadLetter) -> bool:
        record = letter.record
        return (f"{letter.topic}-{record['partition']}", record["offset"]) in failed

    return (
        [letter for letter in letters if not is_failed(letter)],
        [letter for letter in letters if is_failed(letter)],
    )
