"""Paddle Billing's notifications.

Signature: `Paddle-Signature: ts=…;h1=…[;h1=…]`, hex HMAC-SHA256 of `ts:body`; several h1 while a
secret rotates. Written here rather than taken from Paddle's library: that is a client of its whole
API, and reads a clock of its own.

Age: the library allows 5 seconds, which a cold start, a gateway's queue or two clocks use up. And
users report that a repeat, of which there are up to 60 in three days, carries the time of the first
attempt. So a signature may be three days old and, as everyone's, five minutes ahead. What a
captured request is good for in these three days is nothing: its event id is the same, and
deduplication remembers longer. docs/adr/0013-how-old-a-signature-may-be.md

Events come in any order; their own `occurred_at` is what counts.

Set up under Developer tools, Notifications: customer created, payment method saved, transaction
ready, paid, completed and payment failed, subscription activated and canceled, adjustment created
and updated. `user_id` and `group_id` in the custom data of a checkout name the company's own user
and account. An updated subscription does not say what it was before, so upgrades and downgrades
cannot be told.
https://developer.paddle.com/webhooks/about/signature-verification
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from desireline.errors import RefusedError
from desireline.events import AccountRole, AliasType
from desireline.receive.mapping.times import epoch_ms
from desireline.receive.request import WebhookRequest
from desireline.receive.senders._timed import TimedFields
from desireline.receive.senders.sender import SenderReport, as_object, as_text

SIGNATURE = "paddle-signature"
RETRIES_MS = 3 * 24 * 3_600_000


class Paddle(TimedFields):
    """See the module."""

    name = "paddle"
    secret = "the notification destination's secret key: Developer tools, Notifications"
    deadline = 5.0
    keeps_unreadable = True
    kept_headers = (SIGNATURE,)
    in_header = SIGNATURE
    of_time, of_signature = "ts", "h1"
    between, joint = ";", b":"
    gives_properties = False
    oldest = RETRIES_MS

    def messages(self, payload: Any, request: WebhookRequest) -> Iterable[SenderReport]:
        if not isinstance(payload, dict) or not as_text(payload.get("event_id")):
            raise RefusedError(400, "malformed", "not an event of Paddle Billing")
        return [_reported(payload)]


SENDER = Paddle()


def _reported(event: Mapping[str, Any]) -> SenderReport:
    data = as_object(event.get("data"))
    given = as_object(data.get("custom_data"))
    kind = as_text(event.get("event_type")) or ""
    is_customer = kind.startswith("customer.")
    customer = data.get("id") if is_customer else data.get("customer_id")
    email = data.get("email") if is_customer else None
    accounts = (("group", given.get("group_id")), ("cus", customer))
    return SenderReport(
        id=str(event["event_id"]),
        call=kind,
        event=None,
        message=event,
        occurred_at=epoch_ms(event.get("occurred_at")),
        aliases=[
            (AliasType.USER, given.get("user_id")),
            (AliasType.BILLING, customer),
            (AliasType.EMAIL, email),
        ],
        # Who pays for an account owns it.
        accounts=[
            (f"{key}:{value}", AccountRole.OWNER)
            for key, value in accounts
            if isinstance(value, str) and value
        ],
        person_traits={"email": email, "name": data.get("name")} if is_customer else {},
    )
