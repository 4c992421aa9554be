"""faults.*: the fault run on real Kafka, counted."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from bench.fault_run import run
from desireline_local.cloud import LocalCloud

EVENTS = 20_000


def measure() -> list[dict[str, Any]]:
    """Lost, counted twice, sent twice: none may be."""
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalCloud(Path(folder) / "cloud", warehouse=False) as cloud,
    ):
        found = run(cloud, events=EVENTS)
    rows = {
        "lost": found.lost,
        "counted_twice": found.counted_twice,
        "messages_twice": found.messages_twice,
    }
    return [
        {
            "name": f"faults.{name}",
            "value": value,
            "unit": f"of {found.events if 'message' not in name else found.messages}",
            "target": "0",
            "met": value == 0,
        }
        for name, value in rows.items()
    ]
