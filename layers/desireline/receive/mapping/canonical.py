"""From what a sender reported to a canonical event, by the tracking plan.

The event is built as the dictionary that `CanonicalEvent` would be written as, and encoded at once:
building and validating our own model costs several times the rest of the mapping, and proves
nothing at run time. A test holds the bytes equal to what the model reads and writes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from desireline.contracts import SCHEMA_VERSION
from desireline.errors import InvalidEventError, WithheldError
from desireline.events import AccountRole, Alias, AliasType, CanonicalEvent, RawPointer, Scalar
from desireline.identity.aliases import Fragments, Named
from desireline.plan.tracking_plan import PlannedEvent, TrackingPlan
from desireline.receive.senders.sender import SenderReport

DAY = 24 * 3_600_000
FAR_FUTURE = DAY
COMPARED = 30 * 60_000
"""For so long after an event, another one's address and user agent are compared with its own."""

ACCOUNT_LIMIT = 200
TEXT_LIMIT = 500
CONSENT_LIMIT = 50


class Canonical:
    """Maps reports. The result is a function of the report, the plan and the secret; of the time
    of arrival only where the sender gave no time."""

    def __init__(self, plan: TrackingPlan, fragments: Fragments) -> None:
        self._plan = plan
        self._fragments = fragments

    def event(
        self,
        source: str,
        reported: SenderReport,
        raw: RawPointer,
        *,
        received_at: int,
        stamped: int,
    ) -> CanonicalEvent:
        """The event as a model. received_at: journey time; stamped: wall time.

        Raises InvalidEventError."""
        _, encoded = self.encoded(
            source, reported, raw.id, raw.index, received_at=received_at, stamped=stamped
        )
        return CanonicalEvent.decode(encoded)

    def strongest(self, reported: SenderReport) -> Alias | None:
        """Of the aliases that a report names the strongest that means anybody."""
        named = (
            self._fragments.named(*alias) for alias in reported.aliases if alias[1] is not None
        )
        found = sorted((one for one in named if one is not None), key=_strength)
        return found[0].alias if found else None

    def encoded(
        self,
        source: str,
        reported: SenderReport,
        raw_id: str,
        index: int,
        *,
        received_at: int,
        stamped: int,
        mapped_as: str = "",
        suppressed: frozenset[str] = frozenset(),
    ) -> tuple[str, bytes]:
        """The event's fragment, and the event as `CanonicalEvent.encode` would write it.

        raw_id, index: the raw pointer. received_at: journey time; stamped: wall time. mapped_as:
        whose mappings hold, if not the source's. suppressed: fragments of persons of whom nothing
        is taken. Raises InvalidEventError, WithheldError."""
        mapped_as = mapped_as or source
        if suppressed or reported.consent:
            self._refuse_if_unwanted(reported, suppressed)
        mapping, planned = self._plan.find(
            mapped_as, reported.call, reported.event, reported.message
        )
        occurred_at = reported.occurred_at
        if occurred_at is not None and occurred_at > received_at + FAR_FUTURE:
            raise InvalidEventError("future_time", "occurred more than a day after its arrival")
        happened = received_at if occurred_at is None else occurred_at
        properties = planned.properties(mapping, reported.message, reported.properties)
        aliases = self._aliases(mapped_as, reported)
        event = {
            "event_id": event_id(source, reported.id),
            "schema_version": SCHEMA_VERSION,
            "name": planned.name,
            "category": planned.category,
            "source": source,
            "occurred_at": happened,
            "received_at": received_at,
            "timed": occurred_at is not None,
            "aliases": [
                {"type": one.type, "value": one.value, "fragment": one.fragment} for one in aliases
            ],
            "accounts": _accounts(planned, reported.accounts) if reported.accounts else (),
            "traits": self._traits(reported),
            "properties": properties,
            "measures": planned.measures(properties) if planned.summed else {},
            "context": self._context(reported, happened),
            "consent": _consent(reported.consent) if reported.consent else {},
            "raw": {"id": raw_id, "index": index},
            "stamps": {"received": stamped},
        }
        return aliases[0].fragment, orjson.dumps(event)

    def _aliases(self, source: str, reported: SenderReport) -> Sequence[Named]:
        """Those that identify somebody, strongest first, each once."""
        found: list[Named] = []
        for alias_type, value in reported.aliases:
            if value is None or (
                alias_type is AliasType.EMAIL and source not in self._plan.verified_email
            ):
                continue
            named = self._fragments.named(alias_type, value)
            if named is not None and named not in found:
                found.append(named)
        if not found:
            raise InvalidEventError("no_identity", "no alias identifies a person")
        return sorted(found, key=_strength) if len(found) > 1 else found

    def _traits(self, reported: SenderReport) -> dict[str, Scalar]:
        kept: dict[str, Scalar] = {}
        if reported.person_traits:
            _keep(kept, self._plan.traits.person, reported.person_traits)
        if reported.account_traits:
            _keep(kept, self._plan.traits.account, reported.account_traits)
        return kept

    def _refuse_if_unwanted(self, reported: SenderReport, suppressed: frozenset[str]) -> None:
        """Looks before anything else does: what is withheld must not reach quarantine either. Any
        alias counts, also an address that would identify nobody here or is a trait alone."""
        needed = self._plan.needed_consent
        if needed is not None and reported.consent.get(needed) is False:
            raise WithheldError("consent")
        if not suppressed:
            return
        address = (AliasType.EMAIL, reported.person_traits.get("email"))
        for alias_type, value in (*reported.aliases, address):
            named = None if value is None else self._fragments.named(alias_type, value)
            if named is not None and named.fragment in suppressed:
                raise WithheldError("suppressed")

    def _context(self, reported: SenderReport, happened: int) -> dict[str, str]:
        known: dict[str, str] = {}
        day, into = divmod(happened, DAY)
        hashed = self._fragments.hashed
        if reported.ip:
            known["ip_hash"] = hashed(reported.ip, day)
        if reported.user_agent:
            known["user_agent_hash"] = hashed(reported.user_agent, day)
        if into < COMPARED:
            if reported.ip:
                known["earlier_ip_hash"] = hashed(reported.ip, day - 1)
            if reported.user_agent:
                known["earlier_user_agent_hash"] = hashed(reported.user_agent, day - 1)
        for name, value in reported.context.items():
            if isinstance(value, str):
                known[name] = value[:TEXT_LIMIT]
        return known


