"""Segment's webhook destination: identify, track, page, screen, group and alias, or batches.

Signature: `X-Signature`, hex HMAC-SHA1 of the raw body with the shared secret. In a batch, Segment
signs only the first event. So a batch must also carry a key in the header `X-Desireline-Key`, a
custom header of the destination. The key is derived from the secret. No time is signed, so only
deduplication by messageId stops a replay.
https://segment.com/docs/connections/destinations/catalog/webhooks/
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from desireline.contracts import EVENTS_LIMIT
from desireline.errors import RefusedError
from desireline.events import AccountRole, AliasType
from desireline.receive.mapping.times import epoch_ms
from desireline.receive.request import WebhookRequest
from desireline.receive.senders.sender import (
    NOTHING,
    Sender,
    SenderReport,
    as_object,
    as_text,
    content_id,
    equals_any,
)

SIGNATURE = "x-signature"
BATCH_KEY = "x-desireline-key"

_BATCH = re.compile(rb'\s*(\{\s*"batch"\s*:\s*)?\[\s*')
_FIRST = json.JSONDecoder()


def batch_key(secret: bytes) -> str:
    """Return the value of the header X-Desireline-Key for batches."""
    return hmac.new(secret, b"desireline batch key", hashlib.sha256).hexdigest()


def signature(secret: bytes, body: bytes) -> str:
    """Return Segment's X-Signature of a body."""
    return hmac.new(secret, body, hashlib.sha1).hexdigest()


class Segment(Sender):
    """Segment. See the module."""

    name = "segment"
    secret = "the destination's shared secret: the key of X-Signature"
    kept_headers = (SIGNATURE,)
    signs_time = False

    def verify(
        self, request: WebhookRequest, body: bytes, secrets: Sequence[bytes], now: int
    ) -> None:
        value = request.headers.get(SIGNATURE, "")
        if not value:
            raise RefusedError(401, "unsigned", "X-Signature is missing")
        signed = signed_part(body)
        if not equals_any(value.lower(), [signature(secret, signed) for secret in secrets]):
            raise RefusedError(401, "forged", "X-Signature does not match")
        if signed is not body:
            key = request.headers.get(BATCH_KEY, "")
            if not equals_any(key, [batch_key(secret) for secret in secrets]):
                raise RefusedError(
                    401, "batch_key", "add the header X-Desireline-Key: docs/senders.md explains it"
                )

    def messages(self, payload: Any, request: WebhookRequest) -> Iterable[SenderReport]:
        return map(to_report, calls(payload))

    def without(self, payload: Any, positions: Container[int], count: int) -> Any:
        """Remove the messages at these positions, and the batch's shared context, which may be a
        withheld person's."""
        if isinstance(payload, dict) and isinstance(payload.get("batch"), list):
            return {"batch": super().without(payload["batch"], positions, count)}
        return super().without(payload, positions, count)

    def sign(self, request: WebhookRequest, secret: bytes, now: int) -> dict[str, str]:
        signed = signed_part(request.body)
        headers = {SIGNATURE: signature(secret, signed)}
        return headers if signed is request.body else headers | {BATCH_KEY: batch_key(secret)}


SENDER = Segment()


def calls(payload: Any) -> list[Any]:
    """Return the calls of a body, a single call or a batch. Raises RefusedError (400, 413)."""
    batch = payload.get("batch") if isinstance(payload, dict) else payload
    if batch is None:
        batch = [payload]
    if not isinstance(batch, list):
        raise RefusedError(400, "malformed", "the body must be a call or a batch of calls")
    if len(batch) > EVENTS_LIMIT:
        raise RefusedError(413, "too_many", f"more than {EVENTS_LIMIT} events")
    return batch


def signed_part(body: bytes) -> bytes:
    """Return the bytes that the signature covers: the body, or the first event of a batch.

    Raises RefusedError (400) for an empty or invalid batch."""
    if not (batch := _BATCH.match(body)):
        return body
    try:
        rest = body[batch.end() :].decode()
        _, end = _FIRST.raw_decode(rest)
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, "malformed", "the batch must begin with an event") from error
    return rest[:end].encode()


def to_report(message: Any) -> SenderReport:
    """Make the report of a call. It is one long function, because it runs for every event and
    function calls take time."""
    if type(message) is not dict:
        message = NOTHING
    context = message.get("context")
    if type(context) is not dict:
        context = NOTHING
    call = message.get("type")
    properties = message.get("properties")
    timestamp = message.get("timestamp")
    page, preferences = context.get("page"), context.get("consent")
    grouped = call == "group"
    person, account, email = _traits(message, context, grouped=grouped)
    return SenderReport(
        as_text(message.get("messageId")) or content_id(message),
        call if type(call) is str else "",
        as_text(message.get("event")) if call == "track" else None,
        message,
        (timestamp and epoch_ms(timestamp)) or epoch_ms(message.get("originalTimestamp")),
        (
            (AliasType.USER, message.get("userId")),
            (AliasType.EMAIL, email),
            (AliasType.ANONYMOUS, message.get("anonymousId")),
            # `previousId` counts only as an anonymous id, because user ids never merge.
            (AliasType.ANONYMOUS, message.get("previousId") if call == "alias" else None),
        ),
        _accounts(message, context, account, grouped=grouped),
        properties if type(properties) is dict else NOTHING,
        person,
        account,
        as_text(context.get("ip")),
        as_text(context.get("userAgent")),
        {
            "path": page.get("path") if type(page) is dict else None,
            "locale": context.get("locale"),
            "timezone": context.get("timezone"),
        },
        as_object(as_object(preferences).get("categoryPreferences")) if preferences else NOTHING,
    )


def _traits(
    message: Mapping[str, Any], context: Mapping[str, Any], *, grouped: bool
) -> tuple[Mapping[str, Any], Mapping[str, Any], object]:
    """Return the person's traits, the account's traits, and the email address.

    The library remembers a person's traits in the context. The call's own traits override them."""
    own, remembered = message.get("traits"), context.get("traits")
    if not own and not remembered:
        return NOTHING, NOTHING, None
    own, remembered = as_object(own), as_object(remembered)
    if grouped:
        return NOTHING, own, None
    person = {**remembered, **own} if remembered else own
    return person, NOTHING, own.get("email") or remembered.get("email")


def _accounts(
    message: Mapping[str, Any],
    context: Mapping[str, Any],
    traits: Mapping[str, Any],
    *,
    grouped: bool,
) -> Sequence[tuple[str, AccountRole]]:
    """Return the account of a call. A group call has the role of its person. In other calls the
    role is mention, which the plan's `owns_account` may change to owner."""
    if grouped:
        group = message.get("groupId")
        role = AccountRole.OWNER if traits.get("role") == "owner" else AccountRole.MEMBER
    else:
        group, role = context.get("groupId"), AccountRole.MENTION
    return ((f"group:{group}", role),) if group and isinstance(group, (str, int)) else ()
