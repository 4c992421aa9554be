"""A Kafka record as the use cases see it, whatever shell brought it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NamedTuple

NO_HEADERS: Final[Mapping[str, bytes]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a topic. `timestamp` is the broker's, in epoch milliseconds."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes] = field(default_factory=dict)


class Outgoing(NamedTuple):
    """One record to produce. The key decides the partition."""

    topic: str
    key: str
    value: bytes
    headers: Mapping[str, bytes] = NO_HEADERS
