"""What needs a running cloud: latency.*, local.*, receive.http_rate; and demo.wall."""

from __future__ import annotations

import io
import itertools
import json
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson

from desireline.contracts import Table, parameter
from desireline.rows import DecisionRow, Outcome
from desireline_learning.simulator.senders import iso
from desireline_local.cloud import LocalCloud
from desireline_local.ledger import all_rows
from desireline_local.signing import sign
from desireline_local.world import CloudWorld
from tests.performance.hot_leads import Script, hot_script

Row = dict[str, Any]

COPIES = 80
SECONDS = 60
STAGES = ("received", "resolved", "scored", "decided", "delivered")
CLIENTS = 8
RATE_SECONDS = 10


def measure() -> list[Row]:
    """One cloud for all but the demo, which wants its own."""
    script = hot_script()
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        with LocalCloud(Path(folder) / "cloud") as cloud:
            up = time.monotonic() - began
            rows = [
                _limit("local.up", up, "s", 30),
                _limit("local.memory", cloud.memory() / 1e6, "MB", 2000),
                _http_rate(cloud),
            ]
            _send_for_real(cloud)
            load = Load(cloud, script)
            rows += _latency("at50", load.run(0, rate=50, batch=1), target=True)
            rows += load.stages()
            rows += _latency("at200", load.run(COPIES, rate=200, batch=20), target=False)
    rows.append(_demo())
    return rows


class Load:
    """Traffic at a steady rate in which copies of a trial become hot, one after the other."""

    def __init__(self, cloud: LocalCloud, script: Script) -> None:
        self._cloud = cloud
        self._script = script
        self._secret = cloud.at.secret("segment")
        self._http = httpx.Client(timeout=60, limits=httpx.Limits(max_connections=64))
        self._seen: set[str] = set()
        self._stamps: list[dict[str, int]] = []
        self._serial = itertools.count()

    def run(self, first: int, *, rate: int, batch: int) -> list[float]:
        """Seconds from receipt to delivered alert, of each copy that became hot."""
        now = time.time_ns() // 1_000_000
        copies = [self._script.copy(first + i, now) for i in range(COPIES)]
        for before, _ in copies:
            self._post(before)
        with CloudWorld(self._cloud.at) as world:
            world.settle()
        hot = iter([last for _, last in copies])
        every = rate * SECONDS // COPIES
        users = [before[-1].get("userId") for before, _ in copies]
        due = time.monotonic()
        pending: list[dict[str, Any]] = []
        with ThreadPoolExecutor(32) as pool:
            for number in range(rate * SECONDS):
                call = next(hot, None) if number % every == every - 1 else None
                pending.append(
                    call | _just_now() if call else self._ordinary(users[number % len(users)])
                )
                if len(pending) == batch:
                    pool.submit(self._post, pending)
                    pending = []
                    due += batch / rate
                    time.sleep(max(0.0, due - time.monotonic()))
        with CloudWorld(self._cloud.at) as world:
            world.settle()
        return self._delivered()

    def stages(self) -> list[Row]:
        """The same by stage, of the last run."""
        rows = []
        for begin, end in itertools.pairwise(STAGES):
            spans = [(stamps[end] - stamps[begin]) / 1000 for stamps in self._stamps]
            value = float(np.percentile(spans, 99))
            rows.append({"name": f"latency.stage.{begin}_{end}.p99", "value": value, "unit": "s"})
        return rows

    def _ordinary(self, user: str) -> dict[str, Any]:
        return {
            "type": "track",
            "messageId": f"load-{next(self._serial)}",
            "userId": user,
            "event": "Report Viewed",
            "properties": {},
        }

    def _post(self, calls: list[dict[str, Any]]) -> None:
        body = orjson.dumps({"batch": calls} if len(calls) > 1 else calls[0])
        answer = self._http.post(
            f"{self._cloud.at.webhooks}/segment",
            content=body,
            headers=sign("segment", body, self._secret, 0),
        )
        answer.raise_for_status()

    def _delivered(self) -> list[float]:
        rows = [
            row
            for row in all_rows(self._cloud.at, Table.INTERVENTIONS)
            if isinstance(row, DecisionRow)
            and row.playbook == "hot_lead"
            and row.outcome is Outcome.SENT
            and row.enrolment not in self._seen
        ]
        self._seen |= {row.enrolment for row in rows}
        self._stamps = [row.stamps.model_dump() for row in rows]
        return [(stamps["delivered"] - stamps["received"]) / 1000 for stamps in self._stamps]


