"""Render a subject's timeline for the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from operator import itemgetter

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from desireline.rows import DecisionRow
from desireline.show.timeline import PastEvent, Timeline


def render_timeline(timeline: Timeline) -> Iterator[RenderableType]:
    """Render the heading, the links, the score, and the table of events and decisions."""
    root = timeline.view.root
    yield Text(f"Subject {root.subject}", style="bold")
    if root.absorbed:
        yield f"  has absorbed {', '.join(root.absorbed)}"
    yield f"  accounts: {', '.join(root.accounts) or 'none'}"
    for person in timeline.view.persons:
        # A person without links has one alias, which is stored without its kind.
        kinds = ", ".join(alias.replace("#", " ") for alias in person.aliases if alias[0] != "#")
        yield f"  person {person.fragment}" + (f": {kinds}" if kinds else "")
    yield from _links(timeline)
    yield from _score(timeline)
    yield Text("\nTimeline (journey time, UTC)", style="bold")
    yield "  The warehouse has an event some seconds after it was counted."
    yield timeline_table(timeline)


def timeline_table(timeline: Timeline) -> Table:
    """Return events and decisions in one table, by time. Decisions of one time keep their order."""
    table = Table(box=None, pad_edge=False)
    for column in ("when", "what", "detail"):
        table.add_column(column, overflow="fold")
    lines = [
        (event.at, 0, event.name, f"{event.source}, as {event.alias} {_properties(event)}".rstrip())
        for event in timeline.events
    ]
    lines += [(row.at, 1, *_decision(row)) for row in timeline.decisions]
    for at, kind, title, detail in sorted(lines, key=itemgetter(0, 1)):
        table.add_row(format_short_time(at), Text(title, style="cyan" if kind else ""), detail)
    return table


def format_short_time(at: int) -> str:
    """Format epoch ms as month, day and time in UTC."""
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%m-%d %H:%M:%S")


def _links(timeline: Timeline) -> Iterator[RenderableType]:
    if not timeline.links:
        return
    yield Text("\nLinks", style="bold")
    for link in timeline.links:
        result = "joined" if link.merged else f"not joined: {link.reason}"
        left, right = (alias.replace("#", " ") for alias in (link.left, link.right))
        at = format_short_time(link.occurred_at)
        yield f"  {at}  {left} + {right}: {result}, by event {link.event_id}"


def _score(timeline: Timeline) -> Iterator[RenderableType]:
    yield Text("\nScore", style="bold")
    if timeline.journey is None:
        yield "  not scored yet"
        return
    current = timeline.journey.current
    score = "no trial, no score" if current.score is None else f"{current.score} ({current.tier})"
    yield (
        f"  {score}, stage {current.stage}, lifecycle {current.lifecycle}, "
        f"as of {format_short_time(current.as_of)}, model {current.model_version}"
    )
    for reason in timeline.journey.reasons:
        yield f"  {reason.effect:+.2f}  {reason.text}"


def _properties(event: PastEvent) -> str:
    return "" if event.properties == "{}" else event.properties


def _decision(row: DecisionRow) -> tuple[str, str]:
    title = f"{row.playbook} / {row.step}" if row.step != "-" else row.playbook
    gate = f" at gate {row.gate}" if row.gate else ""
    action = f"{row.action}: " if row.action != "-" else ""
    return title, f"{action}{row.outcome} ({row.reason}{gate})"
