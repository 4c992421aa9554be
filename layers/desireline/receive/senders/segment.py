"""Segment's webhook destination: identify, track, page, screen, group, alias; singly, in batches.

Signature: `X-Signature`, hex HMAC-SHA1 of the raw body with the shared secret. In a batch only the
first event is covered by Segment's own signature, so a batch must also carry a key derived from
the secret in the header `X-Desireline-Key` (a custom header of the destination). There is no
timestamp in the signature: deduplication by messageId is what a replay meets.
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
    """What the header X-Desireline-Key has to hold for batches."""
    return hmac.new(secret, b"desireline batch key", hashlib.sha256).hexdigest()


def signature(secret: bytes, body: bytes) -> str:
    """Segment's X-Signature of a body."""
    return hmac.new(secret, body, hashlib.sha1).hexdigest()


class Segment(Sender):
    """See the module."""

    name = "segment"
    secret = "the destination's shared secret: the key of X-Signature"
    kept_headers = (SIGNATURE,)
    signs_time = False

    def verify(
        self, request: WebhookRequest, body: bytes, secrets: Sequence[bytes], now: int
    ) -> None:
        given = request.headers.get(SIGNATURE, "")
        if not given:
            raise RefusedError(401, "unsigned", "X-Signature is missing")
        signed = signed_part(body)
        if not equals_any(given.lower(), [signature(secret, signed) for secret in secrets]):
            raise RefusedError(401, "forged", "X-Signature does not match")
        if signed is not body:
            key = request.headers.get(BATCH_KEY, "")
            if not equals_any(key, [batch_key(secret) for secret in secrets]):
                raise RefusedError(
                    401, "batch_key", "a batch needs the header X-Desireline-Key: see the README"
                )

    def messages(self, payload: Any, request: WebhookRequest) -> Iterable[SenderReport]:
        return map(reported, calls(payload))

    def without(self, payload: Any, places: Container[int], count: int) -> Any:
        """What a batch shares may be of any of its persons, and goes too."""
        if isinstance(payload, dict) and isinstance(payload.get("batch"), list):
            return {"batch": super().without(payload["batch"], places, count)}
        return super().without(payload, places, count)

    def sign(self, request: WebhookRequest, secret: bytes, now: int) -> dict[str, str]:
        signed = signed_part(request.body)
        headers = {SIGNATURE: signature(secret, signed)}
        return headers if signed is request.body else headers | {BATCH_KEY: batch_key(secret)}


SENDER = Segment()


def calls(payload: Any) -> list[Any]:
    """The calls of a body, single or batch. Raises RefusedError (400, 413)."""
    batch = payload.get("batch") if isinstance(payload, dict) else payload
    if batch is None:
        batch = [payload]
    if not isinstance(batch, list):
        raise RefusedError(400, "malformed", "neither a call nor a batch of calls")
    if len(batch) > EVENTS_LIMIT:
        raise RefusedError(413, "too_many", f"more than {EVENTS_LIMIT} events")
    return batch


def signed_part(body: bytes) -> bytes:
    """What the signature covers: the body, or in a batch the bytes of its first event.

    Raises RefusedError (400) for a batch without one."""
    if not (batch := _BATCH.match(body)):
        return body
    try:
        rest = body[batch.end() :].decode()
        _, end = _FIRST.raw_decode(rest)
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, "malformed", "no first event in the batch") from error
    return rest[:end].encode()


def reported(message: Any) -> SenderReport:
    """One call, taken apart. Written out rather than in parts: it runs for every event."""
    if type(message) is not dict:
        message = NOTHING
    context = message.get("context")
    if type(context) is not dict:
        context = NOTHING
    call = message.get("type")
    given = message.get("properties")
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
            # Only an anonymous id may be joined: of two user ids each stays who it is.
            (AliasType.ANONYMOUS, message.get("previousId") if call == "alias" else None),
        ),
        _accounts(message, context, account, grouped=grouped),
        given if type(given) is dict else NOTHING,
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
    """The person's, the account's, and the email address. A call's own traits win over those that
    the library remembers."""
    given, remembered = message.get("traits"), context.get("traits")
    if not given and not remembered:
        return NOTHING, NOTHING, None
    given, remembered = as_object(given), as_object(remembered)
    if grouped:
        return NOTHING, given, None
    person = {**remembered, **given} if remembered else given
    return person, NOTHING, given.get("email") or remembered.get("email")


def _accounts(
    message: Mapping[str, Any],
    context: Mapping[str, Any],
    traits: Mapping[str, Any],
    *,
    grouped: bool,
) -> Sequence[tuple[str, AccountRole]]:
    """A group call tells the role; elsewhere an account is a mention, unless the plan says that
    the event is an owner's."""
    if grouped:
        group = message.get("groupId")
        role = AccountRole.OWNER if traits.get("role") == "owner" else AccountRole.MEMBER
    else:
        group, role = context.get("groupId"), AccountRole.MENTION
    return ((f"group:{group}", role),) if group and isinstance(group, (str, int)) else ()
