"""From what a sender reported to a canonical event, by the tracking plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid5

from desireline.aliases import Fragments
from desireline.errors import InvalidEventError
from desireline.events import (
    Account,
    AccountRole,
    Alias,
    AliasType,
    CanonicalEvent,
    Context,
    RawPointer,
    Scalar,
    Stamps,
)
from desireline.receive.senders.sender import Reported
from desireline.tracking_plan import PlannedEvent, TrackingPlan

_EVENTS = UUID("5b1f8e0a-0c3d-5e3c-9a44-2f6d7c8b9e10")

FAR_FUTURE = 24 * 3_600_000
ACCOUNT_LIMIT = 200
TRAIT_LIMIT = 500


class Canonical:
    """Maps reports. The result is a function of the report, the plan and the secret; of the time
    of arrival only where the sender gave no time."""

    def __init__(self, plan: TrackingPlan, fragments: Fragments) -> None:
        self._plan = plan
        self._fragments = fragments

    def event(
        self, source: str, reported: Reported, raw: RawPointer, *, received_at: int, stamped: int
    ) -> CanonicalEvent:
        """The event. received_at: journey time; stamped: wall time. Raises InvalidEventError."""
        mapping, planned = self._plan.find(source, reported.call, reported.event, reported.message)
        occurred_at = reported.occurred_at
        if occurred_at is not None and occurred_at > received_at + FAR_FUTURE:
            raise InvalidEventError("future_time", "occurred more than a day after its arrival")
        properties = planned.properties(mapping, reported.message, reported.properties)
        aliases = self._aliases(source, reported)
        return CanonicalEvent.model_construct(
            event_id=str(uuid5(_EVENTS, f"{source}|{reported.id}")),
            name=planned.name,
            category=planned.category,
            source=source,
            occurred_at=received_at if occurred_at is None else occurred_at,
            received_at=received_at,
            timed=occurred_at is not None,
            aliases=aliases,
            accounts=_accounts(planned, reported),
            traits=self._traits(reported),
            properties=properties,
            measures=planned.measures(properties),
            context=self._context(reported),
            consent=dict(reported.consent),
            raw=raw,
            stamps=Stamps.model_construct(received=stamped),
        )

    def _aliases(self, source: str, reported: Reported) -> tuple[Alias, ...]:
        """Those that identify somebody, strongest first, each once."""
        found: dict[str, Alias] = {}
        for alias_type, value in reported.aliases:
            if value is None or (alias_type is AliasType.EMAIL and not self._verifies(source)):
                continue
            alias = self._fragments.alias(alias_type, value)
            if alias is not None:
                found.setdefault(alias.fragment, alias)
        if not found:
            raise InvalidEventError("no_identity", "no alias identifies a person")
        return tuple(sorted(found.values(), key=lambda alias: alias.type.strength))

    def _verifies(self, source: str) -> bool:
        return source in self._plan.verified_email_sources

    def _traits(self, reported: Reported) -> dict[str, Scalar]:
        kept: dict[str, Scalar] = {}
        _keep(kept, self._plan.traits.person, reported.person_traits)
        _keep(kept, self._plan.traits.account, reported.account_traits)
        return kept

    def _context(self, reported: Reported) -> Context:
        known: dict[str, Any] = {n: v for n, v in reported.context.items() if v is not None}
        if reported.ip:
            known["ip_hash"] = self._fragments.hashed(reported.ip)
        if reported.user_agent:
            known["user_agent_hash"] = self._fragments.hashed(reported.user_agent)
        return Context.model_construct(**known)


def _accounts(planned: PlannedEvent, reported: Reported) -> tuple[Account, ...]:
    """The accounts named; an event that only an owner causes makes a mention an ownership."""
    return tuple(
        Account.model_construct(key=key, role=AccountRole.OWNER if planned.owns_account else role)
        for key, role in reported.accounts
        if len(key) <= ACCOUNT_LIMIT and "#" not in key
    )


def _keep(kept: dict[str, Scalar], names: Mapping[str, str], traits: Mapping[str, Any]) -> None:
    for theirs, ours in names.items():
        value = traits.get(theirs)
        if isinstance(value, str):
            kept[ours] = value[:TRAIT_LIMIT]
        elif isinstance(value, bool | int | float):
            kept[ours] = value
