"""HubSpot's webhooks: changes of records in the CRM.

Signature: `X-HubSpot-Signature-v3`, base64 HMAC-SHA256 of method, address, body and
`X-HubSpot-Request-Timestamp` (milliseconds), with the app's client secret. The address is the one
that HubSpot called, with https and query, and with the escapes of `ESCAPES` decoded. Behind your
own domain, the Host header has to arrive unchanged. This module does not use hubspot-api-client.
Its verifier uses version 2 by default, which signs no time. It also accepts future times, raises
for a stale time, and does not decode the address.

HubSpot sends up to 100 events at once, waits 5 seconds, and repeats ten times in 24 hours. It never
repeats after 400, 401, 403, 404 or 405. So receive quarantines a signed body that it cannot read,
and answers 200. A signature that does not match gets 429, because HubSpot may already sign with a
secret that is not stored here yet.

Set up: in the app's webhooks, enter the address and the subscriptions named below.

Event ids: `eventId` is not unique, and `attemptNumber` counts deliveries. So the id is a hash of
the change: the record, the property, the value and the time. It is the same for all subscriptions
that report the change.

Identity: a notification names only one record, by its id, so the record is an alias. A contact's
alias is its id. Other aliases are `deal:…`, `company:…`, `meeting:…`, `call:…` and `ticket:…`. Such
a record joins its account when HubSpot associates it with a company. It is never an alias of a
contact, because it may have several contacts.

Subscribe to `associationChange`, and to a company's `group_id` if it has this property, which names
the product's account. Subscribe to a contact's `email`, `lifecyclestage` and `hs_email_optout`.
HubSpot's contacts have unique addresses, so `email` identifies. Subscribe to a contact's `user_id`
if it has this property. A value from a form is ignored, because anybody can fill in a form.
Subscribe to a deal's `dealstage`, to a meeting's `hs_meeting_outcome`, and to creations of
contacts, deals, meetings, calls and tickets.

Subscribe to `contact.privacyDeletion` as well. It reports a person whose data HubSpot had to
delete. Receive suppresses all stored aliases of this person (docs/suppression.md).
https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/request-validation
https://developers.hubspot.com/docs/api-reference/webhooks-webhooks-v3/guide
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from desireline.errors import RefusedError
from desireline.events import AccountRole, AliasType
from desireline.receive.mapping.times import epoch_millis
from desireline.receive.request import WebhookRequest
from desireline.receive.senders.sender import (
    NOTHING,
    Sender,
    SenderReport,
    as_text,
    equals_any,
    refuse_unless_fresh,
)

SIGNATURE = "x-hubspot-signature-v3"
TIMESTAMP = "x-hubspot-request-timestamp"
TIMESTAMP_DIGITS = 15
MERGED_LIMIT = 20

ESCAPES = {
    "%3A": ":", "%2F": "/", "%3F": "?", "%40": "@", "%21": "!", "%24": "$",
    "%27": "'", "%28": "(", "%29": ")", "%2A": "*", "%2C": ",", "%3B": ";",
}  # fmt: skip
"""The escapes that HubSpot decodes in an address before it signs it. Other escapes stay."""

OBJECTS = {
    "0-1": "contact", "0-2": "company", "0-3": "deal", "0-5": "ticket",
    "0-47": "meeting", "0-48": "call",
}  # fmt: skip
"""The object types by their number, which generic subscriptions use."""

IDENTITY = (
    "portalId", "objectId", "occurredAt", "propertyName", "propertyValue",
    "fromObjectId", "toObjectId", "associationType", "associationTypeId", "associationRemoved",
    "primaryObjectId", "mergedObjectIds", "newObjectId", "messageId",
)  # fmt: skip
"""The fields that, with the event's type, make its id."""

ATOMS = frozenset({str, int, float, bool, type(None)})

TRAITS = {
    "email": "email", "firstname": "first_name", "lastname": "last_name", "phone": "phone",
    "jobtitle": "title", "hs_timezone": "timezone",
}  # fmt: skip
"""The traits among a contact's properties: HubSpot's name -> the plan's input name."""

COMPANY_TRAITS = {"name": "name", "domain": "domain", "industry": "industry"}

FORM = "FORM"
PRIVACY_DELETION = "privacyDeletion"
USER_PROPERTY, EMAIL_PROPERTY, GROUP_PROPERTY = "user_id", "email", "group_id"

_ESCAPED = re.compile("|".join(ESCAPES), re.IGNORECASE)

Account = tuple[str, AccountRole]


class HubSpot(Sender):
    """HubSpot. See the module."""

    name = "hubspot"
    secret = "the client secret of the app that has the webhooks"
    kept_headers = (SIGNATURE, TIMESTAMP)
    keeps_unreadable = True
    gives_properties = False
    gives_up_on = frozenset({400, 401, 403, 404, 405})

    def verify(
        self, request: WebhookRequest, body: bytes, secrets: Sequence[bytes], now: int
    ) -> None:
        # Some proxies replace a plus by a space. Base64 has no spaces.
        signature = request.headers.get(SIGNATURE, "").replace(" ", "+")
        stamp = request.headers.get(TIMESTAMP, "")
        if not (signature and stamp):
            raise RefusedError(401, "unsigned", f"{SIGNATURE} or {TIMESTAMP} is missing")
        if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= TIMESTAMP_DIGITS):
            raise RefusedError(401, "forged", f"{TIMESTAMP} must be a number of milliseconds")
        signed = _signed(request, body, stamp)
        if not equals_any(signature, [_hmac(secret, signed) for secret in secrets]):
            raise RefusedError(401, "forged", f"{SIGNATURE} does not match")
        refuse_unless_fresh(int(stamp), now)

    def messages(self, payload: Any, request: WebhookRequest) -> Iterable[SenderReport]:
        events = payload if isinstance(payload, list) else [payload]
        if not all(isinstance(event, dict) for event in events):
            raise RefusedError(400, "malformed", "the body must be an event of HubSpot or a list")
        return [_to_report(event) for event in events]

    def sign(self, request: WebhookRequest, secret: bytes, now: int) -> dict[str, str]:
        stamp = str(now)
        signed = _signed(request, request.body, stamp)
        return {SIGNATURE: _hmac(secret, signed), TIMESTAMP: stamp}


