"""What the use cases need from the world. Real adapters are in `desireline.adapters`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol, TypeVar

from desireline.errors import Failure
from desireline.events import RawWebhook
from desireline.records import Outgoing
from desireline.rows import Check, Put, Ref, Row

R = TypeVar("R", bound=Row)


class Clock(Protocol):
    """A source of time in epoch milliseconds: journey time or wall time (delivery rule 13)."""

    def now(self) -> int: ...


class Store(Protocol):
    """Rows under conditional writes. Every read is consistent."""

    def get(self, ref: Ref[R]) -> R | None:
        """The row, or None. Raises ThrottledError, UnavailableError."""
        ...

    def get_all(self, refs: Sequence[Ref[R]]) -> dict[Ref[R], R]:
        """The rows that exist, each read consistently, though not all at one instant."""
        ...

    def query(self, row_type: type[R], pk: str) -> list[R]:
        """All rows of that type under a partition key, by sort key."""
        ...

    def write(self, *writes: Put | Check) -> None:
        """All or nothing. Raises ConflictError when a version is not as expected (nothing is
        written), ThrottledError likewise, UnavailableError when the outcome is unknown.
        At most 100 writes, at most one a row."""
        ...


class BatchStore(Store, Protocol):
    """A Store for use cases that write many independent rows."""

    def write_each(self, transactions: Sequence[Sequence[Put | Check]]) -> list[Failure | None]:
        """Make these writes, in any order or at once; no two of them may share a row.

        Returns when all have ended: what `write` would have raised of each, None where it was
        written."""
        ...


class Producer(Protocol):
    """Kafka. Nothing is durable before `flush` returns."""

    def produce(self, record: Outgoing) -> None: ...

    def flush(self, timeout: float) -> None:
        """Wait until all in-sync replicas have everything; `timeout` in seconds.

        Raises UnavailableError if anything is left or was refused."""
        ...


class Workflow(Protocol):
    """Step Functions."""

    def start(self, *, name: str, payload: Mapping[str, Any]) -> None:
        """Start an execution; one of that name that runs or ran already is success."""
        ...


class Queue(Protocol):
    """The queue of a channel."""

    def put(self, body: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Alert:
    """What a channel sends: at most 100 characters of subject, without a newline."""

    subject: str
    body: str
    attributes: Mapping[str, str | int]


class ChannelSender(Protocol):
    """One call to a provider, never repeated by the client.

    Returns the provider's message id. Raises ThrottledError, DeniedError (nothing sent),
    TerminalError (a definite refusal of this message), UnavailableError (unknown whether sent)."""

    def send(self, alert: Alert) -> str: ...


class Blobs(Protocol):
    """Object storage."""

    def put_if_absent(self, key: str, body: bytes) -> bool:
        """Store it unless the key exists; False if it did."""
        ...


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a span: a partition's offsets, or a file's lines. end: None where it is not known
    before it is read."""

    name: str
    start: int
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """What is to be read, fixed when it was asked for: what arrives later is no part of it.

    since, until: wall time of the arrival, epoch ms, until excluded. parts: what is left.
    """

    since: int
    until: int
    parts: tuple[Part, ...]


class KeptBodies(Protocol):
    """Raw webhooks by their ids, each with the wall time of its arrival."""

    def find(self, wanted: Mapping[str, int]) -> dict[str, RawWebhook]:
        """Those of these ids, id -> wall time of its arrival (epoch ms); the first arrival, where
        there are several near that time. Raises UnavailableError."""
        ...


class RawBodies(KeptBodies, Protocol):
    """Raw webhooks as they were received, also all of some time."""

    def span(self, since: int, until: int) -> Span:
        """What there is now of these times. Raises UnavailableError."""
        ...

    def read(self, span: Span) -> Iterator[tuple[RawWebhook | None, Span]]:
        """Each body of the span, and what is left of the span after it; None where a step forward
        found no readable body. Raises UnavailableError."""
        ...


class Exports(Protocol):
    """A tool's export of past events."""

    def lines(self, day: date) -> Iterator[bytes]:
        """The events of one day, a line each, without line breaks.

        Raises, also in the middle, ThrottledError, UnavailableError (cut off, or an error of
        theirs), TerminalError (refused)."""
        ...


class Inbox(Protocol):
    """Our own webhook, as a sender sees it."""

    def post(self, body: bytes) -> None:
        """Durable when it returns. Raises ThrottledError, UnavailableError, TerminalError
        (refused)."""
        ...


class Secrets(Protocol):
    """Secrets Manager: current and previous version, so that a rotation breaks nobody."""

    def current(self, name: str) -> Sequence[bytes]:
        """The values that are valid now, newest first."""
        ...

    def refresh(self, name: str) -> bool:
        """Read again, at most once a minute; True if it was read."""
        ...


class Suppressions(Protocol):
    """Whose events are not taken at all."""

    def current(self) -> frozenset[str]:
        """The fragments of their aliases, as they were a minute ago at most.

        Raises UnavailableError when it is not known, or has not been for too long."""
        ...


class Switches(Protocol):
    """What operators turn on and off while it runs (delivery rule 10)."""

    def send_mode(self) -> str:
        """'record', 'allowlist' or 'live'."""
        ...

    def allowed(self, recipient: str) -> bool: ...

    def killed(self, *, playbook: str, channel: str) -> bool: ...


class Metrics(Protocol):
    """Counters; `dimensions` never hold a customer."""

    def count(self, name: str, value: int = 1, **dimensions: str) -> None: ...
