"""The ports of the use cases. `desireline.adapters` has their implementations."""

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
    """A clock of journey time or of wall time, in epoch ms (delivery rule 13)."""

    def now(self) -> int: ...


class Store(Protocol):
    """The tables. Reads are consistent, and writes are conditional."""

    def get(self, ref: Ref[R]) -> R | None:
        """Return the row, or None. Raises ThrottledError, UnavailableError."""
        ...

    def get_all(self, refs: Sequence[Ref[R]]) -> dict[Ref[R], R]:
        """Return the rows that exist. Each is read consistently, but not all at one instant."""
        ...

    def query(self, row_type: type[R], pk: str) -> list[R]:
        """Return all rows of a type with a partition key, by sort key."""
        ...

    def write(self, *writes: Put | Check) -> None:
        """Write all rows or none: at most 100, each once.

        Raises ConflictError if a stored version differs, and ThrottledError; nothing is written
        then. Raises UnavailableError if the outcome is unknown."""
        ...


class BatchStore(Store, Protocol):
    """A Store for use cases that write many independent rows."""

    def write_each(self, transactions: Sequence[Sequence[Put | Check]]) -> list[Failure | None]:
        """Write transactions in any order, or at the same time. No two may share a row.

        Returns after all of them: the error that `write` would have raised for each, or None."""
        ...


class Producer(Protocol):
    """Produces records to Kafka. They are durable after `flush` has returned."""

    def produce(self, record: Outgoing) -> None: ...

    def flush(self, timeout: float) -> None:
        """Wait until all in-sync replicas have all records. timeout: seconds.

        Raises UnavailableError if a record is left or was refused."""
        ...


class Workflow(Protocol):
    """A state machine of Step Functions."""

    def start(self, *, name: str, payload: Mapping[str, Any]) -> None:
        """Start an execution. It does nothing if one of this name runs or has run."""
        ...


class Queue(Protocol):
    """The queue of a channel."""

    def put(self, body: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Alert:
    """A message of a channel. subject: fewer than 100 characters, without line breaks."""

    subject: str
    body: str
    attributes: Mapping[str, str | int]


class ChannelSender(Protocol):
    """The sender of a channel's messages."""

    def send(self, alert: Alert) -> str:
        """Call the provider once, and return its message id.

        Raises ThrottledError and DeniedError if nothing was sent, TerminalError if the provider
        refused this message, and UnavailableError if it is unknown whether it was sent."""
        ...


class Blobs(Protocol):
    """Object storage."""

    def put_if_absent(self, key: str, body: bytes) -> bool:
        """Store an object unless its key exists. Returns whether it was stored."""
        ...


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a span: a partition's offsets, or a file's lines. end: excluded; None before the
    file is read."""

    name: str
    start: int
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """The raw bodies to read, without those that arrive after it was made.

    since, until: range of the arrival, wall time in epoch ms, until excluded. parts: those left.
    """

    since: int
    until: int
    parts: tuple[Part, ...]


class KeptBodies(Protocol):
    """Finds stored raw webhooks by id."""

    def find(self, arrivals: Mapping[str, int]) -> dict[str, RawWebhook]:
        """Return the stored webhooks with these ids, by id. Raises UnavailableError.

        arrivals: wall time of each id's arrival, epoch ms. If several with one id arrived near that
        time, the first one is returned."""
        ...


class RawBodies(KeptBodies, Protocol):
    """Finds stored raw webhooks by id, and reads all of a span."""

    def span(self, since: int, until: int) -> Span:
        """Return the span of the webhooks that are stored now. since, until: wall time, epoch ms.

        Raises UnavailableError."""
        ...

    def read(self, span: Span) -> Iterator[tuple[RawWebhook | None, Span]]:
        """Yield each webhook of the span, with the rest of the span after it.

        A record that is not a readable webhook of the span gives None. Raises UnavailableError."""
        ...


class Exports(Protocol):
    """An export of a tool's past events."""

    def lines(self, day: date) -> Iterator[bytes]:
        """Yield the events of a day as lines, without line breaks.

        Raises ThrottledError, UnavailableError (the tool's error, or an incomplete answer) and
        TerminalError (a refusal), also after the first lines."""
        ...


class Inbox(Protocol):
    """Our own webhook, called as a sender calls it."""

    def post(self, body: bytes) -> None:
        """Post a body, which is durable afterwards. Raises ThrottledError, UnavailableError and
        TerminalError (a refusal)."""
        ...


class Secrets(Protocol):
    """Secrets with their current and previous values, which are both valid during a rotation."""

    def current(self, name: str) -> Sequence[bytes]:
        """Return the valid values of a secret, newest first."""
        ...

    def refresh(self, name: str) -> bool:
        """Read a secret again, at most once a minute. Returns whether it was read."""
        ...


class Suppressions(Protocol):
    """The suppressed persons. Their events are withheld."""

    def current(self) -> frozenset[str]:
        """Return the fragments of their aliases, at most a minute old.

        Raises UnavailableError if they cannot be read, or only an old list is left."""
        ...


class Switches(Protocol):
    """The operators' switches, which take effect without a deployment (delivery rule 10)."""

    def send_mode(self) -> str:
        """Return 'record', 'allowlist' or 'live'."""
        ...

    def allowed(self, recipient: str) -> bool:
        """Tell whether the allowlist contains the recipient."""
        ...

    def killed(self, *, playbook: str, channel: str) -> bool:
        """Tell whether a kill switch stops the playbook's messages on the channel."""
        ...


class Metrics(Protocol):
    """Counters. Dimensions never contain personal data."""

    def count(self, name: str, value: int = 1, **dimensions: str) -> None: ...
