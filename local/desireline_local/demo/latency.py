"""Compute the latency of each stage from the messages' stamps (wall time)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from desireline_operate.warehouse.connection import rows

STAGES = (
    ("received", "resolved", "events_resolved"),
    ("resolved", "scored", "journeys_scored"),
    ("scored", "decided", "decisions_made"),
    ("decided", "delivered", "decisions_made"),
    ("received", "delivered", "decisions_made"),
)


@dataclass(frozen=True, slots=True)
class Latency:
    """The percentiles of the seconds between two stamps. n: the number of messages."""

    begin: str
    end: str
    n: int
    p50: float
    p95: float
    p99: float


def by_stage(connection: Any) -> list[Latency]:
    """Compute the latency of every stage.

    After scoring only hot-lead alerts count, because other alerts wait for their due time."""
    result = []
    for begin, end, table in STAGES:
        where = " where playbook = 'hot_lead'" if table == "decisions_made" else ""
        payloads = rows(connection, f"select to_json(payload) from raw.{table}{where}")
        stamps = (_stamps(json.loads(payload)) for (payload,) in payloads)
        spans = [
            (stamp[end] - stamp[begin]) / 1000
            for stamp in stamps
            if stamp.get(begin) is not None and stamp.get(end) is not None
        ]
        result.append(latency(begin, end, spans))
    return result


def latency(begin: str, end: str, spans: Iterable[float]) -> Latency:
    """Compute the percentiles of these seconds; 0 without data."""
    values = np.array(list(spans) or [0.0])
    p50, p95, p99 = np.percentile(values, [50, 95, 99])
    return Latency(begin, end, len(values), float(p50), float(p95), float(p99))


def _stamps(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    stamps: Mapping[str, Any] = payload.get("stamps") or payload.get("event", {}).get("stamps", {})
    return stamps
