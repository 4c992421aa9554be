"""Make the record of webhooks.raw from a raw body, without the withheld messages."""

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
    kept_headers: Container[str],
    withheld: int = 0,
) -> Outgoing:
    """Make the record of a raw body. body: the bytes to store. kept_headers: the headers to store.
    withheld: the number of messages removed from the body. If there are any, the record omits the
    remote address, which may be a withheld person's.

    Raises RefusedError (413) if the body is too large to store."""
    stored, encoding = packed(body)
    # This dictionary equals an encoded `RawWebhook`. Building the model costs more than all else.
    message: dict[str, Any] = {
        "id": arrival.raw_id,
        "source": request.source,
        "received_at": arrival.received_at,
        "headers": {name: value for name, value in request.headers.items() if name in kept_headers},
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
    """Write a body without its withheld messages. withheld: their positions. count: all messages.

    Returns an empty body if all messages are withheld, if the sender cannot separate its messages,
    or if the rest cannot be encoded."""
    if all(position in withheld for position in range(count)):
        return b""
    left = sender.without(payload, withheld, count)
    try:
        return b"" if left is None else sender.stored_body(request, orjson.dumps(left))
    except orjson.JSONEncodeError:
        # orjson reads deeper nesting than it writes.
        return b""
