"""What a measurement is, and how measurements become `build/bench.json` and a page."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

BENCH = Path("build/bench.json")
PAGE = Path("docs/performance.md")


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One row: `ratio` is value / peer_value; `met` None where there is no target."""

    name: str
    value: float
    unit: str
    peer: str | None = None
    peer_value: float | None = None
    ratio: float | None = None
    target: str | None = None
    met: bool | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Figure:
        """A figure out of a group's row; the ratio follows from value and peer_value."""
        peer_value = row.get("peer_value")
        ratio = row.get("ratio")
        if ratio is None and peer_value:
            ratio = row["value"] / peer_value
        return cls(**{**row, "ratio": ratio})


def save(figures: Iterable[Figure]) -> list[Figure]:
    """Write `build/bench.json`, keeping the rows of groups that were not measured this time."""
    known: dict[str, Figure] = {}
    if BENCH.exists():
        known = {row["name"]: Figure(**row) for row in json.loads(BENCH.read_text())}
    known.update((figure.name, figure) for figure in figures)
    BENCH.parent.mkdir(exist_ok=True)
    BENCH.write_text(json.dumps([asdict(figure) for figure in known.values()], indent=1) + "\n")
    return list(known.values())


def render(figures: Sequence[Figure], *, date: str) -> None:
    """Write `docs/performance.md`, one table a group."""
    groups: dict[str, list[Figure]] = {}
    for figure in figures:
        groups.setdefault(figure.name.split(".")[0], []).append(figure)
    parts = [
        "# Performance",
        "Measured by `make bench` and rendered from `build/bench.json`. A peer does the same work "
        "in the same run, in turn with ours. Machines are noisy: read the ratios. A figure that "
        "misses its target is shown as missed.",
        f"Last run: {date}, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, {_cores()} cores.",
    ]
    for group, rows in sorted(groups.items()):
        parts.append(f"## {group}\n\n`make bench ONLY={group}`\n\n{_table(rows)}")
    PAGE.write_text("\n\n".join(parts) + "\n")


def _table(rows: Iterable[Figure]) -> str:
    header = ["figure", "value", "unit", "peer or limit", "its value", "ratio", "target", "met"]
    lines = [header, ["---"] * len(header)]
    for row in rows:
        met = {True: "yes", False: "**missed**", None: ""}[row.met]
        lines.append(
            [
                f"`{row.name}`",
                number(row.value),
                row.unit,
                row.peer or "",
                "" if row.peer_value is None else number(row.peer_value),
                "" if row.ratio is None else f"{row.ratio:.2f}",
                row.target or "",
                met,
            ]
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float) -> str:
    """Three significant digits, without an exponent where one would rather read digits."""
    if value and (abs(value) < 0.001 or abs(value) >= 1e9):
        return f"{value:.2e}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def say(text: str) -> None:
    """To the terminal, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
