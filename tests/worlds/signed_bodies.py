"""Signed bodies of every sender, and values to change in them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from desireline.errors import RefusedError
from desireline.receive.request import WebhookRequest
from desireline.receive.senders import load_senders
from desireline_local.sender_side.samples import CALLED, Sample
from desireline_local.sender_side.signing import sign
from tests.worlds.receiving import NOW, SECRET

SENDERS = load_senders()


ODD = st.sampled_from(
    ["", "0", "null", "\u0000", "\ud7ff", "a" * 5_000, "²", "1e999", "2026-13-40T99:99:99Z", -1]
    + [2**53 + 1, 10**18, 1e308, True, None, [], {}, [[]], {"": {}}]
)


JSON = st.recursive(
    ODD | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)


def sent(name: str, sample: Sample, body: bytes) -> WebhookRequest:
    url = sample.call_url or f"{CALLED}{name}"
    theirs = {header.lower(): value for header, value in sample.headers.items()}
    try:
        headers = sign(name, body, SECRET, NOW, url=url, headers=theirs)
    except RefusedError:
        # Segment signs the first event of a batch, and an empty one has none.
        headers = theirs
    return WebhookRequest(name, headers, body, url=url)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every place in a document: a container and a key or an index of it."""
    if isinstance(value, dict):
        pairs: list[tuple[Any, Any]] = list(value.items())
    elif isinstance(value, list):
        pairs = list(enumerate(value))
    else:
        return []
    found = [(value, key) for key, _ in pairs]
    return found + [place for _, inner in pairs for place in places(inner)]
