"""Trials that become hot leads at a chosen moment: copies of one of the simulator's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from desireline_learning.simulator.company import Company
from desireline_learning.simulator.scenario import Scenario
from desireline_learning.simulator.senders import iso
from desireline_local.demo.in_memory import InMemoryPipeline

_IDS = ("userId", "anonymousId", "messageId", "groupId")
_TIMES = ("timestamp", "sentAt")


@dataclass(frozen=True, slots=True)
class Script:
    """What one trial did up to the event that made it hot, as calls of Segment; at: its time."""

    before: tuple[dict[str, Any], ...]
    last: dict[str, Any]
    at: int

    def copy(self, number: int, now: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """The calls of another trial, the last of which happens now (epoch ms)."""
        shift = now - self.at
        return [_moved(call, number, shift) for call in self.before], _moved(
            self.last, number, shift
        )


def hot_script() -> Script:
    """Follow each trial of a company alone through memory until one raises a hot-lead alert."""
    company = Company(Scenario(trials=30, days=14, seed=7, late_delivery=0, duplicate_delivery=0))
    hints = dict.fromkeys(one.subject for one in company.deliveries if one.source == "segment")
    for hint in hints:
        mine = [one for one in company.deliveries if one.subject == hint]
        pipeline = InMemoryPipeline(namespace=b"any", start=company.scenario.start)
        calls: list[dict[str, Any]] = []
        for delivery in mine:
            if delivery.source != "segment":
                break
            pipeline.advance(delivery.at)
            pipeline.post([delivery])
            pipeline.settle()
            body = orjson.loads(delivery.body)
            calls += body.get("batch", [body])
            if any(alert.attributes.get("playbook") == "hot_lead" for alert in pipeline.alerts):
                *before, last = calls
                return Script(tuple(before), last, epoch(last["timestamp"]))
    raise AssertionError("no trial of this company becomes hot")


def _moved(call: dict[str, Any], number: int, shift: int) -> dict[str, Any]:
    found = dict(call)
    for name in _IDS:
        if name in found:
            found[name] = f"{found[name]}-{number}"
    if "context" in found and "groupId" in found["context"]:
        found["context"] = {
            **found["context"],
            "groupId": f"{found['context']['groupId']}-{number}",
        }
    return in_time(found, shift)


def in_time(call: dict[str, Any], shift: int) -> dict[str, Any]:
    """The call so many milliseconds later."""
    times = {name: iso(epoch(call[name]) + shift) for name in _TIMES if name in call}
    return {**call, **times}


def epoch(text: str) -> int:
    """ISO 8601 as milliseconds."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)
