"""What the company's own site and servers send: the HTTP API that Segment's libraries speak.

`POST /v1/{identify,track,page,screen,group,alias,batch}`, and the short forms that analytics.js
uses (`/v1/t`, `/v1/b`, …). The write key is the user name of Basic auth (server libraries) or
`writeKey` in the body (browsers, whose content type is text/plain so that they need not ask first).
https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/

Times are taken as the caller gives them: Segment corrects `timestamp` by `sentAt` and the time of
arrival, which would give each delivery of an event another time. docs/http_api.md says more.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from desireline.errors import RefusedError
from desireline.receive.request import WebhookRequest
from desireline.receive.senders.segment import SENDER as SEGMENT
from desireline.receive.senders.segment import calls, reported
from desireline.receive.senders.sender import (
    Sender,
    SenderReport,
    as_object,
    as_text,
    content_id,
)
from desireline.receive.write_keys import WriteKey, matching, without_keys, write_keys

CALLS = {
    **{"identify": "identify", "track": "track", "page": "page", "screen": "screen"},
    **{"group": "group", "alias": "alias", "batch": "batch", "import": "batch"},
    **{"i": "identify", "t": "track", "p": "page", "s": "screen"},
    **{"g": "group", "a": "alias", "b": "batch"},
    "": "",
}
"""By the last part of the path. Without one the body tells: a batch, or a call with its type."""

ORIGIN = "origin"


class Direct(Sender):
    """See the module."""

    name = "direct"
    secret = "write keys of sites and servers: the JSON of docs/http_api.md, or one server's key"
    mapped_as = "segment"
    kept_headers = (ORIGIN,)
    signs_body = False
    signs_time = False

    def verify(
        self, request: WebhookRequest, body: bytes, secrets: Sequence[bytes], now: int
    ) -> str:
        """Returns the name of the key."""
        if request.call not in CALLS:
            raise RefusedError(404, "unknown_call", "see docs/http_api.md for the calls")
        payload = None
        given = _basic(request.headers.get("authorization", ""))
        if given is None:
            payload = self.parse(body)
            given = as_text(as_object(payload).get("writeKey"))
        if not given:
            raise RefusedError(401, "unsigned", "no write key: Basic auth, or writeKey in the body")
        key = matching(given, secrets)
        if key is None:
            raise RefusedError(401, "forged", "no such write key")
        key.admit(request.headers.get(ORIGIN), len(body))
        if key.restricted:
            key.allow(_messages(self.parse(body) if payload is None else payload, request))
        return key.name

    def messages(self, payload: Any, request: WebhookRequest) -> Iterable[SenderReport]:
        found = map(reported, _messages(payload, request))
        return (_seen(one, request) for one in found) if ORIGIN in request.headers else found

    def without(self, payload: Any, places: Container[int], count: int) -> Any:
        """Of what a batch shares the account stays: it is of all of them, and an event without its
        account would be counted once more when it is mapped again."""
        left = SEGMENT.without(payload, places, count)
        account = as_object(as_object(payload).get("context")).get("groupId")
        return {**left, "context": {"groupId": account}} if account and left else left

    def kept(self, request: WebhookRequest, body: bytes) -> bytes:
        return without_keys(body)

    def sign(self, request: WebhookRequest, secret: bytes, now: int) -> dict[str, str]:
        key = next((one for one in write_keys(secret) if one.kind == "server"), None)
        return {"authorization": basic(key)} if key else {}


SENDER = Direct()


def basic(key: WriteKey) -> str:
    """The header Authorization of a server's library."""
    return f"Basic {base64.b64encode(f'{key.key}:'.encode()).decode()}"


def _basic(header: str) -> str | None:
    """The user name in Basic auth; None without such a header."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(value.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
    return decoded.partition(":")[0]


def _messages(payload: Any, request: WebhookRequest) -> list[Mapping[str, Any]]:
    """The calls, each with its type and an id that a repeated delivery shares.

    Raises RefusedError (400, 413)."""
    call = CALLS[request.call]
    if call in ("batch", ""):
        batch = calls(payload)
        shared = (
            as_object(as_object(payload).get("context")) if "batch" in as_object(payload) else None
        )
        return [_whole(message, "", shared) for message in batch]
    if not isinstance(payload, dict):
        raise RefusedError(400, "malformed", "not a call")
    return [_whole(payload, call, None)]


def _whole(given: Any, call: str, shared: Mapping[str, Any] | None) -> Mapping[str, Any]:
    message = as_object(given)
    if call and message.get("type") != call:
        message = {**message, "type": call}
    if not as_text(message.get("messageId")):
        # Its content is its id, and a repeated delivery differs in when it was sent. What the batch
        # shares is none of it: that goes where a suppressed person's call is taken out of the body.
        message = {k: v for k, v in message.items() if k not in ("sentAt", "writeKey")}
        message = {**message, "messageId": content_id(message)} if shared else message
    if shared:
        message = {**message, "context": {**shared, **as_object(message.get("context"))}}
    return message


def _seen(one: SenderReport, request: WebhookRequest) -> SenderReport:
    """What a browser does not tell of itself, its connection does."""
    if one.ip and one.user_agent:
        return one
    return one._replace(
        ip=one.ip or request.remote_address,
        user_agent=one.user_agent or request.headers.get("user-agent"),
    )
