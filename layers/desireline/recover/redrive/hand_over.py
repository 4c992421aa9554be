"""Dead letters that no topic of ours takes: handed to their function, object by object, as its
event source mapping handed them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from desireline.errors import TerminalError
from desireline.recover.redrive.dead_letters import DeadLetter
from desireline.recover.redrive.ports import Functions
from desireline.recover.redrive.selection import order

Handed = tuple[Sequence[DeadLetter], Sequence[DeadLetter]]
"""Those that the function took, and those that it did not."""


def hand_over(letters: Sequence[DeadLetter], functions: Functions) -> Iterator[Handed]:
    """Invoke each letter's function with its record, those of one object together, oldest first.

    Raises RetryableError where nothing is known of an invocation; what was yielded is settled."""
    together: dict[str, list[DeadLetter]] = defaultdict(list)
    for letter in sorted(letters, key=order):
        together[letter.aside.place].append(letter)
    for some in together.values():
        try:
            answer = functions.invoke(some[0].aside.function, _event(some))
        except TerminalError:
            yield (), some
            continue
        yield _told(some, answer)


def _event(letters: Sequence[DeadLetter]) -> dict[str, Any]:
    if letters[0].streamed:
        return {"Records": [letter.record for letter in letters]}
    records: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for letter in letters:
        records[f"{letter.topic}-{letter.record['partition']}"].append(letter.record)
    return {**letters[0].aside.envelope, "records": records}


def _told(letters: Sequence[DeadLetter], answer: Any) -> Handed:
    """By the partial batch response. A stream is taken up again at its first failure: what is
    behind that was not tried."""
    named = [one.get("itemIdentifier") for one in (answer or {}).get("batchItemFailures") or ()]
    if not named:
        return letters, ()
    if letters[0].streamed:
        numbers = [letter.record["dynamodb"]["SequenceNumber"] for letter in letters]
        at = min((numbers.index(one) for one in named if one in numbers), default=0)
        return letters[:at], letters[at:]
    failed = {(one["partition"], one["offset"]) for one in named}
    return _split(letters, failed)


def _split(letters: Sequence[DeadLetter], failed: Collection[tuple[str, int]]) -> Handed:
    def is_failed(letter: DeadLetter) -> bool:
        record = letter.record
        return (f"{letter.topic}-{record['partition']}", record["offset"]) in failed

    return (
        [letter for letter in letters if not is_failed(letter)],
        [letter for letter in letters if is_failed(letter)],
    )
