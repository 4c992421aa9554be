"""Paddle Billing's notifications.

Signature: `Paddle-Signature: ts=…;h1=…[;h1=…]`, hex HMAC-SHA256 of `ts:body`, with several h1 while
a secret rotates. This module does not use Paddle's library, which is a client of the whole API and
reads its own clock.

Age: the library allows 5 seconds. A cold start, a gateway's queue or a clock difference takes
longer. Paddle repeats up to 60 times in three days, and users report that a repetition has the time
of the first attempt. So we accept signatures that are up to three days old, or five minutes ahead.
A captured request has no effect in these three days, because deduplication remembers its event id
for longer. docs/adr/0013-how-old-a-signature-may-be.md

Events come in any order. Their `occurred_at` counts.

Set up: in Developer tools, Notifications, select customer created, payment method saved;
transaction ready, paid, completed and payment failed; subscription activated and canceled;
adjustment created and updated. `user_id` and `group_id` in a checkout's custom data name the
company's own user and account. An updated subscription omits its earlier state, so the mapping
cannot distinguish upgrades and downgrades.
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
    """Paddle Billing. See the module."""

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
            raise RefusedError(400, "malformed", "the body must be an event of Paddle Billing")
        return [_to_report(payload)]


SENDER = Paddle()


def _to_report(event: Mapping[str, Any]) -> SenderReport:
    data = as_object(event.get("data"))
    custom = as_object(data.get("custom_data"))
    kind = as_text(event.get("event_type")) or ""
    is_customer = kind.startswith("customer.")
    customer = data.get("id") if is_customer else data.get("customer_id")
    email = data.get("email") if is_customer else None
    accounts = (("group", custom.get("group_id")), ("cus", customer))
    return SenderReport(
        id=str(event["event_id"]),
        call=kind,
        event=None,
        message=event,
        occurred_at=epoch_ms(event.get("occurred_at")),
        aliases=[
            (AliasType.USER, custom.get("user_id")),
            (AliasType.BILLING, customer),
            (AliasType.EMAIL, email),
        ],
        # The person who pays for an account owns it.
        accounts=[
            (f"{key}:{value}", AccountRole.OWNER)
            for key, value in accounts
            if isinstance(value, str) and value
        ],
        person_traits={"email": email, "name": data.get("name")} if is_customer else {},
    )
