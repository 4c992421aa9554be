"""Segment's webhook destination: identify, track, page, screen, group; single and in batches.

Signature: `X-Signature`, hex HMAC-SHA1 of the raw body with the shared secret. In a batch only the
first event is covered by Segment's own signature, so a batch must also carry a key derived from
the secret in the header `X-Desireline-Key` (a custom header of the destination). There is no
timestamp in the signature: deduplication by messageId is what a replay meets.
https://segment.com/docs/connections/destinations/catalog/webhooks/
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from desireline.errors import RefusedError
from desireline.events import AccountRole, AliasType
from desireline.receive.request import WebhookRequest
from desireline.receive.senders.sender import NOTHING, Reported, equals_any, mapping, text
from desireline.receive.times import epoch_ms

BATCH_LIMIT = 4_000
SIGNATURE = "x-signature"
BATCH_KEY = "x-desireline-key"


def batch_key(secret: bytes) -> str:
    """What the header X-Desireline-Key has to hold for batches."""
    return hmac.new(secret, b"desireline batch key", hashlib.sha256).hexdigest()


def signature(secret: bytes, body: bytes) -> str:
    """Segment's X-Signature of a body."""
    return hmac.new(secret, body, hashlib.sha1).hexdigest()


class Segment:
    """See the module."""

    name = "segment"

    def verify(
        self, request: WebhookRequest, body: bytes, secrets: Sequence[bytes], now: int
    ) -> None:
        given = request.headers.get(SIGNATURE, "")
        if not given:
            raise RefusedError(401, "unsigned", "X-Signature is missing")
        signed = _signed_part(body)
        if not equals_any(given.lower(), [signature(secret, signed) for secret in secrets]):
            raise RefusedError(401, "forged", "X-Signature does not match")
        if signed is not body:
            key = request.headers.get(BATCH_KEY, "")
            if not equals_any(key, [batch_key(secret) for secret in secrets]):
                raise RefusedError(
                    401, "batch_key", "a batch needs the header X-Desireline-Key: see the README"
                )

    def messages(self, payload: Any) -> Iterator[Reported]:
        batch = payload.get("batch") if isinstance(payload, dict) else payload
        if batch is None:
            batch = [payload]
        if not isinstance(batch, list):
            raise RefusedError(400, "malformed", "neither a call nor a batch of calls")
        if len(batch) > BATCH_LIMIT:
            raise RefusedError(413, "too_many", f"more than {BATCH_LIMIT} events")
        return map(_reported, batch)


def _signed_part(body: bytes) -> bytes:
    """What the signature covers: the body, or in a batch its first event, as Segment writes it."""
    if not body.startswith((b"[", b'{"batch"')):
        return body
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RefusedError(400, "malformed", "not JSON") from error
    batch = payload.get("batch") if isinstance(payload, dict) else payload
    if not isinstance(batch, list) or not batch:
        raise RefusedError(400, "malformed", "an empty batch")
    return _written(batch[0])


def _reported(message: Any) -> Reported:
    message = mapping(message)
    context, traits = mapping(message.get("context")), mapping(message.get("traits"))
    call = text(message.get("type")) or ""
    occurred_at = epoch_ms(message.get("timestamp")) or epoch_ms(message.get("originalTimestamp"))
    grouped = call == "group"
    return Reported(
        id=text(message.get("messageId")) or _content_id(message),
        call=call,
        event=text(message.get("event")) if call == "track" else None,
        message=message,
        occurred_at=occurred_at,
        aliases=_aliases(message, context, traits, grouped=grouped),
        accounts=_accounts(message, context, traits, grouped=grouped),
        properties=mapping(message.get("properties")),
        person_traits=NOTHING if grouped else _person_traits(context, traits),
        account_traits=traits if grouped else NOTHING,
        ip=text(context.get("ip")),
        user_agent=text(context.get("userAgent")),
        context={
            "path": mapping(context.get("page")).get("path"),
            "locale": context.get("locale"),
            "timezone": context.get("timezone"),
        },
        consent=mapping(mapping(context.get("consent")).get("categoryPreferences")),
    )


def _person_traits(context: Mapping[str, Any], traits: Mapping[str, Any]) -> Mapping[str, Any]:
    """The call's own win over those that the library remembers."""
    remembered = mapping(context.get("traits"))
    return {**remembered, **traits} if remembered else traits


def _aliases(
    message: Mapping[str, Any],
    context: Mapping[str, Any],
    traits: Mapping[str, Any],
    *,
    grouped: bool,
) -> list[tuple[AliasType, object]]:
    email = None if grouped else traits.get("email") or mapping(context.get("traits")).get("email")
    return [
        (AliasType.USER, message.get("userId")),
        (AliasType.EMAIL, email),
        (AliasType.ANONYMOUS, message.get("anonymousId")),
    ]


def _accounts(
    message: Mapping[str, Any],
    context: Mapping[str, Any],
    traits: Mapping[str, Any],
    *,
    grouped: bool,
) -> list[tuple[str, AccountRole]]:
    """A group call tells the role; elsewhere an account is a mention, unless the plan says that
    the event is an owner's."""
    if grouped:
        group = message.get("groupId")
        role = AccountRole.OWNER if traits.get("role") == "owner" else AccountRole.MEMBER
    else:
        group, role = context.get("groupId"), AccountRole.MENTION
    return [(f"group:{group}", role)] if isinstance(group, str | int) and group else []


def _content_id(message: Mapping[str, Any]) -> str:
    """For a call without messageId: equal content is the same call."""
    return hashlib.sha256(_written(dict(message), orjson.OPT_SORT_KEYS)).hexdigest()


def _written(value: Any, option: int = 0) -> bytes:
    """As JSON. What orjson reads it does not always write: its nesting limits differ."""
    try:
        return orjson.dumps(value, option=option)
    except orjson.JSONEncodeError as error:
        raise RefusedError(400, "malformed", "nested too deeply") from error
