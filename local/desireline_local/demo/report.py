"""What a growth team wants to see of a replay, section by section."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from desireline.contracts import Topic
from desireline.rows import DecisionRow, JourneyRow
from desireline_local.demo.latency import Latency
from desireline_local.demo.run import Received, Run
from desireline_operate.warehouse.funnel import STEPS, Funnel

BAR = 30
SHOWN_ALERTS = 2
TIERS = ("hot", "warm", "nurture", "at_risk")


def heading(text: str) -> Text:
    """A section's title."""
    return Text(f"\n{text}", style="bold")


def alerts(run: Run) -> Iterator[RenderableType]:
    """Some alerts as CSMs receive them, a hot lead first."""
    yield heading(f"Alerts that CSMs received: {len(run.alerts)}")
    by_playbook = Counter(alert.attributes.get("playbook", "?") for alert in run.alerts)
    yield "  " + ", ".join(f"{name}: {count}" for name, count in by_playbook.most_common())
    hot = [one for one in run.alerts if one.attributes.get("playbook") == "hot_lead"]
    others = [one for one in run.alerts if one not in hot]
    for alert in [*hot[:1], *others[: SHOWN_ALERTS - 1]]:
        yield _panel(alert)


def _panel(alert: Received) -> Panel:
    about = ", ".join(
        f"{name}={alert.attributes[name]}"
        for name in ("severity", "owner", "playbook", "tier")
        if name in alert.attributes
    )
    return Panel(
        Group(Text(alert.body.strip()), Text(f"\n{about}", style="dim")),
        title=Text(alert.subject),
        title_align="left",
        width=88,
    )


def tiers(run: Run) -> Iterator[RenderableType]:
    """Trials by the tier of their latest score."""
    scored = [row.current for row in run.journeys if isinstance(row, JourneyRow)]
    counts = Counter(str(current.tier) for current in scored if current.tier is not None)
    yield heading(f"Scores by tier: {sum(counts.values())} trials")
    yield _bars([(tier.replace("_", " "), counts[tier]) for tier in TIERS])


def decisions(run: Run) -> Iterator[RenderableType]:
    """Decisions about messages, by what came of them and why."""
    gates = [
        row for row in run.interventions if isinstance(row, DecisionRow) and row.phase == "gate"
    ]
    yield heading(f"Decisions about messages: {len(gates)}, each with its reason")
    channels = Counter((row.outcome.value, row.reason, row.channel or "-") for row in gates)
    table = Table("decision", "reason", "channel", "how often", box=None)
    for (outcome, reason, channel), count in sorted(channels.items()):
        table.add_row(_sent(outcome), reason.replace("_", " "), channel, str(count))
    yield table


def _sent(outcome: str) -> str:
    return "sent" if outcome == "claimed" else "not sent"


def funnel(found: Funnel, days: int) -> Iterator[RenderableType]:
    """The reference funnel; open trials beside, never as drop-offs."""
    yield heading(f"Reference funnel within {days} days, out of the warehouse")
    yield _bars(list(zip((step.replace("_", " ") for step in STEPS), found.closed, strict=True)))
    yield "  Each step counts after the one before it: what is done in another order does not."
    if found.open[0]:
        yield f"  {found.open[0]} more trials are still open and not counted"


def latencies(found: Sequence[Latency]) -> Iterator[RenderableType]:
    """By stage, from the stamps on every message."""
    yield heading("Latency by stage, seconds (the promise from receipt to delivery is 60)")
    table = Table("from", "to", "n", "p50", "p95", "p99", box=None)
    for one in found:
        numbers = (f"{value:.3f}" for value in (one.p50, one.p95, one.p99))
        table.add_row(one.begin, one.end, str(one.n), *numbers)
    yield table
    yield "  From scoring on of hot leads alone: the other alerts wait for their hour by design."


def quarantine(run: Run, rows: Sequence[Any]) -> Iterator[RenderableType]:
    """What was refused, and what was set aside."""
    refused = Counter(
        (answer.status, answer.reason) for answer in run.answers if answer.status != 200
    )
    yield heading("Refused and quarantined")
    for (status, reason), count in refused.items():
        yield f"  {count} webhook answered with {status}: {reason}"
    for source, name, reason, detail in rows:
        yield f"  1 event of {source} set aside: {name}: {reason} ({detail})"


def checks(run: Run) -> list[tuple[bool, str]]:
    """What has to be true for the demo to have worked."""
    same = run.decisions == run.expected
    sent = sum(one.outcome == "sent" for one in run.decisions)
    statuses = Counter(answer.status for answer in run.answers)
    hot = sum(alert.attributes.get("playbook") == "hot_lead" for alert in run.alerts)
    due = sum(one.playbook == "hot_lead" and one.outcome == "sent" for one in run.expected)
    return [
        (
            statuses == Counter({200: len(run.answers) - 1, 401: 1}),
            f"{statuses[200]} webhooks were taken, the forged one was refused",
        ),
        (
            run.produced[Topic.EVENTS_QUARANTINED] == 1,
            "the event that breaks the tracking plan was set aside, with its reason",
        ),
        (
            same and bool(run.decisions),
            f"{len(run.decisions)} decisions equal those of the same events in memory, one by one"
            if same
            else _difference(run),
        ),
        (
            sent == len(run.alerts) > 0 and hot == due,
            f"{len(run.alerts)} alerts were delivered, each once; hot leads among them: {hot}",
        ),
        (
            run.produced == run.loaded,
            f"{sum(run.loaded.values())} records are in the warehouse, as many as in Kafka",
        ),
    ]


def _difference(run: Run) -> str:
    cloud, memory = Counter(run.decisions), Counter(run.expected)
    only = [f"only in the cloud: {one}" for one in (cloud - memory)]
    only += [f"only in memory: {one}" for one in (memory - cloud)]
    return f"{len(only)} decisions differ from those in memory:\n" + "\n".join(only[:6])


def _bars(rows: Sequence[tuple[str, int]]) -> Table:
    largest = max((count for _, count in rows), default=0) or 1
    table = Table(box=None, show_header=False)
    table.add_column(justify="right")
    table.add_column(justify="right")
    for name, count in rows:
        bar = "█" * max(round(count / largest * BAR), int(count > 0))
        table.add_row(name, str(count), Text(bar, style="cyan"))
    return table
