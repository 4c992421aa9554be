"""Zendesk's webhooks: of events, and of triggers and automations.

Signature: `X-Zendesk-Webhook-Signature`, base64 HMAC-SHA256 of `…-Signature-Timestamp` (ISO 8601)
followed by the body. The webhook's secret looks like base64, but Zendesk uses it undecoded. Before
a webhook is saved, Zendesk signs its test requests with a public secret. Receive refuses them.

Set up: in the Admin Center, Apps and integrations, Webhooks. A webhook is either for events or for
triggers, and each has its own secret. Store one secret per line. Only triggers report ratings.

Zendesk waits about 10 seconds. It repeats after time-outs and 409, and after a 429 or 503 with a
Retry-After below a minute, as ours has. It stops sending for a while if 70 % of the requests fail,
or 1,000 within five minutes. So receive quarantines a signed body that it cannot read, and answers
200. For example, a quote in a comment breaks a template.

A webhook of events (`zen:event-type:…`) has its own id. A trigger sends the body that its author
wrote. Use the body below, with one of these names as `event`: `ticket_created`, `ticket_solved`,
`ticket_reopened` or `csat_submitted`. The event's id is the `X-Zendesk-Webhook-Invocation-Id`, the
same for all attempts. Do not add names, subjects or comments: Zendesk does not escape them, so a
quote in them can change the body. Receive quarantines a body that repeats a name in an object.

    {"event": "ticket_solved",
     "ticket": {"id": "{{ticket.id}}", "status": "{{ticket.status}}",
                "priority": "{{ticket.priority}}", "channel": "{{ticket.via}}",
                "rating": "{{satisfaction.current_rating}}",
                "updated_at": "{{ticket.updated_at_with_timestamp}}"},
     "requester": {"id": "{{ticket.requester.id}}",
                   "external_id": "{{ticket.requester.external_id}}"},
     "organization": {"id": "{{ticket.organization.id}}",
                      "external_id": "{{ticket.organization.external_id}}"}}

Identity: a user is `zendesk:…`, and its `external_id` is the company's own user id. The
`external_id` of an organization is the product's account. Ticket events contain only the number of
the requester, so subscribe to `user.created` and `user.external_id_changed` as well. Email
addresses are only traits, because a mail's sender is not verified.
https://developer.zendesk.com/documentation/webhooks/verifying/
https://developer.zendesk.com/api-reference/webhooks/event-types/webhook-event-types/
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from desireline.errors import RefusedError
from desireline.events import AccountRole, AliasType
from desireline.receive.mapping.times import epoch_ms, iso
from desireline.receive.request import WebhookRequest
from desireline.receive.senders.sender import (
    NOTHING,
    Sender,
    SenderReport,
    as_object,
    as_text,
    equals_any,
    refuse_unless_fresh,
)

SIGNATURE = "x-zendesk-webhook-signature"
TIMESTAMP = "x-zendesk-webhook-signature-timestamp"
INVOCATION = "x-zendesk-webhook-invocation-id"

EVENT_TYPE = "zen:event-type:"
TRIGGER = "trigger"
STATUS_CHANGED = "ticket.status_changed"
DONE, OPEN = frozenset({"solved", "closed"}), frozenset({"new", "open", "pending", "hold"})
VERDICTS = ("good", "bad")
NOT_ZENDESK = "the body must be an event of Zendesk or of a trigger"

Account = tuple[str, AccountRole]


class Zendesk(Sender):
    """Zendesk. See the module."""

    name = "zendesk"
    secret = "the webhook's signing secret, undecoded; of several webhooks, one secret per line"
    deadline = 10.0
    kept_headers = (SIGNATURE, TIMESTAMP, INVOCATION)
    keeps_unreadable = True

    def verify(
        self, request: WebhookRequest, body: bytes, secrets: Sequence[bytes], now: int
    ) -> None:
        value, stamp = request.headers.get(SIGNATURE, ""), request.headers.get(TIMESTAMP, "")
        if not (value and stamp):
            raise RefusedError(401, "unsigned", f"{SIGNATURE} or {TIMESTAMP} is missing")
        each = [line for secret in secrets for line in secret.splitlines()]
        if not equals_any(value, [signature(secret, stamp, body) for secret in each]):
            raise RefusedError(401, "forged", f"{SIGNATURE} does not match")
        signed_at = epoch_ms(stamp)
        if signed_at is None:
            raise RefusedError(400, "malformed", f"{TIMESTAMP} must be an ISO 8601 time")
        refuse_unless_fresh(signed_at, now)

    def parse(self, body: bytes) -> Any:
        payload = super().parse(body)
        if not _is_event(payload):
            _refuse_repetitions(body)
        return payload

    def messages(self, payload: Any, request: WebhookRequest) -> Iterable[SenderReport]:
        if not isinstance(payload, dict):
            raise RefusedError(400, "malformed", NOT_ZENDESK)
        if _is_event(payload):
            return [_of_event(payload["type"].removeprefix(EVENT_TYPE), payload)]
        if name := as_text(payload.get("event")):
            return [_of_trigger(name, payload, request)]
        raise RefusedError(400, "malformed", NOT_ZENDESK)

    def sign(self, request: WebhookRequest, secret: bytes, now: int) -> dict[str, str]:
        stamp = iso(now)
        (first, *_) = secret.splitlines()
        return {SIGNATURE: signature(first, stamp, request.body), TIMESTAMP: stamp}


SENDER = Zendesk()


def signature(secret: bytes, stamp: str, body: bytes) -> str:
    """Return Zendesk's signature of a body. stamp: the header of the time."""
    signed = stamp.encode(errors="replace") + body
    return base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()


