"""HubSpot's webhooks: changes of records in the CRM.

Signature: `X-HubSpot-Signature-v3`, base64 HMAC-SHA256 of method, address, body and
`X-HubSpot-Request-Timestamp` (milliseconds), with the app's client secret. The address is the one
that HubSpot called, https and query included, with the escapes of `ESCAPES` decoded: behind a
domain of one's own the Host header has to arrive unchanged. Written here rather than taken from
hubspot-api-client, whose verifier takes version 2 by default, which signs no time, accepts times
in the future, raises for a stale one, and leaves the address as it is.

HubSpot sends up to 100 events at once, waits 5 seconds, and repeats ten times in 24 hours, but
never after 400, 401, 403, 404 or 405: so a signed body that cannot be read is set aside, and
answered with 200; and a signature that does not match, which may be HubSpot's own with a secret
that is not stored here yet, is refused with 429.

Set up in the app's webhooks: the address, and the subscriptions that are named below.

Identifiers of events. `eventId` is not unique, and `attemptNumber` counts the deliveries: an event
is what was changed of what, when and to what, whichever subscription reported it.

Who it is. A notification names one record by its id and nothing else, so a record is an alias: of a
contact its bare id, of others `deal:…`, `company:…`, `meeting:…`, `call:…`, `ticket:…`. A record
other than a contact comes to its account when it is associated with a company (subscribe to
`associationChange`, and to a company's `group_id`, if it has such a property, for the product's
account). A deal, meeting, call or ticket is never an alias of a contact, for it may have several.
Subscribe to a contact's `email` (a contact is keyed by it, so it identifies) and `user_id`, if it
has such a property (what a form says of it is not believed: anybody can fill one in), and to
`lifecyclestage`, `hs_email_optout`; to a deal's `dealstage`; to creations of contacts, deals,
meetings, calls and tickets; to a meeting's `hs_meeting_outcome`.

Subscribe to `contact.privacyDeletion` as well: whose data HubSpot had to delete is suppressed here,
with all aliases that are known (docs/suppression.md).
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
"""What HubSpot decodes of an address before it signs it; other escapes stay."""

OBJECTS = {
    "0-1": "contact", "0-2": "company", "0-3": "deal", "0-5": "ticket",
    "0-47": "meeting", "0-48": "call",
}  # fmt: skip
"""Generic subscriptions name the type of the object by its number."""

IDENTITY = (
    "portalId", "objectId", "occurredAt", "propertyName", "propertyValue",
    "fromObjectId", "toObjectId", "associationType", "associationTypeId", "associationRemoved",
    "primaryObjectId", "mergedObjectIds", "newObjectId", "messageId",
)  # fmt: skip
"""What makes an event the one it is, besides its type."""

ATOMS = frozenset({str, int, float, bool, type(None)})

TRAITS = {
    "email": "email", "firstname": "first_name", "lastname": "last_name", "phone": "phone",
    "jobtitle": "title", "hs_timezone": "timezone",
}  # fmt: skip
"""A contact's properties that are traits, by ours."""

COMPANY_TRAITS = {"name": "name", "domain": "domain", "industry": "industry"}

FORM = "FORM"
PRIVACY_DELETION = "privacyDeletion"
USER_PROPERTY, EMAIL_PROPERTY, GROUP_PROPERTY = "user_id", "email", "group_id"

_ESCAPED = re.compile("|".join(ESCAPES), re.IGNORECASE)

Account = tuple[str, AccountRole]


class HubSpot(Sender):
    """See the module."""

    name = "hubspot"
    secret = "the client secret of the app that has the webhooks"
    kept_headers = (SIGNATURE, TIMESTAMP)
    keeps_unreadable = True
    gives_properties = False
    gives_up_on = frozenset({400, 401, 403, 404, 405})

    def verify(
        self, request: WebhookRequest, body: bytes, secrets: Sequence[bytes], now: int
    ) -> None:
        # Some proxies make a space of a plus; base64 knows none.
        given = request.headers.get(SIGNATURE, "").replace(" ", "+")
        stamp = request.headers.get(TIMESTAMP, "")
        if not (given and stamp):
            raise RefusedError(401, "unsigned", f"{SIGNATURE} or {TIMESTAMP} is missing")
        if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= TIMESTAMP_DIGITS):
            raise RefusedError(401, "forged", f"{TIMESTAMP} is no number of milliseconds")
        signed = _signed(request, body, stamp)
        if not equals_any(given, [_hmac(secret, signed) for secret in secrets]):
            raise RefusedError(401, "forged", f"{SIGNATURE} does not match")
        refuse_unless_fresh(int(stamp), now)

    def messages(self, payload: Any, request: WebhookRequest) -> Iterable[SenderReport]:
        events = payload if isinstance(payload, list) else [payload]
        if not all(isinstance(one, dict) for one in events):
            raise RefusedError(400, "malformed", "neither an event of HubSpot nor a list of them")
        return [_reported(one) for one in events]

    def sign(self, request: WebhookRequest, secret: bytes, now: int) -> dict[str, str]:
        stamp = str(now)
        signed = _signed(request, request.body, stamp)
        return {SIGNATURE: _hmac(secret, signed), TIMESTAMP: stamp}


