"""What became of a batch of records."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from desireline.records import Record


@dataclass(frozen=True, slots=True)
class BatchResult:
    """Every record ends in exactly one of these.

    done: acted upon, or nothing to do. quarantined: with the reason, handled for good.
    failed: with the reason, to be tried again. skipped: records without a value.
    """

    done: tuple[Record, ...] = ()
    quarantined: tuple[tuple[Record, str], ...] = ()
    failed: tuple[tuple[Record, str], ...] = ()
    skipped: tuple[Record, ...] = ()


@dataclass(slots=True)
class Tally:
    """Collects what became of records while a batch is worked through."""

    done: list[Record] = field(default_factory=list)
    quarantined: list[tuple[Record, str]] = field(default_factory=list)
    failed: list[tuple[Record, str]] = field(default_factory=list)
    skipped: list[Record] = field(default_factory=list)

    def fail(self, records: Iterable[Record], reason: str) -> None:
        """These are to be tried again."""
        self.failed.extend((record, reason) for record in records)

    def result(self) -> BatchResult:
        """The outcome, immutable."""
        return BatchResult(
            tuple(self.done), tuple(self.quarantined), tuple(self.failed), tuple(self.skipped)
        )
