"""Intercom's webhooks: notifications of conversations, tickets and contacts.

Signature: `X-Hub-Signature: sha1=…`, hex HMAC-SHA1 of the body with the app's client secret. No
time is signed, so only deduplication by the notification's id stops a replay. A second delivery
differs only in `delivery_attempts`. Intercom checks the address with HEAD before it saves it. The
button “Send a test request” sends a `ping`, which produces no event.

Set up: in the Developer Hub, the app, Webhooks, enter the address, then the topics.

Intercom waits 5 seconds, prefers receivers that answer within half a second, and repeats once after
a minute. A thousand errors in a row within 15 minutes pause the subscription, and seven days of
errors suspend it. 429 slows it down, and 410 ends it for good, so we never answer 410. Receive
quarantines a signed body that it cannot read, and answers 200.

Identity: a contact is `intercom:…`. The `external_id` of a user is the company's own user id.
Intercom generates the `external_id` of a lead. If a notification omits the role, receive ignores an
id that looks generated. The contact's own notification links both ids, so subscribe to
`contact.user.created`, `contact.user.updated` and `contact.signed_up`. Email addresses are only
traits, because Intercom does not verify them. A company's `company_id` is the product's account.
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
"""The suffix of company ids that Intercom generates for leads."""

_MADE_UP = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)

Account = tuple[str, AccountRole]


class Intercom(Sender):
    """Intercom. See the module."""

    name = "intercom"
    secret = "the app's client secret: Developer Hub, the app, Basic information"
    kept_headers = (SIGNATURE,)
    signs_time = False
    keeps_unreadable = True
    gives_properties = False

    def verify(
        self, request: WebhookRequest, body: bytes, secrets: Sequence[bytes], now: int
    ) -> None:
        value = request.headers.get(SIGNATURE, "")
        if not value:
            raise RefusedError(401, "unsigned", f"{SIGNATURE} is missing")
        if not equals_any(value.lower(), [signature(secret, body) for secret in secrets]):
            raise RefusedError(401, "forged", f"{SIGNATURE} does not match")

    def messages(self, payload: Any, request: WebhookRequest) -> Iterable[SenderReport]:
        topic = as_text(as_object(payload).get("topic"))
        if topic == PING:
            return []
        if not topic or not as_text(payload.get("id")):
            raise RefusedError(400, "malformed", "the body must be a notification of Intercom")
        return [_to_report(topic, payload)]

    def sign(self, request: WebhookRequest, secret: bytes, now: int) -> dict[str, str]:
        return {SIGNATURE: signature(secret, request.body)}


SENDER = Intercom()


def signature(secret: bytes, body: bytes) -> str:
    """Return Intercom's X-Hub-Signature of a body."""
    return f"sha1={hmac.new(secret, body, hashlib.sha1).hexdigest()}"


def _to_report(topic: str, notification: Mapping[str, Any]) -> SenderReport:
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
    """Return the person of a notification. Of a conversation's contacts it is the first, who
    started it."""
    if as_text(item.get("type")) in PEOPLE:
        return item
    for name in ("contact", "user"):
        if person := as_object(item.get(name)):
            return person
    listed = as_object(item.get("contacts")).get("contacts")
    if isinstance(listed, list) and listed:
        return as_object(listed[0])
    author = as_object(as_object(item.get("source")).get("author"))
    return author if as_text(author.get("type")) in PEOPLE else NOTHING


def _aliases(person: Mapping[str, Any]) -> list[tuple[AliasType, object]]:
    aliases: list[tuple[AliasType, object]] = []
    role = person.get("role") or person.get("type")
    user = person.get("external_id") or person.get("user_id")
    if role == USER or (role == "contact" and not _is_generated(user)):
        aliases.append((AliasType.USER, user))
    if number := as_text(person.get("id")):
        aliases.append((AliasType.CRM, f"intercom:{number}"))
    return aliases


def _is_generated(user: object) -> bool:
    return isinstance(user, str) and _MADE_UP.fullmatch(user) is not None


def _accounts(topic: str, item: Mapping[str, Any], company: Mapping[str, Any]) -> list[Account]:
    role = AccountRole.MEMBER if topic == "company.contact.attached" else AccountRole.MENTION
    group, number = as_text(company.get("company_id")), company.get("id") or item.get("company_id")
    accounts: list[Account] = []
    if group and not group.endswith(MADE_UP_COMPANY):
        accounts.append((f"group:{group}", role))
    if isinstance(number, str) and number:
        accounts.append((f"crm:intercom:{number}", role))
    return accounts