def _is_event(payload: Any) -> bool:
    event = as_object(payload)
    has_type = (as_text(event.get("type")) or "").startswith(EVENT_TYPE)
    return has_type and bool(as_text(event.get("id")))


def _refuse_repetitions(body: bytes) -> None:
    """Refuse a body that repeats a name in an object, because JSON readers differ in their choice.

    A person who writes a quote into a template's text can add such a name. Raises RefusedError
    (400)."""
    try:
        json.loads(body, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, "malformed", "an object of the body repeats a name") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("The object repeats a name.")
    return members


def _of_event(call: str, event: Mapping[str, Any]) -> SenderReport:
    detail, change = as_object(event.get("detail")), as_object(event.get("event"))
    whole = call.startswith("user.")
    person = detail if whole else {"id": detail.get("requester_id")}
    organization = as_object(change.get("organization")) or {"id": detail.get("organization_id")}
    joins = call == "user.organization_membership_created"
    return SenderReport(
        id=str(event["id"]),
        call=call,
        event=_transition(change) if call == STATUS_CHANGED else None,
        message=event,
        occurred_at=epoch_ms(event.get("time")),
        aliases=_aliases(person),
        accounts=_accounts(organization, AccountRole.MEMBER if joins else AccountRole.MENTION),
        person_traits=_traits(person) if whole else NOTHING,
    )


def _transition(change: Mapping[str, Any]) -> str | None:
    """Return 'solved' or 'reopened' for a change of status; None for other changes."""
    before, after = ((as_text(change.get(name)) or "").lower() for name in ("previous", "current"))
    if after == "solved":
        return "solved"
    return "reopened" if before in DONE and after in OPEN else None


def _of_trigger(name: str, payload: Mapping[str, Any], request: WebhookRequest) -> SenderReport:
    ticket, person = as_object(payload.get("ticket")), as_object(payload.get("requester"))
    invocation = request.headers.get(INVOCATION)
    rating = (as_text(ticket.get("rating")) or "").lower()
    return SenderReport(
        # Without Zendesk's id, equal bodies are one event.
        id=invocation or hashlib.sha256(request.body).hexdigest(),
        call=TRIGGER,
        event=name,
        message=payload,
        occurred_at=epoch_ms(ticket.get("updated_at")),
        aliases=_aliases(person),
        accounts=_accounts(as_object(payload.get("organization")), AccountRole.MENTION),
        properties={"verdict": next((v for v in VERDICTS if rating.startswith(v)), None)},
        person_traits=_traits(person),
    )


def _aliases(person: Mapping[str, Any]) -> list[tuple[AliasType, object]]:
    number = person.get("id")
    return [
        (AliasType.USER, person.get("external_id")),
        (AliasType.CRM, f"zendesk:{number}" if _is_id(number) else None),
    ]


def _accounts(organization: Mapping[str, Any], role: AccountRole) -> list[Account]:
    number, group = organization.get("id"), as_text(organization.get("external_id"))
    accounts = [(f"group:{group}", role)] if group else []
    return [*accounts, (f"crm:zendesk:{number}", role)] if _is_id(number) else accounts


def _is_id(number: object) -> bool:
    """Tell whether a value is an id: a positive integer, also as text. Zendesk writes 0 or an empty
    text if there is no record."""
    if not isinstance(number, int | str):
        return False
    digits = str(number)
    return digits.isascii() and digits.isdigit() and digits.strip("0") != ""


def _traits(person: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: person.get(name) or None for name in ("name", "email")}
