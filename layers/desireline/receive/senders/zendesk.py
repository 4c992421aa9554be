"""Zendesk's webhooks: of events, and of triggers and automations.

Signature: `X-Zendesk-Webhook-Signature`, base64 HMAC-SHA256 of `…-Signature-Timestamp` (ISO 8601)
and body, one after the other. The webhook's secret looks like base64 and is used as it stands.
Test requests of a webhook that is not saved yet are signed with a secret that everybody knows, and
are refused.

Set up in the Admin Center, Apps and integrations, Webhooks. A webhook is either of events or of
triggers, and each has a secret of its own: store them one a line. Of ratings only triggers know.

Zendesk waits about 10 seconds, and repeats only time-outs, 409, and 429 and 503 with a Retry-After
below a minute, as ours has; 70 % of errors or 1,000 within five minutes open its breaker. So a
signed body that cannot be read, as when a quote in a comment breaks a template, is set aside and
answered with 200.

A webhook of events (`zen:event-type:…`) tells its own id. One of a trigger sends what the trigger's
author wrote, here this, with the event's name of ours: `ticket_created`, `ticket_solved`,
`ticket_reopened` or `csat_submitted`. Its id is the `X-Zendesk-Webhook-Invocation-Id`, the same for
all attempts. Leave names, subjects and comments out of it: Zendesk writes them as they are, and a
quote in one could make the body say something else. A body that says a thing twice is set aside.

    {"event": "ticket_solved",
     "ticket": {"id": "{{ticket.id}}", "status": "{{ticket.status}}",
                "priority": "{{ticket.priority}}", "channel": "{{ticket.via}}",
                "rating": "{{satisfaction.current_rating}}",
                "updated_at": "{{ticket.updated_at_with_timestamp}}"},
     "requester": {"id": "{{ticket.requester.id}}",
                   "external_id": "{{ticket.requester.external_id}}"},
     "organization": {"id": "{{ticket.organization.id}}",
                      "external_id": "{{ticket.organization.external_id}}"}}

Who it is. A user is `zendesk:…`, and its `external_id` the company's own user id; an organization's
is the product's account. A webhook of ticket events names the requester by number alone, so that
`user.created` and `user.external_id_changed` have to come too. Addresses are where somebody wrote
from, which mail does not prove: traits.
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

Account = tuple[str, AccountRole]


class Zendesk(Sender):
    """See the module."""

    name = "zendesk"
    secret = "the signing secret of the webhook, as it stands there; of several webhooks one a line"
    deadline = 10.0
    kept_headers = (SIGNATURE, TIMESTAMP, INVOCATION)
    keeps_unreadable = True

    def verify(
        self, request: WebhookRequest, body: bytes, secrets: Sequence[bytes], now: int
    ) -> None:
        given, stamp = request.headers.get(SIGNATURE, ""), request.headers.get(TIMESTAMP, "")
        if not (given and stamp):
            raise RefusedError(401, "unsigned", f"{SIGNATURE} or {TIMESTAMP} is missing")
        each = [one for lines in secrets for one in lines.splitlines()]
        if not equals_any(given, [signature(secret, stamp, body) for secret in each]):
            raise RefusedError(401, "forged", f"{SIGNATURE} does not match")
        signed_at = epoch_ms(stamp)
        if signed_at is None:
            raise RefusedError(400, "malformed", f"{TIMESTAMP} is no time")
        refuse_unless_fresh(signed_at, now)

    def parse(self, body: bytes) -> Any:
        payload = super().parse(body)
        if not _is_event(payload):
            _refuse_repetitions(body)
        return payload

    def messages(self, payload: Any, request: WebhookRequest) -> Iterable[SenderReport]:
        if not isinstance(payload, dict):
            raise RefusedError(400, "malformed", "neither an event of Zendesk nor a trigger's")
        if _is_event(payload):
            return [_of_event(payload["type"].removeprefix(EVENT_TYPE), payload)]
        if name := as_text(payload.get("event")):
            return [_of_trigger(name, payload, request)]
        raise RefusedError(400, "malformed", "neither an event of Zendesk nor a trigger's")

    def sign(self, request: WebhookRequest, secret: bytes, now: int) -> dict[str, str]:
        stamp = iso(now)
        (first, *_) = secret.splitlines()
        return {SIGNATURE: signature(first, stamp, request.body), TIMESTAMP: stamp}


SENDER = Zendesk()


def signature(secret: bytes, stamp: str, body: bytes) -> str:
    """Zendesk's signature of a body at a time."""
    signed = stamp.encode(errors="replace") + body
    return base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()


def _is_event(payload: Any) -> bool:
    told = as_object(payload)
    return (as_text(told.get("type")) or "").startswith(EVENT_TYPE) and bool(
        as_text(told.get("id"))
    )


def _refuse_repetitions(body: bytes) -> None:
    """A body out of a template into which somebody wrote says a thing twice, once of their own:
    of two readers each could believe another. Raises RefusedError (400)."""
    try:
        json.loads(body, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, "malformed", "a name twice in one object") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name twice")
    return found


def _of_event(call: str, event: Mapping[str, Any]) -> SenderReport:
    detail, told = as_object(event.get("detail")), as_object(event.get("event"))
    whole = call.startswith("user.")
    person = detail if whole else {"id": detail.get("requester_id")}
    organization = as_object(told.get("organization")) or {"id": detail.get("organization_id")}
    joins = call == "user.organization_membership_created"
    return SenderReport(
        id=str(event["id"]),
        call=call,
        event=_became(told) if call == STATUS_CHANGED else None,
        message=event,
        occurred_at=epoch_ms(event.get("time")),
        aliases=_aliases(person),
        accounts=_accounts(organization, AccountRole.MEMBER if joins else AccountRole.MENTION),
        person_traits=_traits(person) if whole else NOTHING,
    )


def _became(told: Mapping[str, Any]) -> str | None:
    """What a change of status means; None for what is only on its way."""
    before, after = ((as_text(told.get(name)) or "").lower() for name in ("previous", "current"))
    if after == "solved":
        return "solved"
    return "reopened" if before in DONE and after in OPEN else None


def _of_trigger(name: str, payload: Mapping[str, Any], request: WebhookRequest) -> SenderReport:
    ticket, person = as_object(payload.get("ticket")), as_object(payload.get("requester"))
    invocation = request.headers.get(INVOCATION)
    rating = (as_text(ticket.get("rating")) or "").lower()
    return SenderReport(
        # Without Zendesk's id, an equal body is the same event.
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
    number, theirs = organization.get("id"), as_text(organization.get("external_id"))
    found = [(f"group:{theirs}", role)] if theirs else []
    return [*found, (f"crm:zendesk:{number}", role)] if _is_id(number) else found


def _is_id(number: object) -> bool:
    """Zendesk writes 0 or nothing for nobody, and numbers as texts as well."""
    if not isinstance(number, int | str):
        return False
    digits = str(number)
    return digits.isascii() and digits.isdigit() and digits.strip("0") != ""


def _traits(person: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: person.get(name) or None for name in ("name", "email")}
