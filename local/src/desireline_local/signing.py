"""Signs webhooks as their senders do: for the demo, tests and `desireline send`."""

from __future__ import annotations

import orjson

from desireline.receive.senders import segment, stripe

BATCH = b'{"batch":['


def sign(source: str, body: bytes, secret: bytes, now: int) -> dict[str, str]:
    """The headers that `source` would send with this body; now: wall time, epoch ms.

    Raises ValueError for a source whose scheme is not known.
    """
    headers = {"content-type": "application/json"}
    match source:
        case "segment" if body.startswith(BATCH):
            first = orjson.dumps(orjson.loads(body)["batch"][0])
            headers[segment.SIGNATURE] = segment.signature(secret, first)
            headers[segment.BATCH_KEY] = segment.batch_key(secret)
        case "segment":
            headers[segment.SIGNATURE] = segment.signature(secret, body)
        case "stripe":
            headers[stripe.SIGNATURE] = stripe.signature(secret, body, now // 1000)
        case _:
            raise ValueError(f"cannot sign as {source!r}: known are segment and stripe")
    return headers
