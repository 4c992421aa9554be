"""Chargebee's webhooks.

Signature: none. Chargebee supports Basic authentication, or a key in the address. We use Basic
authentication, because addresses appear in logs and traces. The user name is `desireline`, and the
password is the secret. No time is signed, so only deduplication by event id stops a replay.

Chargebee waits 20 seconds and repeats seven times in up to two days. Events come in any order, and
`occurred_at` has only seconds. The `resource_version` of the changed object, in milliseconds,
orders events of the same second.

Set up: in Settings, Webhooks, choose basic authentication. Select customer created; subscription
created, started, activated, renewed, cancelled and trial extended; payment source added; payment
succeeded, failed and refunded. The fields `cf_user_id` and `cf_group_id` of a customer or
subscription name the company's own user and account. A changed subscription omits its earlier
state, so the mapping cannot distinguish upgrades and downgrades.
https://apidocs.chargebee.com/docs/api/webhooks
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from desireline.errors import RefusedError
from desireline.events import AccountRole, AliasType
from desireline.receive.mapping.times import epoch_seconds
from desireline.receive.request import WebhookRequest
from desireline.receive.senders._basic import credentials, refuse_unless_authenticated
from desireline.receive.senders.sender import Sender, SenderReport, as_object, as_text

SAME_CHANGE_MS = 60_000
"""A version belongs to an event if it is at most this much later than the event's second."""


class Chargebee(Sender):
    """Chargebee. See the module."""

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
        refuse_unless_authenticated(request, secrets)

    def messages(self, payload: Any, request: WebhookRequest) -> Iterable[SenderReport]:
        if not isinstance(payload, dict) or not as_text(payload.get("id")):
            raise RefusedError(400, "malformed", "the body must be an event of Chargebee")
        return [_to_report(payload)]

    def sign(self, request: WebhookRequest, secret: bytes, now: int) -> dict[str, str]:
        return credentials(secret)


SENDER = Chargebee()


def _to_report(event: Mapping[str, Any]) -> SenderReport:
    content = as_object(event.get("content"))
    customer = as_object(content.get("customer"))
    subscription = as_object(content.get("subscription"))
    billing = customer.get("id") or _customer_of(content)
    group = subscription.get("cf_group_id") or customer.get("cf_group_id")
    accounts = (("group", group), ("cus", billing))
    return SenderReport(
        id=str(event["id"]),
        call=as_text(event.get("event_type")) or "",
        event=None,
        message=event,
        occurred_at=_occurred_at(event.get("occurred_at"), content),
        aliases=[
            (AliasType.USER, subscription.get("cf_user_id") or customer.get("cf_user_id")),
            (AliasType.BILLING, billing),
            (AliasType.EMAIL, customer.get("email")),
        ],
        # The person who pays for an account owns it.
        accounts=[
            (f"{key}:{value}", AccountRole.OWNER)
            for key, value in accounts
            if isinstance(value, str) and value
        ],
        person_traits={name: customer.get(name) for name in ("email", "first_name", "last_name")},
    )


def _customer_of(content: Mapping[str, Any]) -> str | None:
    """Return the customer id of an event that omits the customer."""
    parts = (as_object(content.get(name)) for name in ("subscription", "invoice", "transaction"))
    return next((number for part in parts if (number := as_text(part.get("customer_id")))), None)


def _occurred_at(occurred_at: object, content: Mapping[str, Any]) -> int | None:
    """Return the event's time in ms, from its second and the latest version of its objects.

    Versions more than `SAME_CHANGE_MS` later belong to other changes."""
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
