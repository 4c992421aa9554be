"""Render the results of a demo run, section by section."""

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
from desireline_local.demo.run import ReceivedAlert, Run
from desireline_operate.warehouse.funnel import STEPS, Funnel

BAR = 30
SHOWN_ALERTS = 2
TIERS = ("hot", "warm", "nurture", "at_risk")


def heading(text: str) -> Text:
    """Return a section's title."""
    return Text(f"\n{text}", style="bold")


def alerts(run: Run) -> Iterator[RenderableType]:
    """Render some alerts as CSMs receive them, a hot lead first."""
    yield heading(f"Alerts that CSMs received: {len(run.alerts)}")
    by_playbook = Counter(alert.attributes.get("playbook", "?") for alert in run.alerts)
    yield "  " + ", ".join(f"{name}: {count}" for name, count in by_playbook.most_common())
    hot = [alert for alert in run.alerts if alert.attributes.get("playbook") == "hot_lead"]
    others = [alert for alert in run.alerts if alert not in hot]
    for alert in [*hot[:1], *others[: SHOWN_ALERTS - 1]]:
        yield _panel(alert)


def _panel(alert: ReceivedAlert) -> Panel:
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
    """Render the trials by the tier of their latest score."""
    scored = [row.current for row in run.journeys if isinstance(row, JourneyRow)]
    counts = Counter(str(current.tier) for current in scored if current.tier is not None)
    yield heading(f"Scores by tier: {sum(counts.values())} trials")
    yield _bars([(tier.replace("_", " "), counts[tier]) for tier in TIERS])


def decisions(run: Run) -> Iterator[RenderableType]:
    """Render the decisions about messages by outcome and reason."""
    gates = [
        row for row in run.interventions if isinstance(row, DecisionRow) and row.phase == "gate"
    ]
    yield heading(f"Decisions about messages: {len(gates)}, each with its reason")
    channels = Counter((row.outcome.value, row.reason, row.channel or "-") for row in gates)
    table = Table("decision", "reason", "channel", "count", box=None)
    for (outcome, reason, channel), count in sorted(channels.items()):
        table.add_row(_sent(outcome), reason.replace("_", " "), channel, str(count))
    yield table


def _sent(outcome: str) -> str:
    return "sent" if outcome == "claimed" else "not sent"


def funnel(counts: Funnel, days: int) -> Iterator[RenderableType]:
    """Render the reference funnel. Open trials are listed separately, never as drop-offs."""
    yield heading(f"Reference funnel within {days} days, from the warehouse")
    yield _bars(list(zip((step.replace("_", " ") for step in STEPS), counts.closed, strict=True)))
    yield "  A step counts only after the step before it."
    if counts.open[0]:
        yield f"  {counts.open[0]} more trials are still open and not counted"


def latencies(stages: Sequence[Latency]) -> Iterator[RenderableType]:
    """Render the latency by stage, from the stamps of every message."""
    yield heading("Latency by stage, seconds (target from receipt to delivery: 60)")
    table = Table("from", "to", "n", "p50", "p95", "p99", box=None)
    for stage in stages:
        numbers = (f"{value:.3f}" for value in (stage.p50, stage.p95, stage.p99))
        table.add_row(stage.begin, stage.end, str(stage.n), *numbers)
    yield table
    yield "  After scoring, only hot leads count: other alerts wait for their due time."


def quarantine(run: Run, rows: Sequence[Any]) -> Iterator[RenderableType]:
    """Render the refused webhooks and the quarantined events."""
    refused = Counter(
        (answer.status, answer.reason) for answer in run.answers if answer.status != 200
    )
    yield heading("Refused and quarantined")
    for (status, reason), count in refused.items():
        yield f"  {count} webhook answered with {status}: {reason}"
    for source, name, reason, detail in rows:
        yield f"  1 event of {source} quarantined: {name}: {reason} ({detail})"


def checks(run: Run) -> list[tuple[bool, str]]:
    """Return the demo's checks: whether each passed, and its text."""
    same = run.decisions == run.expected
    sent = sum(line.outcome == "sent" for line in run.decisions)
    statuses = Counter(answer.status for answer in run.answers)
    hot = sum(alert.attributes.get("playbook") == "hot_lead" for alert in run.alerts)
    due = sum(line.playbook == "hot_lead" and line.outcome == "sent" for line in run.expected)
    return [
        (
            statuses == Counter({200: len(run.answers) - 1, 401: 1}),
            f"{statuses[200]} webhooks were accepted, the forged one was refused",
        ),
        (
            run.produced[Topic.EVENTS_QUARANTINED] == 1,
            "the event that breaks the tracking plan was quarantined with its reason",
        ),
        (
            same and bool(run.decisions),
            f"{len(run.decisions)} decisions equal those of the same events in memory"
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
    only = [f"only in the cloud: {line}" for line in (cloud - memory)]
    only += [f"only in memory: {line}" for line in (memory - cloud)]
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
