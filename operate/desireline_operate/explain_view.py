"""An explanation, as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from operator import itemgetter

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from desireline.rows import DecisionRow
from desireline.show.timeline import Explanation, PastEvent


def rendered(found: Explanation) -> Iterator[RenderableType]:
    """Heading, links, score, timeline."""
    root = found.view.root
    yield Text(f"Subject {root.subject}", style="bold")
    if root.absorbed:
        yield f"  has absorbed {', '.join(root.absorbed)}"
    yield f"  accounts: {', '.join(root.accounts) or 'none'}"
    for person in found.view.persons:
        # Whoever was never linked has one alias, whose kind nobody noted.
        kinds = ", ".join(one.replace("#", " ") for one in person.aliases if one[0] != "#")
        yield f"  person {person.fragment}" + (f": {kinds}" if kinds else "")
    yield from _links(found)
    yield from _score(found)
    yield Text("\nTimeline (journey time, UTC)", style="bold")
    yield "  Events come out of the warehouse, some seconds after they were counted."
    yield timeline(found)


def timeline(found: Explanation) -> Table:
    """Events and decisions together, by time; decisions of one time in the order they came."""
    table = Table(box=None, pad_edge=False)
    for column in ("when", "what", "detail"):
        table.add_column(column, overflow="fold")
    lines = [
        (event.at, 0, event.name, f"{event.source}, as {event.alias} {_said(event)}".rstrip())
        for event in found.events
    ]
    lines += [(row.at, 1, *_decision(row)) for row in found.decisions]
    for at, kind, what, detail in sorted(lines, key=itemgetter(0, 1)):
        table.add_row(moment(at), Text(what, style="cyan" if kind else ""), detail)
    return table


def moment(at: int) -> str:
    """Epoch ms as one reads it."""
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%m-%d %H:%M:%S")


def _links(found: Explanation) -> Iterator[RenderableType]:
    if not found.links:
        return
    yield Text("\nLinks", style="bold")
    for link in found.links:
        how = "joined" if link.merged else f"not joined: {link.reason}"
        left, right = (one.replace("#", " ") for one in (link.left, link.right))
        yield f"  {moment(link.occurred_at)}  {left} + {right}: {how}, by event {link.event_id}"


def _score(found: Explanation) -> Iterator[RenderableType]:
    yield Text("\nScore", style="bold")
    if found.journey is None:
        yield "  not scored yet"
        return
    current = found.journey.current
    score = "no trial, no score" if current.score is None else f"{current.score} ({current.tier})"
    yield (
        f"  {score}, stage {current.stage}, lifecycle {current.lifecycle}, "
        f"as of {moment(current.as_of)}, model {current.model_version}"
    )
    for reason in found.journey.reasons:
        yield f"  {reason.effect:+.2f}  {reason.text}"


def _said(event: PastEvent) -> str:
    return "" if event.properties == "{}" else event.properties


def _decision(row: DecisionRow) -> tuple[str, str]:
    what = f"{row.playbook} / {row.step}" if row.step != "-" else row.playbook
    gate = f" at gate {row.gate}" if row.gate else ""
    action = f"{row.action}: " if row.action != "-" else ""
    return what, f"{action}{row.outcome} ({row.reason}{gate})"
