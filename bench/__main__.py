"""`python -m bench [--only GROUP]`: measure, save, render. See docs/performance.md."""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bench.figures import PAGE, Figure, number, render, save, say

GROUPS = (
    *("receive", "imports", "resolve", "score", "functions", "warehouse"),
    *("running", "sustained", "cost", "faults"),
)
"""Modules of this package with a function `measure() -> list of rows`. `running` measures what
needs a running cloud: latency.*, local.*, demo.*, receive.http_rate."""

ALIASES = {
    "import": ("imports",),
    "latency": ("running", "sustained"),
    "local": ("running",),
    "demo": ("running",),
}
"""Groups of the page whose rows are measured by modules of other names."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the groups asked for; 1 if one could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", choices=sorted({*GROUPS, *ALIASES}), help="one group")
    only = parser.parse_args(arguments).only
    groups = GROUPS if only is None else ALIASES.get(only, (only,))
    measured: list[Figure] = []
    failed = []
    for group in groups:
        began = time.monotonic()
        say(f"\n{group}")
        try:
            rows: list[Mapping[str, Any]] = importlib.import_module(f"bench.{group}").measure()
        except Exception as error:  # noqa: BLE001 — the other groups are still measured
            failed.append(group)
            say(f"  could not be measured: {error!r}")
            continue
        figures = [Figure.of(row) for row in rows]
        for figure in figures:
            say(line(figure))
        measured += figures
        say(f"  ({time.monotonic() - began:.0f} s)")
    render(save(measured), date=datetime.now(UTC).strftime("%Y-%m-%d"))
    say(f"\nrendered {PAGE}")
    return 1 if failed else 0


def line(figure: Figure) -> str:
    """A figure as one line."""
    parts = [f"  {figure.name:<36} {number(figure.value):>10} {figure.unit}"]
    if figure.peer_value is not None:
        parts.append(f"{figure.peer}: {number(figure.peer_value)} (ratio {figure.ratio:.2f})")
    if figure.target:
        met = {True: "met", False: "MISSED", None: ""}[figure.met]
        parts.append(f"target {figure.target} {met}")
    return "  ".join(parts)


if __name__ == "__main__":
    sys.exit(main())
