"""Mixpanel's raw event export: lines of JSON that pull_exports fetches and posts to us, signed.

Mixpanel sends no single events. What the export API gives is posted as it came, so that raw body,
quarantine, repair and replay are those of any sender.
https://docs.mixpanel.com/reference/raw-event-export

Time. `time` is in seconds and counts as if the project's local time were UTC, so the zone of the
project travels in a header; with it the mapping is a function of headers and body alone.

Identity. Aliases are what the event itself said when it was tracked: `$user_id`, `$device_id`. An
event's `distinct_id` changes when Mixpanel learns later whose it is, so it only counts where the
event has neither, and then as it was before (`$distinct_id_before_identity`). Else an event pulled
again after a merge would have another fragment, and be counted again.
https://docs.mixpanel.com/docs/tracking-methods/id-management

Identifiers of events. Mixpanel takes events of one name, time, distinct_id and `$insert_id` for
one; the export holds repeats all the same. Ours is made of name, time and `$insert_id`, without
the distinct_id, which changes.
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
"""The call of a line that is no event; nothing maps it, so it is quarantined."""

_CHANGES = frozenset({"distinct_id", "$distinct_id_before_identity"})

# What SDKs make up for a device: a UUID, or the older cookie's six groups of hexadecimal digits.
_MADE_UP = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}|([0-9a-f]+-){4}[0-9a-f]+", re.I)

Aliases = Sequence[tuple[AliasType, object]]


class MixpanelExport(Sender):
    """See the module."""

    name = "mixpanel_export"
    secret = "what pull_exports signs with; made up by the deployment, told to nobody"
    deadline = 10.0
    kept_headers = (TIME_ZONE, ACCOUNT_PROPERTY)

    def verify(
        self, request: WebhookRequest, body: bytes, secrets: Sequence[bytes], now: int
    ) -> None:
        given, stamp = request.headers.get(SIGNATURE, ""), request.headers.get(TIMESTAMP, "")
        if not given or not stamp.isascii() or not stamp.isdigit() or len(stamp) > 15:
            raise RefusedError(401, "unsigned", f"{SIGNATURE} or {TIMESTAMP} is missing")
        expected = [_signature(secret, stamp, request.headers, body) for secret in secrets]
        if not equals_any(given.lower(), expected):
            raise RefusedError(401, "forged", f"{SIGNATURE} does not match")
        refuse_unless_fresh(int(stamp), now)

    def parse(self, body: bytes) -> Any:
        """The lines, each parsed; None for one that is no JSON. A list in one line is what is left
        of a raw body from which something was withheld."""
        lines = [line for line in body.split(b"\n") if line.strip()]
        if len(lines) == 1 and isinstance(left := _parsed(lines[0]), list):
            return left
        if not lines:
            raise RefusedError(400, "malformed", "no line")
        if len(lines) > LINES_LIMIT:
            raise RefusedError(413, "too_many", f"more than {LINES_LIMIT} lines")
        return [_parsed(line) for line in lines]

    def messages(self, payload: Any, request: WebhookRequest) -> Iterable[SenderReport]:
        zone = _zone(request.headers.get(TIME_ZONE, "UTC"))
        account = request.headers.get(ACCOUNT_PROPERTY, "")
        return [reported(event, zone=zone, account_property=account) for event in payload]

    def sign(self, request: WebhookRequest, secret: bytes, now: int) -> dict[str, str]:
        stamp = str(now)
        return {
            TIMESTAMP: stamp,
            SIGNATURE: _signature(secret, stamp, request.headers, request.body),
        }


SENDER = MixpanelExport()


def reported(message: Any, *, zone: ZoneInfo, account_property: str = "") -> SenderReport:
    """One event of the export, taken apart.

    zone: the project's. account_property: the property that holds the key of a company, as the
    project's group analytics has it; empty if it has none."""
    message = as_object(message)
    given = as_object(message.get("properties"))
    name = as_text(message.get("event"))
    group = given.get(account_property) if account_property else None
    if isinstance(group, list):
        group = group[0] if group else None
    return SenderReport(
        id=_id(name, given, message),
        call="event" if name else UNREADABLE,
        event=name,
        message=message,
        occurred_at=_utc(given.get("time"), zone),
        aliases=_aliases(name, given),
        accounts=(
            ((f"group:{group}", AccountRole.MENTION),)
            if group and isinstance(group, (str, int)) and not isinstance(group, bool)
            else ()
        ),
        properties=given,
        ip=as_text(given.get("ip")),
        context={"path": given.get("current_url_path"), "timezone": given.get("$timezone")},
    )


def _signature(secret: bytes, stamp: str, headers: Mapping[str, str], body: bytes) -> str:
    """Over the time, what decides the mapping besides the body, and the body."""
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
        raise RefusedError(400, "malformed", f"no time zone: {name[:50]}") from error


def _utc(seconds: object, zone: ZoneInfo) -> int | None:
    """Epoch ms of a local time that was written as if it were UTC; None where there is none.

    Of an hour that occurs twice it is the first one."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        return None
    try:
        local = datetime.fromtimestamp(seconds, UTC)
        moment = round(local.replace(tzinfo=zone).timestamp() * 1000)
    except (OverflowError, ValueError, OSError):
        return None
    return moment if moment >= EARLIEST else None


def _id(name: str | None, given: Mapping[str, Any], message: Mapping[str, Any]) -> str:
    """An event without `$insert_id` is known by its content, without what Mixpanel adds and
    changes."""
    if insert_id := as_text(given.get("$insert_id")):
        return f"{name}|{given.get('time')}|{insert_id}"
    kept = {k: v for k, v in given.items() if not k.startswith("mp_") and k not in _CHANGES}
    try:
        written = orjson.dumps(
            {**message, "properties": kept, "who": _before_identity(given)},
            option=orjson.OPT_SORT_KEYS,
        )
    except (orjson.JSONEncodeError, RecursionError):
        written = repr(message).encode(errors="replace")
    return hashlib.sha256(written).hexdigest()


def _before_identity(given: Mapping[str, Any]) -> object:
    return given.get("$distinct_id_before_identity") or given.get("distinct_id")


def _aliases(name: str | None, given: Mapping[str, Any]) -> Aliases:
    """What the event itself says of whose it is, strongest first."""
    user, device = given.get("$user_id"), given.get("$device_id")
    match name:
        case "$identify":
            user = user or given.get("$identified_id")
            device = device or given.get("$anon_id")
        case "$create_alias":
            return (typed(given.get("alias")), typed(_before_identity(given)))
        case "$merge":
            both = given.get("$distinct_ids")
            return tuple(map(typed, both[:2])) if isinstance(both, list) else ()
    if user or device:
        return ((AliasType.USER, user), (AliasType.ANONYMOUS, _bare(device)))
    return (typed(_before_identity(given)),)


def typed(distinct_id: object) -> tuple[AliasType, object]:
    """A bare distinct_id: a device's if it says so or looks made up, else a user's."""
    if isinstance(distinct_id, str) and (
        distinct_id.startswith(DEVICE) or _MADE_UP.fullmatch(distinct_id)
    ):
        return AliasType.ANONYMOUS, _bare(distinct_id)
    return AliasType.USER, distinct_id


def _bare(device: object) -> object:
    return device.removeprefix(DEVICE) if isinstance(device, str) else device
