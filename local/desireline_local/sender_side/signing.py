"""Sign webhooks as their senders do, for the demo, tests and `desireline send`."""

from __future__ import annotations

from collections.abc import Mapping

from desireline.receive.request import WebhookRequest
from desireline.receive.senders import load_senders

NONE: Mapping[str, str] = {}


def sign(
    source: str,
    body: bytes,
    secret: bytes,
    now: int,
    *,
    url: str = "",
    headers: Mapping[str, str] = NONE,
) -> dict[str, str]:
    """Return the headers that `source` sends with this body, `headers` included. now: wall time,
    epoch ms.

    Raises ValueError for an unknown source.
    """
    sender = load_senders([source])[source]
    sent = {"content-type": "application/json", **headers}
    request = WebhookRequest(source, sent, body, url=url)
    return {**sent, **sender.sign(request, secret, now)}
