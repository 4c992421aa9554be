"""The HTTP API for the company's own sites and servers, compatible with Segment's libraries.

The paths are `POST /v1/{identify,track,page,screen,group,alias,batch}`, and the short forms of
analytics.js (`/v1/t`, `/v1/b`, …). Server libraries send the write key as the user name of Basic
authentication. Browsers send it as `writeKey` in the body, with content type text/plain to avoid a
preflight request.
https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/

This sender uses the caller's times as they are. Segment corrects `timestamp` by `sentAt` and the
time of arrival, so that each delivery of an event would have another time. docs/http_api.md has the
details.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from desireline.errors import RefusedError
from desireline.receive.request import WebhookRequest
from desireline.receive.senders.segment import SENDER as SEGMENT
from desireline.receive.senders.segment import calls, to_report
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
"""The call by the last part of the path. Without such a part, the body is a batch or has a type."""

ORIGIN = "origin"


class Direct(Sender):
    """The company's own sites and servers. See the module."""

    name = "direct"
    secret = "write keys of sites and servers: the JSON of docs/http_api.md, or one server's key"
    mapped_as = "segment"
    kept_headers = (ORIGIN,)
    signs_body = False
    signs_time = False

    def verify(
        self, request: WebhookRequest, body: bytes, secrets: Sequence[bytes], now: int
    ) -> str:
        """Check the write key and its limits. Returns the key's name.

        Raises RefusedError: 401, 403, 404, 413, or 400 for a body that is not JSON."""
        if request.call not in CALLS:
            raise RefusedError(404, "unknown_call", "docs/http_api.md lists the calls")
        payload = None
        value = _basic(request.headers.get("authorization", ""))
        if value is None:
            payload = self.parse(body)
            value = as_text(as_object(payload).get("writeKey"))
        if not value:
            raise RefusedError(
                401, "unsigned", "send a write key: Basic auth, or writeKey in the body"
            )
        key = matching(value, secrets)
        if key is None:
            raise RefusedError(401, "forged", "the write key is not valid")
        key.admit(request.headers.get(ORIGIN), len(body))
        if key.restricted:
            key.allow(_messages(self.parse(body) if payload is None else payload, request))
        return key.name

    def messages(self, payload: Any, request: WebhookRequest) -> Iterable[SenderReport]:
        reports = map(to_report, _messages(payload, request))
        if ORIGIN not in request.headers:
            return reports
        return (_with_connection(report, request) for report in reports)

    def without(self, payload: Any, positions: Container[int], count: int) -> Any:
        """Remove the messages at these positions, and the batch's context except its account.

        A replay would count an event without its account a second time."""
        left = SEGMENT.without(payload, positions, count)
        account = as_object(as_object(payload).get("context")).get("groupId")
        return {**left, "context": {"groupId": account}} if account and left else left

    def stored_body(self, request: WebhookRequest, body: bytes) -> bytes:
        return without_keys(body)

    def sign(self, request: WebhookRequest, secret: bytes, now: int) -> dict[str, str]:
        key = next((key for key in write_keys(secret) if key.kind == "server"), None)
        return {"authorization": basic(key)} if key else {}


SENDER = Direct()


def basic(key: WriteKey) -> str:
    """Return the header Authorization that a server's library sends."""
    return f"Basic {base64.b64encode(f'{key.key}:'.encode()).decode()}"


def _basic(header: str) -> str | None:
    """Return the user name in a header of Basic authentication; None for other headers."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(value.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
    return decoded.partition(":")[0]


def _messages(payload: Any, request: WebhookRequest) -> list[Mapping[str, Any]]:
    """Return the calls of a body, each with its type and an id that is equal at each delivery.

    Raises RefusedError (400, 413)."""
    call = CALLS[request.call]
    if call in ("batch", ""):
        batch = calls(payload)
        shared = (
            as_object(as_object(payload).get("context")) if "batch" in as_object(payload) else None
        )
        return [_whole(message, "", shared) for message in batch]
    if not isinstance(payload, dict):
        raise RefusedError(400, "malformed", "the body must be a call: a JSON object")
    return [_whole(payload, call, None)]


def _whole(item: Any, call: str, shared: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Complete a call. call: its type, from the path. shared: the context of its batch."""
    message = as_object(item)
    if call and message.get("type") != call:
        message = {**message, "type": call}
    if not as_text(message.get("messageId")):
        # The id is a hash of the content without `sentAt`, which differs at each delivery, and
        # without the batch's context, which `without` removes with a suppressed person's call.
        message = {k: v for k, v in message.items() if k not in ("sentAt", "writeKey")}
        message = {**message, "messageId": content_id(message)} if shared else message
    if shared:
        message = {**message, "context": {**shared, **as_object(message.get("context"))}}
    return message


def _with_connection(report: SenderReport, request: WebhookRequest) -> SenderReport:
    """Fill in a browser's missing address and user agent from its connection."""
    if report.ip and report.user_agent:
        return report
    return report._replace(
        ip=report.ip or request.remote_address,
        user_agent=report.user_agent or request.headers.get("user-agent"),
    )
