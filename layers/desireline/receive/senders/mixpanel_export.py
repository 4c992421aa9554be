"""Mixpanel's raw event export: lines of JSON that pull_exports downloads, signs and posts to us.

Mixpanel has no webhook for single events. pull_exports posts the export unchanged, so raw body,
quarantine, repair and replay work as for other senders.
https://docs.mixpanel.com/reference/raw-event-export

Time: `time` is in seconds, and writes the project's local time as if it were UTC. So a header holds
the project's time zone, and the mapping depends only on headers and body.

Identity: the aliases are `$user_id` and `$device_id`, as the event was tracked. Mixpanel changes an
event's `distinct_id` when it identifies the person later. So the `distinct_id` counts only if the
event has neither id, and then with its first value (`$distinct_id_before_identity`). Otherwise an
event pulled again after a merge would have another fragment, and count twice.
https://docs.mixpanel.com/docs/tracking-methods/id-management

Event ids: Mixpanel deduplicates events by name, time, distinct_id and `$insert_id`, but the export
contains repetitions. Our id uses name, time and `$insert_id`, without the changing distinct_id.
https://docs.mixpanel.com/reference/event-deduplication
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import orjson

from desireline.errors import RefusedError
from desireline.events import AccountRole, AliasType
from desireline.receive.mapping.times import EARLIEST
from desireline.receive.request import WebhookRequest
from desireline.receive.senders.sender import (
    Sender,
    SenderReport,
    as_object,
    as_text,
    equals_any,
    refuse_unless_fresh,
)

SIGNATURE = "x-desireline-signature"
TIMESTAMP = "x-desireline-timestamp"
TIME_ZONE = "x-desireline-time-zone"
ACCOUNT_PROPERTY = "x-desireline-account-property"
LINES_LIMIT = 4_000

DEVICE = "$device:"
UNREADABLE = "unreadable"
"""The call of a line without an event. No mapping has this call, so receive quarantines it."""

_CHANGES = frozenset({"distinct_id", "$distinct_id_before_identity"})

# SDKs generate a device's id: a UUID, or an older cookie's groups of hexadecimal digits.
_MADE_UP = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}|([0-9a-f]+-){4}[0-9a-f]+", re.I)

Aliases = Sequence[tuple[AliasType, object]]


class MixpanelExport(Sender):
    """Mixpanel's raw export. See the module."""

    name = "mixpanel_export"
    secret = "the key with which pull_exports signs; the deployment generates it"
    deadline = 10.0
    kept_headers = (TIME_ZONE, ACCOUNT_PROPERTY)

    def verify(
        self, request: WebhookRequest, body: bytes, secrets: Sequence[bytes], now: int
    ) -> None:
        signature, stamp = request.headers.get(SIGNATURE, ""), request.headers.get(TIMESTAMP, "")
        if not signature or not stamp.isascii() or not stamp.isdigit() or len(stamp) > 15:
            raise RefusedError(401, "unsigned", f"{SIGNATURE} or {TIMESTAMP} is missing")
        expected = [_signature(secret, stamp, request.headers, body) for secret in secrets]
        if not equals_any(signature.lower(), expected):
            raise RefusedError(401, "forged", f"{SIGNATURE} does not match")
        refuse_unless_fresh(int(stamp), now)

    def parse(self, body: bytes) -> Any:
        """Parse each line; None for an invalid one. A single line with a list is a stored body
        after `without` removed messages. Raises RefusedError (400, 413)."""
        lines = [line for line in body.split(b"\n") if line.strip()]
        if len(lines) == 1 and isinstance(left := _parsed(lines[0]), list):
            return left
        if not lines:
            raise RefusedError(400, "malformed", "the body must have at least one line")
        if len(lines) > LINES_LIMIT:
            raise RefusedError(413, "too_many", f"more than {LINES_LIMIT} lines")
        return [_parsed(line) for line in lines]

    def messages(self, payload: Any, request: WebhookRequest) -> Iterable[SenderReport]:
        zone = _zone(request.headers.get(TIME_ZONE, "UTC"))
        account = request.headers.get(ACCOUNT_PROPERTY, "")
        return [to_report(event, zone=zone, account_property=account) for event in payload]

    def sign(self, request: WebhookRequest, secret: bytes, now: int) -> dict[str, str]:
        stamp = str(now)
        return {
            TIMESTAMP: stamp,
            SIGNATURE: _signature(secret, stamp, request.headers, request.body),
        }


