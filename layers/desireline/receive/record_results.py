"""Record the results of mapping: produce events and quarantine messages, and count all results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from desireline.contracts import Topic
from desireline.events import Alias
from desireline.ports import Metrics, Producer
from desireline.receive.mapping.event_mapper import (
    Arrival,
    EventMapper,
    Mapped,
    MappingResult,
    Rejected,
    Withheld,
)
from desireline.records import Outgoing


@dataclass(slots=True)
class Recorded:
    """Counts results of one body or several. quarantined, withheld: by reason. ignored: by sender.

    withheld_positions: the positions of withheld reports, if one body is recorded. objecting:
    aliases to suppress.
    """

    accepted: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    withheld: Counter[str] = field(default_factory=Counter)
    ignored: Counter[str] = field(default_factory=Counter)
    withheld_positions: set[int] = field(default_factory=set)
    objecting: list[Alias] = field(default_factory=list)

    @property
    def total(self) -> int:
        """The number of results."""
        other = (self.quarantined, self.withheld, self.ignored)
        return self.accepted + sum(counter.total() for counter in other)


class RecordResults:
    """Produces to events.received and events.quarantined. Only a later flush makes it durable."""

    def __init__(self, mapper: EventMapper, producer: Producer, metrics: Metrics) -> None:
        self._mapper = mapper
        self._producer = producer
        self._metrics = metrics

    def produce(
        self, source: str, results: Iterable[MappingResult], arrival: Arrival, recorded: Recorded
    ) -> None:
        """Produce the results of a body and add them to `recorded`.

        It consumes the iterable one by one, because a list of all results takes longer to build
        than the mapping itself."""
        produce = self._producer.produce
        for result in results:
            if isinstance(result, Mapped):
                recorded.accepted += 1
                produce(Outgoing(Topic.EVENTS_RECEIVED, result.fragment, result.event))
            elif isinstance(result, Rejected):
                recorded.quarantined[result.reason] += 1
                message = self._mapper.quarantined(source, result, arrival)
                produce(Outgoing(Topic.EVENTS_QUARANTINED, source, message.encode()))
            elif isinstance(result, Withheld):
                recorded.withheld[result.reason] += 1
                recorded.withheld_positions.add(result.position)
                if result.objecting is not None:
                    recorded.objecting.append(result.objecting)
            else:
                recorded.ignored[source] += 1

    def count(self, recorded: Recorded) -> None:
        """Count everything but the accepted events as metrics."""
        for reason, count in recorded.quarantined.items():
            self._metrics.count("events_quarantined", count, reason=reason)
        for reason, count in recorded.withheld.items():
            self._metrics.count("events_withheld", count, reason=reason)
        for sender, count in recorded.ignored.items():
            self._metrics.count("events_ignored", count, sender=sender)