SENDER = HubSpot()


def decoded(url: str) -> str:
    """Decode an address as HubSpot does before it signs it."""
    return _ESCAPED.sub(lambda match: ESCAPES[match.group().upper()], url)


def _signed(request: WebhookRequest, body: bytes, stamp: str) -> bytes:
    start = f"{request.method}{decoded(request.url)}".encode(errors="replace")
    return b"".join((start, body, stamp.encode()))


def _hmac(secret: bytes, signed: bytes) -> str:
    return base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()


def _to_report(event: Mapping[str, Any]) -> SenderReport:
    kind, change = _kind(event)
    changed = as_text(event.get("propertyName")) if change == "propertyChange" else None
    value = event.get("propertyValue") if changed else None
    call = f"{kind}.{change}"
    return SenderReport(
        id=_id(call, event),
        call=call,
        event=changed if change == "propertyChange" else None,
        message=event,
        occurred_at=epoch_millis(event.get("occurredAt")),
        aliases=_aliases(kind, change, event, changed, value),
        accounts=_accounts(kind, change, event, changed, value),
        person_traits=_trait(TRAITS, changed, value) if kind == "contact" else NOTHING,
        account_traits=_trait(COMPANY_TRAITS, changed, value) if kind == "company" else NOTHING,
        deletes=kind == "contact" and change == PRIVACY_DELETION,
    )


def _kind(event: Mapping[str, Any]) -> tuple[str, str]:
    """Return object type and change, such as 'contact' and 'creation'.

    Generic subscriptions have the type 'object', and name it by a number."""
    kind, _, change = (as_text(event.get("subscriptionType")) or "").partition(".")
    if kind == "object":
        numbered = event.get("objectTypeId") or event.get("fromObjectTypeId")
        kind = OBJECTS.get(numbered, kind) if isinstance(numbered, str) else kind
    return kind, change


def _id(call: str, event: Mapping[str, Any]) -> str:
    """Return an id that is equal for all deliveries of a change, from any subscription."""
    parts: list[object] = [call]
    for value in map(event.get, IDENTITY):
        parts.append(value if type(value) in ATOMS else _plain(value))
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()


def _plain(value: object) -> object:
    """Return numbers, texts, and lists of them as they are, and None for other values."""
    if isinstance(value, list):
        return [item for item in value if isinstance(item, (int, str))]
    return value if isinstance(value, (int, float, str)) else None


def _record(kind: str, number: object) -> str | None:
    """Return a record's alias; None without a valid id."""
    if isinstance(number, bool) or not isinstance(number, (int, str)) or not number:
        return None
    return str(number) if kind == "contact" else f"{kind}:{number}"


def _aliases(
    kind: str, change: str, event: Mapping[str, Any], changed: str | None, value: object
) -> list[tuple[AliasType, object]]:
    """Return the aliases of a change. changed: the property's name, with its new value."""
    if change == "associationChange":
        return [(AliasType.CRM, _record(kind, event.get("fromObjectId")))]
    if change == "merge":
        merged = event.get("mergedObjectIds")
        others = merged[:MERGED_LIMIT] if isinstance(merged, list) else []
        numbers = (event.get("newObjectId"), event.get("primaryObjectId"), *others)
        return [(AliasType.CRM, _record(kind, number)) for number in numbers]
    aliases: list[tuple[AliasType, object]] = [
        (AliasType.CRM, _record(kind, event.get("objectId"))),
    ]
    if kind == "contact" and changed == USER_PROPERTY and event.get("changeSource") != FORM:
        aliases.append((AliasType.USER, value))
    if kind == "contact" and changed == EMAIL_PROPERTY:
        aliases.append((AliasType.EMAIL, value))
    return aliases


def _accounts(
    kind: str, change: str, event: Mapping[str, Any], changed: str | None, value: object
) -> list[Account]:
    """Return the accounts of a change. A company is an account, and owns its deals, meetings, calls
    and tickets. A contact is only a member, because it may move to another company. As an owner it
    would merge both companies."""
    if kind == "company":
        return _company(event.get("objectId"), value if changed == GROUP_PROPERTY else None)
    if change != "associationChange" or event.get("associationRemoved") is True:
        return []
    named = as_text(event.get("associationType")) or ""
    if not (named.endswith("_TO_COMPANY") or event.get("toObjectTypeId") == "0-2"):
        return []
    role = AccountRole.MEMBER
    if kind != "contact" and event.get("isPrimaryAssociation") is True:
        role = AccountRole.OWNER
    number = event.get("toObjectId")
    return [(f"crm:{number}", role)] if _record("company", number) else []


def _company(number: object, group: object) -> list[Account]:
    """Return a company's own account, and the product's account that its `group_id` names."""
    own = [(f"crm:{number}", AccountRole.OWNER)] if _record("company", number) else []
    if isinstance(group, str) and group.strip():
        return [(f"group:{group.strip()}", AccountRole.OWNER), *own]
    return own


def _trait(names: Mapping[str, str], changed: str | None, value: object) -> Mapping[str, Any]:
    trait = names.get(changed or "")
    return {trait: value} if trait else NOTHING