def event_id(source: str, theirs: str) -> str:
    """The event's id: 32 hexadecimal digits, the same for every delivery of it."""
    return hashlib.blake2b(f"{source}|{theirs}".encode(), digest_size=16).hexdigest()


def _strength(named: Named) -> int:
    return named.strength


def _accounts(
    planned: PlannedEvent, accounts: Sequence[tuple[str, AccountRole]]
) -> list[dict[str, str]]:
    """The accounts named; an event that only an owner causes makes a mention an ownership."""
    return [
        {"key": key, "role": AccountRole.OWNER if planned.owns_account else role}
        for key, role in accounts
        if len(key) <= ACCOUNT_LIMIT and "#" not in key
    ]


def _consent(given: Mapping[str, Any]) -> dict[str, bool]:
    """What was answered with yes or no, by category."""
    answered = [(name[:TEXT_LIMIT], yes) for name, yes in given.items() if isinstance(yes, bool)]
    return dict(answered[:CONSENT_LIMIT])


def _keep(kept: dict[str, Scalar], names: Mapping[str, str], traits: Mapping[str, Any]) -> None:
    for theirs, ours in names.items():
        if theirs not in traits:
            continue
        value = traits[theirs]
        if isinstance(value, str):
            kept[ours] = value[:TEXT_LIMIT]
        elif isinstance(value, (bool, int, float)):
            kept[ours] = value
