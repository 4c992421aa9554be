"""Map a sender's report to a canonical event, by the tracking plan.

This module builds the dictionary of an encoded `CanonicalEvent`, and encodes it directly. Building
and validating the model costs several times the rest of the mapping. A test compares the bytes with
those of the model.
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
"""Milliseconds. For so long after an event, identity resolution compares its address and user agent
with those of other events. So an event early in a day also carries the hashes of the day before."""

ACCOUNT_LIMIT = 200
TEXT_LIMIT = 500
CONSENT_LIMIT = 50


class Canonical:
    """Maps reports. The result depends only on the report, the plan and the secret, and on the time
    of arrival if the sender gave no time."""

    def __init__(self, plan: TrackingPlan, fragments: Fragments) -> None:
        self._plan = plan
        self._fragments = fragments

    def event(
        self,
        source: str,
        report: SenderReport,
        raw: RawPointer,
        *,
        received_at: int,
        stamped: int,
    ) -> CanonicalEvent:
        """Map a report to an event, as a model. received_at: journey time; stamped: wall time.

        Raises InvalidEventError, IgnoredEventError, WithheldError."""
        _, encoded = self.encoded(
            source, report, raw.id, raw.index, received_at=received_at, stamped=stamped
        )
        return CanonicalEvent.decode(encoded)

    def strongest(self, report: SenderReport) -> Alias | None:
        """Return the strongest alias of a report that identifies a person; None without one."""
        candidates = (
            self._fragments.named(*alias) for alias in report.aliases if alias[1] is not None
        )
        valid = sorted((named for named in candidates if named is not None), key=_strength)
        return valid[0].alias if valid else None

    def encoded(
        self,
        source: str,
        report: SenderReport,
        raw_id: str,
        index: int,
        *,
        received_at: int,
        stamped: int,
        mapped_as: str = "",
        suppressed: frozenset[str] = frozenset(),
    ) -> tuple[str, bytes]:
        """Map a report. Return the event's fragment, and the bytes of `CanonicalEvent.encode`.

        raw_id, index: the raw pointer. received_at: journey time; stamped: wall time. mapped_as:
        the sender whose mappings apply, if not the source. suppressed: fragments of suppressed
        persons. Raises InvalidEventError, IgnoredEventError, WithheldError."""
        mapped_as = mapped_as or source
        if suppressed or report.consent:
            self._raise_if_withheld(report, suppressed)
        mapping, planned = self._plan.find(mapped_as, report.call, report.event, report.message)
        occurred_at = report.occurred_at
        if occurred_at is not None and occurred_at > received_at + FAR_FUTURE:
            raise InvalidEventError(
                "future_time", "the event's time is over a day ahead: check the sender's clock"
            )
        happened = received_at if occurred_at is None else occurred_at
        properties = planned.properties(mapping, report.message, report.properties)
        aliases = self._aliases(mapped_as, report)
        event = {
            "event_id": event_id(source, report.id),
            "schema_version": SCHEMA_VERSION,
            "name": planned.name,
            "category": planned.category,
            "source": source,
            "occurred_at": happened,
            "received_at": received_at,
            "timed": occurred_at is not None,
            "aliases": [
                {"type": named.type, "value": named.value, "fragment": named.fragment}
                for named in aliases
            ],
            "accounts": _accounts(planned, report.accounts) if report.accounts else (),
            "traits": self._traits(report),
            "properties": properties,
            "measures": planned.measures(properties) if planned.summed else {},
            "context": self._context(report, happened),
            "consent": _consent(report.consent) if report.consent else {},
            "raw": {"id": raw_id, "index": index},
            "stamps": {"received": stamped},
        }
        return aliases[0].fragment, orjson.dumps(event)

    def _aliases(self, source: str, report: SenderReport) -> Sequence[Named]:
        """Return the aliases that identify a person: without repetitions, the strongest first."""
        valid: list[Named] = []
        for alias_type, value in report.aliases:
            if value is None or (
                alias_type is AliasType.EMAIL and source not in self._plan.verified_email
            ):
                continue
            named = self._fragments.named(alias_type, value)
            if named is not None and named not in valid:
                valid.append(named)
        if not valid:
            raise InvalidEventError("no_identity", "no alias identifies a person")
        return sorted(valid, key=_strength) if len(valid) > 1 else valid

    def _traits(self, report: SenderReport) -> dict[str, Scalar]:
        traits: dict[str, Scalar] = {}
        if report.person_traits:
            _copy_traits(traits, self._plan.traits.person, report.person_traits)
        if report.account_traits:
            _copy_traits(traits, self._plan.traits.account, report.account_traits)
        return traits

    def _raise_if_withheld(self, report: SenderReport, suppressed: frozenset[str]) -> None:
        """Raise WithheldError if the person refused consent or is suppressed.

        This check comes first, because a withheld report must not reach quarantine. It looks at all
        aliases, and at an email address that is only a trait."""
        needed = self._plan.needed_consent
        if needed is not None and report.consent.get(needed) is False:
            raise WithheldError("consent")
        if not suppressed:
            return
        address = (AliasType.EMAIL, report.person_traits.get("email"))
        for alias_type, value in (*report.aliases, address):
            named = None if value is None else self._fragments.named(alias_type, value)
            if named is not None and named.fragment in suppressed:
                raise WithheldError("suppressed")

    def _context(self, report: SenderReport, happened: int) -> dict[str, str]:
        context: dict[str, str] = {}
        day, ms_of_day = divmod(happened, DAY)
        hashed = self._fragments.hashed
        if report.ip:
            context["ip_hash"] = hashed(report.ip, day)
        if report.user_agent:
            context["user_agent_hash"] = hashed(report.user_agent, day)
        if ms_of_day < COMPARED:
            if report.ip:
                context["earlier_ip_hash"] = hashed(report.ip, day - 1)
            if report.user_agent:
                context["earlier_user_agent_hash"] = hashed(report.user_agent, day - 1)
        for name, value in report.context.items():
            if isinstance(value, str):
                context[name] = value[:TEXT_LIMIT]
        return context


def event_id(source: str, sender_id: str) -> str:
    """Return the event's id: 32 hexadecimal digits, equal for all its deliveries."""
    return hashlib.blake2b(f"{source}|{sender_id}".encode(), digest_size=16).hexdigest()


def _strength(named: Named) -> int:
    return named.strength


def _accounts(
    planned: PlannedEvent, accounts: Sequence[tuple[str, AccountRole]]
) -> list[dict[str, str]]:
    """Return the event's accounts. If the planned event owns its account, the role is owner."""
    return [
        {"key": key, "role": AccountRole.OWNER if planned.owns_account else role}
        for key, role in accounts
        if len(key) <= ACCOUNT_LIMIT and "#" not in key
    ]


def _consent(categories: Mapping[str, Any]) -> dict[str, bool]:
    """Return the consent categories that have a boolean answer."""
    answers = [
        (name[:TEXT_LIMIT], yes) for name, yes in categories.items() if isinstance(yes, bool)
    ]
    return dict(answers[:CONSENT_LIMIT])


def _copy_traits(
    target: dict[str, Scalar], names: Mapping[str, str], traits: Mapping[str, Any]
) -> None:
    """Copy traits to `target`. names: the sender's name of a trait -> the plan's name."""
    for sender_name, plan_name in names.items():
        if sender_name not in traits:
            continue
        value = traits[sender_name]
        if isinstance(value, str):
            target[plan_name] = value[:TEXT_LIMIT]
        elif isinstance(value, (bool, int, float)):
            target[plan_name] = value
