"""Map a company's deliveries to canonical events with the receive stage's own mapping.

Training uses the same mapping as the pipeline, so both see the same events.
"""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from desireline.events import CanonicalEvent
from desireline.plan.tracking_plan import load_plan
from desireline.receive.mapping.event_mapper import Arrival, EventMapper, Mapped
from desireline.receive.request import WebhookRequest
from desireline.receive.senders import load_senders
from desireline_learning.simulator.company import AliasName, Company

SECRET = b"of a simulated company: nobody's"

_SENDERS = load_senders(("segment", "stripe"))


def arrivals(company: Company, secret: bytes = SECRET) -> Iterator[tuple[CanonicalEvent, str]]:
    """Yield each event as often as it is delivered, by arrival, with its delivery's subject hint.

    Refused and quarantined events are left out. secret: derives the fragments."""
    mapper = EventMapper.with_secret(load_plan(), secret)
    for number, delivery in enumerate(company.deliveries):
        if delivery.forged:
            continue
        sender = _SENDERS[delivery.source]
        request = WebhookRequest(delivery.source, {}, delivery.body)
        reports = sender.messages(orjson.loads(delivery.body), request)
        arrival = Arrival(f"{company.scenario.seed}-{number}", delivery.at_ms, delivery.at_ms)
        for result in mapper(sender, reports, arrival):
            if isinstance(result, Mapped):
                yield CanonicalEvent.decode(result.event), delivery.subject_hint


def canonical(company: Company, secret: bytes = SECRET) -> Iterator[tuple[CanonicalEvent, str]]:
    """Return each event once, as first delivered, by the time at which it occurred, with its
    subject.

    The subject is the account if the event names it or if its owner acted, else the person. The
    live system decides so too: a member's event that does not name the account is the member's."""
    owners = _owners(company)
    first: dict[str, tuple[CanonicalEvent, str]] = {}
    for event, hint in arrivals(company, secret):
        owned = any((str(alias.type), alias.value) in owners for alias in event.aliases)
        subject = hint if owned or event.accounts else event.fragment
        first.setdefault(event.event_id, (event, subject))
    return iter(sorted(first.values(), key=lambda pair: (pair[0].occurred_at, pair[0].event_id)))


def _owners(company: Company) -> frozenset[AliasName]:
    """Return all aliases of the owners of trials' accounts."""
    keys = {("user", trial.owner) for trial in company.truth.trials}
    return frozenset(alias for person in company.truth.persons if person & keys for alias in person)
