"""A raw body as its record in webhooks.raw, and what of it is kept."""

from __future__ import annotations

import base64
from collections.abc import Container
from typing import Any

import orjson

from desireline.contracts import Header, Topic
from desireline.receive.mapping.event_mapper import Arrival
from desireline.receive.request import WebhookRequest, packed
from desireline.receive.senders.sender import Sender
from desireline.records import Outgoing


def raw_record(
    request: WebhookRequest,
    arrival: Arrival,
    *,
    body: bytes,
    kept: Container[str],
    withheld: int = 0,
) -> Outgoing:
    """body: as it is stored. kept: the headers that stay. withheld: how many messages were taken
    out of it; the address goes with them, for it may be theirs.

    Raises RefusedError (413) for a body that cannot be stored."""
    stored, encoding = packed(body)
    # What `RawWebhook` would be written as; to build one costs more than all else here.
    message: dict[str, Any] = {
        "id": arrival.raw_id,
        "source": request.source,
        "received_at": arrival.received_at,
        "headers": {name: value for name, value in request.headers.items() if name in kept},
        "body": base64.b64encode(stored).decode(),
    }
    if request.remote_address is not None and not withheld:
        message["remote_address"] = request.remote_address
    if encoding:
        message["encoding"] = encoding
    message["stamped"] = arrival.stamped
    if request.call:
        message["call"] = request.call
    if withheld:
        message["withheld"] = withheld
    return Outgoing(
        Topic.WEBHOOKS_RAW,
        request.source,
        orjson.dumps(message),
        {Header.RAW_ID: arrival.raw_id.encode()},
    )


def without_withheld(
    sender: Sender,
    request: WebhookRequest,
    payload: Any,
    withheld: Container[int],
    count: int,
) -> bytes:
    """A body as it is kept without what was withheld; nothing where nothing else is in it, or what
    else is in it cannot be told apart or written again."""
    if all(place in withheld for place in range(count)):
        return b""
    left = sender.without(payload, withheld, count)
    try:
        return b"" if left is None else sender.kept(request, orjson.dumps(left))
    except orjson.JSONEncodeError:
        # What orjson reads it does not always write: its nesting limits differ.
        return b""
