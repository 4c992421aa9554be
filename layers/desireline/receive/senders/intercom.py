"""Intercom's webhooks: notifications of conversations, tickets and contacts.

Signature: `X-Hub-Signature: sha1=…`, hex HMAC-SHA1 of the body with the app's client secret. There
is no time in it: deduplication by the notification's id is what a replay meets, and a second
delivery differs in `delivery_attempts` alone. Before an address is saved it is asked with HEAD; the
button “Send a test request” sends a `ping`, which is no event.

Set up in the Developer Hub, the app, Webhooks: the address, then the topics.

Intercom waits 5 seconds, prefers receivers that answer within half a second, and repeats once after
a minute. A thousand errors in a row within 15 minutes pause it, seven days of errors suspend it,
410 ends the subscription for good, 429 slows it down: a signed body that cannot be read is set
aside and answered with 200, and 410 is never said.

Who it is. A contact is `intercom:…`; of a user, `external_id` is the company's own user id. A
lead's is made up by Intercom, and where a notification does not tell which it is, an id that looks
made up is left out: what links the two is the notification of the contact itself, so subscribe to
`contact.user.created`, `contact.user.updated` and `contact.signed_up`. Addresses are what somebody
typed or a page said: traits. A company's `company_id` is the product's account.
https://developers.intercom.com/docs/webhooks/setting-up-webhooks
https://developers.intercom.com/docs/references/webhooks/webhook-models
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from desireline.errors import RefusedError
from desireline.events import AccountRole, AliasType
from desireline.receive.mapping.times import epoch_seconds
from desireline.receive.request import WebhookRequest
from desireline.receive.senders.sender import (
    NOTHING,
    Sender,
    SenderReport,
    as_object,
    as_text,
    equals_any,
)

SIGNATURE = "x-hub-signature"
PING = "ping"
PEOPLE = frozenset({"contact", "user", "lead", "visitor"})
USER = "user"
MADE_UP_COMPANY = "-qualification-company"
"""What Intercom ends the ids of companies with that it makes up for leads."""

_MADE_UP = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)

Account = tuple[str, AccountRole]


class Intercom(Sender):
    """See the module."""

    name = "intercom"
    secret = "the app's client secret: Developer Hub, the app, Basic information"
    kept_headers = (SIGNATURE,)
    signs_time = False
    keeps_unreadable = True
    gives_properties = False

    def verify(
        self, request: WebhookRequest, body: bytes, secrets: Sequence[bytes], now: int
    ) -> None:
        given = request.headers.get(SIGNATURE, "")
        if not given:
            raise RefusedError(401, "unsigned", f"{SIGNATURE} is missing")
        if not equals_any(given.lower(), [signature(secret, body) for secret in secrets]):
            raise RefusedError(401, "forged", f"{SIGNATURE} does not match")

    def messages(self, payload: Any, request: WebhookRequest) -> Iterable[SenderReport]:
        topic = as_text(as_object(payload).get("topic"))
        if topic == PING:
            return []
        if not topic or not as_text(payload.get("id")):
            raise RefusedError(400, "malformed", "not a notification of Intercom")
        return [_reported(topic, payload)]

    def sign(self, request: WebhookRequest, secret: bytes, now: int) -> dict[str, str]:
        return {SIGNATURE: signature(secret, request.body)}


SENDER = Intercom()


def signature(secret: bytes, body: bytes) -> str:
    """Intercom's X-Hub-Signature of a body."""
    return f"sha1={hmac.new(secret, body, hashlib.sha1).hexdigest()}"


def _reported(topic: str, notification: Mapping[str, Any]) -> SenderReport:
    item = as_object(as_object(notification.get("data")).get("item"))
    person = _person(item)
    company = as_object(item.get("company"))
    return SenderReport(
        id=notification["id"],
        call=topic,
        event=None,
        message=notification,
        occurred_at=epoch_seconds(notification.get("created_at")),
        aliases=_aliases(person),
        accounts=_accounts(topic, item, company),
        person_traits={name: person.get(name) for name in ("name", "email", "phone")},
        account_traits={"name": company.get("name")} if company else NOTHING,
    )


def _person(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Whom a notification is about: of a conversation with several, the first, who began it."""
    if as_text(item.get("type")) in PEOPLE:
        return item
    for name in ("contact", "user"):
        if found := as_object(item.get(name)):
            return found
    listed = as_object(item.get("contacts")).get("contacts")
    if isinstance(listed, list) and listed:
        return as_object(listed[0])
    author = as_object(as_object(item.get("source")).get("author"))
    return author if as_text(author.get("type")) in PEOPLE else NOTHING


def _aliases(person: Mapping[str, Any]) -> list[tuple[AliasType, object]]:
    found: list[tuple[AliasType, object]] = []
    role = person.get("role") or person.get("type")
    theirs = person.get("external_id") or person.get("user_id")
    if role == USER or (role == "contact" and not _made_up(theirs)):
        found.append((AliasType.USER, theirs))
    if number := as_text(person.get("id")):
        found.append((AliasType.CRM, f"intercom:{number}"))
    return found


def _made_up(theirs: object) -> bool:
    return isinstance(theirs, str) and _MADE_UP.fullmatch(theirs) is not None


def _accounts(topic: str, item: Mapping[str, Any], company: Mapping[str, Any]) -> list[Account]:
    role = AccountRole.MEMBER if topic == "company.contact.attached" else AccountRole.MENTION
    theirs, number = as_text(company.get("company_id")), company.get("id") or item.get("company_id")
    found: list[Account] = []
    if theirs and not theirs.endswith(MADE_UP_COMPANY):
        found.append((f"group:{theirs}", role))
    if isinstance(number, str) and number:
        found.append((f"crm:intercom:{number}", role))
    return found