def _just_now() -> dict[str, str]:
    """The time of a call that happens as it is sent. A check waits for its entry's time: one that
    is ahead would be measured as latency, and one long ago is another story's."""
    return {"timestamp": iso(time.time_ns() // 1_000_000)}


def _latency(name: str, seconds: list[float], *, target: bool) -> list[Row]:
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


def _send_for_real(cloud: LocalCloud) -> None:
    cloud.at.client("ssm").put_parameter(
        Name=parameter(cloud.at.deployment, "switches"),
        Value=json.dumps({"send_mode": "live"}),
        Type="String",
        Overwrite=True,
    )


def _http_rate(cloud: LocalCloud) -> Row:
    """Webhooks a second through the local API with 8 clients, in turn with an empty function.

    What is measured is receiving: nobody consumes meanwhile, for the consumers' calls would go
    through the same emulator."""
    secret = cloud.at.secret("segment")
    serial = itertools.count()

    def webhook(http: httpx.Client) -> None:
        body = orjson.dumps(
            {
                "type": "track",
                "messageId": f"rate-{next(serial)}",
                "userId": f"rate-{next(serial) % 50}",
                "event": "Report Viewed",
                "timestamp": "2026-01-05T00:00:00Z",
                "properties": {},
            }
        )
        headers = sign("segment", body, secret, 0)
        url = f"{cloud.at.webhooks}/segment"
        http.post(url, content=body, headers=headers).raise_for_status()

    empty_url = _empty_api(cloud)

    def empty(http: httpx.Client) -> None:
        http.post(empty_url, content=b"{}").raise_for_status()

    cloud.kill_poller()
    for warm in (empty, webhook):
        _rate(warm, 2)
    peer, value = _rate(empty, RATE_SECONDS), _rate(webhook, RATE_SECONDS)
    cloud.start_poller()
    return {
        "name": "receive.http_rate",
        "value": value,
        "unit": "1/s",
        "peer": "the local API with an empty function",
        "peer_value": peer,
        "target": "≥ 0.7 of it",
        "met": value >= 0.7 * peer,
    }


def _rate(call: Callable[[httpx.Client], None], seconds: float) -> float:
    end = time.monotonic() + seconds
    counts = [0] * CLIENTS

    def work(place: int) -> None:
        with httpx.Client(timeout=30) as http:
            while time.monotonic() < end:
                call(http)
                counts[place] += 1

    threads = [threading.Thread(target=work, args=(place,)) for place in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds


def _empty_api(cloud: LocalCloud) -> str:
    """The address of an HTTP API whose function does nothing."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(
            "index.py", "def handle(event, context):\n    return {'statusCode': 200}\n"
        )
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    function = cloud.at.client("lambda").create_function(
        FunctionName="empty",
        Runtime=version,
        Role="arn:aws:iam::000000000000:role/empty",
        Handler="index.handle",
        Code={"ZipFile": buffer.getvalue()},
    )
    api = cloud.at.client("apigatewayv2")
    made = api.create_api(Name="empty", ProtocolType="HTTP")["ApiId"]
    integration = api.create_integration(
        ApiId=made,
        IntegrationType="AWS_PROXY",
        IntegrationUri=function["FunctionArn"],
        PayloadFormatVersion="2.0",
    )["IntegrationId"]
    api.create_route(ApiId=made, RouteKey="POST /", Target=f"integrations/{integration}")
    api.create_stage(ApiId=made, StageName="$default", AutoDeploy=True)
    return f"{cloud.at.aws}/_aws/execute-api/{made}/$default/"


def _demo() -> Row:
    began = time.monotonic()
    subprocess.run(
        [str(Path(sys.executable).with_name("desireline")), "demo"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return _limit("demo.wall", time.monotonic() - began, "s", 240)