SENDER = MixpanelExport()


def to_report(message: Any, *, zone: ZoneInfo, account_property: str = "") -> SenderReport:
    """Make the report of an exported event. zone: the project's time zone.

    account_property: the property with a company's key, as in the project's group analytics; empty
    if there is none."""
    message = as_object(message)
    properties = as_object(message.get("properties"))
    name = as_text(message.get("event"))
    group = properties.get(account_property) if account_property else None
    if isinstance(group, list):
        group = group[0] if group else None
    return SenderReport(
        id=_id(name, properties, message),
        call="event" if name else UNREADABLE,
        event=name,
        message=message,
        occurred_at=_utc(properties.get("time"), zone),
        aliases=_aliases(name, properties),
        accounts=(
            ((f"group:{group}", AccountRole.MENTION),)
            if group and isinstance(group, (str, int)) and not isinstance(group, bool)
            else ()
        ),
        properties=properties,
        ip=as_text(properties.get("ip")),
        context={
            "path": properties.get("current_url_path"),
            "timezone": properties.get("$timezone"),
        },
    )


def _signature(secret: bytes, stamp: str, headers: Mapping[str, str], body: bytes) -> str:
    """Sign the time, the headers that affect the mapping, and the body."""
    signed = hmac.new(secret, digestmod=hashlib.sha256)
    for part in (stamp, headers.get(TIME_ZONE, ""), headers.get(ACCOUNT_PROPERTY, "")):
        signed.update(part.encode(errors="replace") + b"\n")
    signed.update(body)
    return signed.hexdigest()


def _parsed(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None


@lru_cache(maxsize=16)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise RefusedError(400, "malformed", f"unknown time zone {name[:50]}") from error


def _utc(seconds: object, zone: ZoneInfo) -> int | None:
    """Convert local seconds, written as if they were UTC, to epoch ms; None if they are invalid.

    An hour that occurs twice in autumn counts as its first occurrence."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        return None
    try:
        local = datetime.fromtimestamp(seconds, UTC)
        moment = round(local.replace(tzinfo=zone).timestamp() * 1000)
    except (OverflowError, ValueError, OSError):
        return None
    return moment if moment >= EARLIEST else None


def _id(name: str | None, properties: Mapping[str, Any], message: Mapping[str, Any]) -> str:
    """Return the event's id. Without `$insert_id` it is a hash of the content, except the
    properties that Mixpanel adds or changes."""
    if insert_id := as_text(properties.get("$insert_id")):
        return f"{name}|{properties.get('time')}|{insert_id}"
    stable = {k: v for k, v in properties.items() if not k.startswith("mp_") and k not in _CHANGES}
    try:
        written = orjson.dumps(
            {**message, "properties": stable, "who": _before_identity(properties)},
            option=orjson.OPT_SORT_KEYS,
        )
    except (orjson.JSONEncodeError, RecursionError):
        written = repr(message).encode(errors="replace")
    return hashlib.sha256(written).hexdigest()


def _before_identity(properties: Mapping[str, Any]) -> object:
    return properties.get("$distinct_id_before_identity") or properties.get("distinct_id")


def _aliases(name: str | None, properties: Mapping[str, Any]) -> Aliases:
    """Return the aliases that the event had when it was tracked, the strongest first."""
    user, device = properties.get("$user_id"), properties.get("$device_id")
    match name:
        case "$identify":
            user = user or properties.get("$identified_id")
            device = device or properties.get("$anon_id")
        case "$create_alias":
            return (typed(properties.get("alias")), typed(_before_identity(properties)))
        case "$merge":
            both = properties.get("$distinct_ids")
            return tuple(map(typed, both[:2])) if isinstance(both, list) else ()
    if user or device:
        return ((AliasType.USER, user), (AliasType.ANONYMOUS, _bare(device)))
    return (typed(_before_identity(properties)),)


def typed(distinct_id: object) -> tuple[AliasType, object]:
    """Return a distinct_id with its alias type: anonymous with a device's prefix or a generated
    form, else user."""
    if isinstance(distinct_id, str) and (
        distinct_id.startswith(DEVICE) or _MADE_UP.fullmatch(distinct_id)
    ):
        return AliasType.ANONYMOUS, _bare(distinct_id)
    return AliasType.USER, distinct_id


def _bare(device: object) -> object:
    return device.removeprefix(DEVICE) if isinstance(device, str) else device