SENDER = HubSpot()


def decoded(url: str) -> str:
    """The address as HubSpot signs it."""
    return _ESCAPED.sub(lambda found: ESCAPES[found.group().upper()], url)


def _signed(request: WebhookRequest, body: bytes, stamp: str) -> bytes:
    start = f"{request.method}{decoded(request.url)}".encode(errors="replace")
    return b"".join((start, body, stamp.encode()))


def _hmac(secret: bytes, signed: bytes) -> str:
    return base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()


def _reported(event: Mapping[str, Any]) -> SenderReport:
    kind, what = _kind(event)
    changed = as_text(event.get("propertyName")) if what == "propertyChange" else None
    value = event.get("propertyValue") if changed else None
    call = f"{kind}.{what}"
    return SenderReport(
        id=_id(call, event),
        call=call,
        event=changed if what == "propertyChange" else None,
        message=event,
        occurred_at=epoch_millis(event.get("occurredAt")),
        aliases=_aliases(kind, what, event, changed, value),
        accounts=_accounts(kind, what, event, changed, value),
        person_traits=_trait(TRAITS, changed, value) if kind == "contact" else NOTHING,
        account_traits=_trait(COMPANY_TRAITS, changed, value) if kind == "company" else NOTHING,
        deletes=kind == "contact" and what == PRIVACY_DELETION,
    )


def _kind(event: Mapping[str, Any]) -> tuple[str, str]:
    """'contact', 'creation': of both kinds of subscriptions."""
    kind, _, what = (as_text(event.get("subscriptionType")) or "").partition(".")
    if kind == "object":
        numbered = event.get("objectTypeId") or event.get("fromObjectTypeId")
        kind = OBJECTS.get(numbered, kind) if isinstance(numbered, str) else kind
    return kind, what


def _id(call: str, event: Mapping[str, Any]) -> str:
    """The same at every delivery, and of every subscription that reports the change."""
    told: list[object] = [call]
    for value in map(event.get, IDENTITY):
        told.append(value if type(value) in ATOMS else _plain(value))
    return hashlib.sha256(orjson.dumps(told)).hexdigest()


def _plain(value: object) -> object:
    """Numbers, texts, and lists of them, which are all that there is."""
    if isinstance(value, list):
        return [one for one in value if isinstance(one, (int, str))]
    return value if isinstance(value, (int, float, str)) else None


def _record(kind: str, number: object) -> str | None:
    """A record's alias; None where there is no id."""
    if isinstance(number, bool) or not isinstance(number, (int, str)) or not number:
        return None
    return str(number) if kind == "contact" else f"{kind}:{number}"


def _aliases(
    kind: str, what: str, event: Mapping[str, Any], changed: str | None, value: object
) -> list[tuple[AliasType, object]]:
    if what == "associationChange":
        return [(AliasType.CRM, _record(kind, event.get("fromObjectId")))]
    if what == "merge":
        merged = event.get("mergedObjectIds")
        others = merged[:MERGED_LIMIT] if isinstance(merged, list) else []
        names = (event.get("newObjectId"), event.get("primaryObjectId"), *others)
        return [(AliasType.CRM, _record(kind, one)) for one in names]
    found: list[tuple[AliasType, object]] = [
        (AliasType.CRM, _record(kind, event.get("objectId"))),
    ]
    if kind == "contact" and changed == USER_PROPERTY and event.get("changeSource") != FORM:
        found.append((AliasType.USER, value))
    if kind == "contact" and changed == EMAIL_PROPERTY:
        found.append((AliasType.EMAIL, value))
    return found


def _accounts(
    kind: str, what: str, event: Mapping[str, Any], changed: str | None, value: object
) -> list[Account]:
    """A company is an account, and what belongs to one company is that account's. A contact is
    only a member: it may change companies, and must not make one of two."""
    if kind == "company":
        return _company(event.get("objectId"), value if changed == GROUP_PROPERTY else None)
    if what != "associationChange" or event.get("associationRemoved") is True:
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
    """A company that tells which account of the product it is, owns both."""
    own = [(f"crm:{number}", AccountRole.OWNER)] if _record("company", number) else []
    if isinstance(group, str) and group.strip():
        return [(f"group:{group.strip()}", AccountRole.OWNER), *own]
    return own


def _trait(names: Mapping[str, str], changed: str | None, value: object) -> Mapping[str, Any]:
    ours = names.get(changed or "")
    return {ours: value} if ours else NOTHING
