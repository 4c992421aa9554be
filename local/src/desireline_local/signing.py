"""Signs webhooks as their senders do: for the demo, tests and `desireline send`."""

from __future__ import annotations

from desireline.receive.request import WebhookRequest
from desireline.receive.senders import known


def sign(source: str, body: bytes, secret: bytes, now: int, url: str = "") -> dict[str, str]:
    """The headers that `source` would send with this body; now: wall time, epoch ms.

    Raises ValueError for a source whose scheme is not known.
    """
    sender = known([source])[source]
    request = WebhookRequest(source, {}, body, url=url)
    return {"content-type": "application/json", **sender.sign(request, secret, now)}
