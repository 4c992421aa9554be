"""Chargebee's webhooks.

Nothing is signed: Chargebee knows Basic authentication, or a key in the address. Only the former
is taken, for addresses are logged and traced: the user name is `desireline`, the password is the
secret. There is no time either; deduplication by the event's id is what a replay meets.

Chargebee waits 20 seconds and repeats seven times in up to two days. Events come in any order, and
`occurred_at` has seconds only: what orders two of one second is the `resource_version` of what they
are about, in milliseconds.

Set up under Settings, Webhooks, protected by basic authentication: customer created, subscription
created, started, activated, renewed, cancelled and trial extended, payment source added, payment
succeeded, failed and refunded. The fields `cf_user_id` and `cf_group_id` of a customer or
subscription name the company's own user and account. A changed subscription does not say what it
was before, so upgrades and downgrades cannot be told.
https://apidocs.chargebee.com/docs/api/webhooks
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from desireline.errors import RefusedError
from desireline.events import AccountRole, AliasType
from desireline.receive.mapping.times import epoch_seconds
from desireline.receive.request import WebhookRequest
from desireline.receive.senders._basic import credentials, refuse_unless_known
from desireline.receive.senders.sender import Sender, SenderReport, as_object, as_text

SAME_CHANGE_MS = 60_000
"""How long after an event's second the version may be that the event itself made."""


class Chargebee(Sender):
    """See the module."""

    name = "chargebee"
    secret = "the webhook's Basic authentication: this is the password, the user is desireline"
    deadline = 20.0
    keeps_unreadable = True
    signs_body = False
    signs_time = False
    gives_properties = False

    def verify(
        self, request: WebhookRequest, body: bytes, secrets: Sequence[bytes], now: int
    ) -> None:
        refuse_unless_known(request, secrets)

    def messages(self, payload: Any, request: WebhookRequest) -> Iterable[SenderReport]:
        if not isinstance(payload, dict) or not as_text(payload.get("id")):
            raise RefusedError(400, "malformed", "not an event of Chargebee")
        return [_reported(payload)]

    def sign(self, request: WebhookRequest, secret: bytes, now: int) -> dict[str, str]:
        return credentials(secret)


SENDER = Chargebee()


def _reported(event: Mapping[str, Any]) -> SenderReport:
    content = as_object(event.get("content"))
    customer = as_object(content.get("customer"))
    found = as_object(content.get("subscription"))
    billing = customer.get("id") or _customer_of(content)
    group = found.get("cf_group_id") or customer.get("cf_group_id")
    accounts = (("group", group), ("cus", billing))
    return SenderReport(
        id=str(event["id"]),
        call=as_text(event.get("event_type")) or "",
        event=None,
        message=event,
        occurred_at=_occurred_at(event.get("occurred_at"), content),
        aliases=[
            (AliasType.USER, found.get("cf_user_id") or customer.get("cf_user_id")),
            (AliasType.BILLING, billing),
            (AliasType.EMAIL, customer.get("email")),
        ],
        # Who pays for an account owns it.
        accounts=[
            (f"{key}:{value}", AccountRole.OWNER)
            for key, value in accounts
            if isinstance(value, str) and value
        ],
        person_traits={name: customer.get(name) for name in ("email", "first_name", "last_name")},
    )


def _customer_of(content: Mapping[str, Any]) -> str | None:
    """Of events that do not carry the customer."""
    parts = (as_object(content.get(name)) for name in ("subscription", "invoice", "transaction"))
    return next((found for part in parts if (found := as_text(part.get("customer_id")))), None)


def _occurred_at(occurred_at: object, content: Mapping[str, Any]) -> int | None:
    """The second that the event names, made exact by the version of what it changed. A version of
    another time belongs to another change."""
    second = epoch_seconds(occurred_at)
    if second is None:
        return None
    versions = (as_object(part).get("resource_version") for part in content.values())
    exact = [
        version
        for version in versions
        if isinstance(version, int) and second <= version < second + SAME_CHANGE_MS
    ]
    return max(exact, default=second)
