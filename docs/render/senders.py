"""docs/senders.md, rendered from the senders' modules."""

from __future__ import annotations

import inspect
import sys
from collections import Counter

from desireline.plan.tracking_plan import TrackingPlan, load_plan
from desireline.receive.senders import load_senders
from desireline.receive.senders.sender import TOLERANCE_MS, Sender
from desireline_local.sender_side import samples
from docs.render.markdown import table

ANSWERS = (
    "Every sender is answered in the same way, unless its section says otherwise:",
    "\n".join(
        [
            "- **200** once the raw body, its events and what was set aside are in Kafka, "
            "acknowledged by all in-sync replicas; the body says how many were accepted, how many "
            "quarantined, and, where there are some, how many ignored (the plan says that they are "
            "no events) or withheld (their person is suppressed). A HEAD request is answered with "
            "200 too.",
            "- **4xx** with a reason for what cannot be taken: 401 `unsigned` or `forged`, 400 "
            "`stale` or `malformed`, 404 `unknown_sender`, 413 `too_large`, 415 "
            "`unknown_encoding`. Nothing is kept of it.",
            "- **429** above the gateway's rate for the route, and with `Retry-After` above the "
            "limit of events that the deployment sets for the sender.",
            "- **503** with `Retry-After` while Kafka cannot be reached, always before the "
            "sender's patience ends.",
        ]
    ),
    "Where a sender would not repair a body and counts our refusals until it stops, a body that "
    "is signed and yet not of its form is kept, set aside as `malformed` and answered with 200.",
)


def senders_page() -> str:
    """How to point each sender here, what it signs, and what it is answered."""
    plan, senders = load_plan(), load_senders()
    rows = (
        (
            f"[{sender.name}](#{sender.name})",
            _signed(sender),
            f"{sender.deadline:g} s",
            "set aside, 200" if sender.keeps_unreadable else "400",
            "identifies" if sender.mapped_as in plan.verified_email else "is a trait",
        )
        for sender in senders.values()
    )
    header = ("sender", "its signature covers", "waits", "an unreadable body", "an email address")
    return "\n\n".join(
        [
            "# Senders",
            "Rendered from the senders' modules by `make docs`. Each is at "
            "`POST /webhooks/<sender>`, and its secret in Secrets Manager at "
            "`<deployment>/<sender>`: store there what the sender issued, or tell the sender what "
            "is there. While a secret rotates, the current and the previous version are accepted. "
            f"A signed time may be {TOLERANCE_MS // 60_000} minutes off, either way, unless the "
            "table says otherwise. "
            "`desireline send <sender> --sample` plays it. How to add one is in "
            "[adding_a_sender.md](adding_a_sender.md).",
            *ANSWERS,
            table(header, rows),
            *(_section(sender, plan) for sender in senders.values()),
        ]
    )


def _signed(sender: Sender) -> str:
    covered = [
        *(["body"] if sender.signs_body else []),
        *([_time(sender)] if sender.signs_time else []),
    ]
    return ", ".join(covered) or "nothing: credentials"


def _time(sender: Sender) -> str:
    if sender.oldest == TOLERANCE_MS:
        return "time"
    return f"time (up to {sender.oldest / 86_400_000:g} days old)"


def _section(sender: Sender, plan: TrackingPlan) -> str:
    module = sys.modules[type(sender).__module__]
    mapped = plan.senders.get(sender.mapped_as)
    names = Counter(one.becomes for one in mapped.mappings) if mapped else Counter[str]()
    events = ", ".join(f"`{name}`" for name in sorted(names))
    return "\n\n".join(
        [
            f"## {sender.name}",
            inspect.cleandoc(module.__doc__ or ""),
            f"Secret: {sender.secret}.",
            f"Becomes: {events}.",
            f"Samples: {samples.load(sender.name).source_url}",
        ]
    )
