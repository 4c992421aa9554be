"""Render docs/senders.md from the senders' modules."""

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
    "Every sender gets the same answers, unless its section says otherwise:",
    "\n".join(
        [
            "- **200** once the raw body, its events and its quarantined events are in Kafka, "
            "acknowledged by all in-sync replicas. The answer's body counts the accepted and "
            "quarantined events. If there are any, it also counts the ignored ones (the plan "
            "ignores them) and the withheld ones (their person is suppressed). A HEAD request "
            "gets 200 too.",
            "- **4xx** with a reason for a refused body: 401 `unsigned` or `forged`, 400 "
            "`stale` or `malformed`, 404 `unknown_sender`, 413 `too_large`, 415 "
            "`unknown_encoding`. A refused body is not stored.",
            "- **429** above the gateway's rate for the route, and with `Retry-After` above the "
            "limit of events that the deployment sets for the sender.",
            "- **503** with `Retry-After` while Kafka does not answer, always before the sender's "
            "time-out.",
        ]
    ),
    "Some senders never correct a body, and stop after too many refusals. For these a signed body "
    "in the wrong form is stored, quarantined as `malformed` and answered with 200.",
)


def senders_page() -> str:
    """Render the set-up of each sender, its signature, and the answers that it gets."""
    plan, senders = load_plan(), load_senders()
    rows = (
        (
            f"[{sender.name}](#{sender.name})",
            _signed(sender),
            f"{sender.deadline:g} s",
            "quarantined, 200" if sender.keeps_unreadable else "400",
            "identifies" if sender.mapped_as in plan.verified_email else "is a trait",
        )
        for sender in senders.values()
    )
    header = ("sender", "signature covers", "time-out", "unreadable body", "email address")
    return "\n\n".join(
        [
            "# Senders",
            "Rendered from the senders' modules by `make docs`. A sender posts to "
            "`/webhooks/<sender>`. Its secret is in Secrets Manager at `<deployment>/<sender>`: "
            "store the sender's secret there, or give the sender the stored one. While a secret "
            "rotates, the current and the previous version are accepted. "
            f"A signed time may differ by {TOLERANCE_MS // 60_000} minutes, unless the table "
            "says otherwise. "
            "`desireline send <sender> --sample` sends its samples to the local cloud. "
            "[adding_a_sender.md](adding_a_sender.md) describes how to add a sender.",
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
    names = Counter(mapping.becomes for mapping in mapped.mappings) if mapped else Counter[str]()
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
