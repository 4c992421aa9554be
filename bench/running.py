"""What needs a running cloud: latency.*, local.*, receive.http_rate; and demo.wall."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import numpy as np
import orjson

from bench.empty_api import producing_api, rate
from bench.figures import say
from bench.hot_leads import hot_script
from bench.load import Load, Loaded
from desireline.contracts import parameter
from desireline_local.cloud import LocalCloud
from desireline_local.sender_side.signing import sign

Row = dict[str, Any]

COPIES = 80
SECONDS = 60
STAGES = ("received", "resolved", "scored", "decided", "delivered")
RATE_SECONDS, RATE_ROUNDS = 4, 3
SAMPLE_SECONDS = 1.0
"""Each sample takes some milliseconds of CPU, and latency is measured meanwhile."""


def measure() -> list[Row]:
    """One cloud for all but the demo, which wants its own."""
    script = hot_script()
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        with LocalCloud(Path(folder) / "cloud", warm=False) as cloud:
            up = time.monotonic() - began
            idle = cloud.memory()
            cloud.warm_up()
            rows = [
                _limit("local.up", up, "s", 30),
                _limit("local.memory.idle", idle / 1e6, "MB", 2000),
                _http_rate(cloud),
            ]
            send_for_real(cloud)
            with Load(cloud, script) as load:
                say("  50 events/s for a minute, one a webhook")
                with _peak(cloud) as peak:
                    at50 = load.run(rate=50, batch=1, seconds=SECONDS, copies=COPIES)
                rows.append(_limit("local.memory.peak", max(peak) / 1e6, "MB", 2000))
                say("  200 events/s for a minute, twenty a webhook")
                at200 = load.run(rate=200, batch=20, seconds=SECONDS, copies=COPIES)
            rows += _latency("at50", at50, target=True)
            rows += _stages(at50)
            rows += _latency("at200", at200, target=False)
    say("  the demo")
    rows.append(_demo())
    return rows


@contextmanager
def _peak(cloud: LocalCloud) -> Iterator[list[int]]:
    """Sample the resident bytes of the cloud's processes into the list, meanwhile."""
    sampled = [cloud.memory()]
    ended = threading.Event()

    def sample() -> None:
        while not ended.wait(SAMPLE_SECONDS):
            sampled.append(cloud.memory())

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield sampled
    finally:
        ended.set()
        thread.join()


def _stages(load: Loaded) -> list[Row]:
    """The same by stage."""
    rows = []
    for begin, end in itertools.pairwise(STAGES):
        spans = [(stamps[end] - stamps[begin]) / 1000 for stamps in load.stamps]
        value = float(np.percentile(spans, 99))
        rows.append({"name": f"latency.stage.{begin}_{end}.p99", "value": value, "unit": "s"})
    return rows


def _latency(name: str, load: Loaded, *, target: bool) -> list[Row]:
    seconds = load.seconds
    assert len(seconds) > COPIES / 2, f"only {len(seconds)} of {COPIES} alerts were delivered"
    rows: list[Row] = []
    for percentile in (50, 95, 99):
        value = float(np.percentile(seconds, percentile))
        row: Row = {
            "name": f"latency.{name}.p{percentile}",
            "value": value,
            "unit": "s",
            "peer": "the promise",
            "peer_value": 60.0,
        }
        if target and percentile == 99:
            row |= {"target": "≤ 5", "met": value <= 5}
        rows.append(row)
    return rows


def _limit(name: str, value: float, unit: str, limit: float) -> Row:
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "target": f"≤ {limit:,}",
        "met": value <= limit,
    }


def send_for_real(cloud: LocalCloud) -> None:
    """Turn sends on."""
    cloud.at.client("ssm").put_parameter(
        Name=parameter(cloud.at.deployment, "switches"),
        Value=json.dumps({"send_mode": "live"}),
        Type="String",
        Overwrite=True,
    )


def _http_rate(cloud: LocalCloud) -> Row:
    """Webhooks a second through the local API with 8 clients, in turn with the very same calls of
    a function that does nothing but produce and flush their bytes.

    What is measured is receiving: nobody consumes meanwhile, for the consumers' calls would go
    through the same emulator."""
    secret = cloud.at.secret("segment")
    serial = itertools.count()

    def calls(url: str) -> Callable[[httpx.Client], None]:
        def one(http: httpx.Client) -> None:
            body = _webhook(next(serial))
            headers = sign("segment", body, secret, 0)
            http.post(url, content=body, headers=headers).raise_for_status()

        return one

    sides = {"peer": calls(producing_api(cloud)), "ours": calls(f"{cloud.at.webhooks}/segment")}
    cloud.kill_poller()
    for call in sides.values():
        rate(call, 2)
    found: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(RATE_ROUNDS):
        for side, call in sides.items():
            found[side].append(rate(call, RATE_SECONDS))
    cloud.start_poller()
    value, peer = median(found["ours"]), median(found["peer"])
    return {
        "name": "receive.http_rate",
        "value": value,
        "unit": "1/s",
        "peer": "the local API, bare produces and flush of the same bytes",
        "peer_value": peer,
        "target": "≥ 0.7 of it",
        "met": value >= 0.7 * peer,
    }


def _webhook(number: int) -> bytes:
    return orjson.dumps(
        {
            "type": "track",
            "messageId": f"rate-{number}",
            "userId": f"rate-{number % 50}",
            "event": "Report Viewed",
            "timestamp": "2026-01-05T00:00:00Z",
            "properties": {},
        }
    )


def _demo() -> Row:
    began = time.monotonic()
    subprocess.run(
        [str(Path(sys.executable).with_name("desireline")), "demo"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return _limit("demo.wall", time.monotonic() - began, "s", 240)
