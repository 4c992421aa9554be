"""Figures of the functions: unzipped size with their layers, and a fresh process's first answer.

The layers are those of the host; those of Graviton are as large within a few percent, and the
template tests hold them to the limit. boto3 comes from the environment, as it comes from Lambda's
runtime. AWS is a server in this process that answers at once, so that `cold` is what our code and
its packages cost: start, imports, composition, and one small invocation.
"""

from __future__ import annotations

import base64
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3

from desireline.contracts import Function, Table, Topic
from desireline.intervene.channels import CHANNELS
from desireline.receive.senders import NAMES
from infra.layers import Layer, Platform, build, size

Row = dict[str, Any]

ROUNDS = 5
LIMIT_MB = 100
LIMIT_SECONDS = 1.0
FUNCTIONS = Path(__file__).parents[1] / "functions"
RUNTIME_PACKAGES = ("boto3", "botocore", "s3transfer", "dateutil", "urllib3", "six.py")

_EXTRA = {
    Function.RECEIVE_WEBHOOK: (Layer.KAFKA, Layer.VERIFY),
    Function.RECEIVE_TOPIC: (Layer.KAFKA,),
    Function.RESOLVE_IDENTITY: (Layer.KAFKA,),
    Function.SCORE_JOURNEY: (Layer.SCORE, Layer.MODELS),
    Function.CHECK_PLAYBOOK: (Layer.SCORE, Layer.MODELS),
    Function.PUBLISH_CHANGES: (Layer.KAFKA,),
    Function.SERVE_QUARANTINE: (Layer.KAFKA, Layer.VERIFY),
}
"""The layers besides base and desireline; tests/infrastructure holds the templates to the same."""

_ENVIRONMENT = {
    "DEPLOYMENT": "bench",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_EC2_METADATA_DISABLED": "true",
    "TABLES": json.dumps({table: table.value for table in Table}),
    "TOPICS": '{"company.events": "company_events"}',
    "WEBHOOKS_URL": "http://127.0.0.1:9/webhooks",
    "MIXPANEL_EXPORT": json.dumps(
        {
            "url": "http://127.0.0.1:9",
            "project": "1",
            "time_zone": "UTC",
            "first_day": "2026-01-01",
            "window_days": 5,
            "requests": 30,
        }
    ),
    # Nobody listens: the invocation below is one that Kafka is not needed for.
    "KAFKA_BOOTSTRAP": "127.0.0.1:9",
    "KAFKA_AUTH": "plaintext",
    "STATE_MACHINE_ARN": "arn:aws:states:us-east-1:111122223333:stateMachine:bench",
    "ALERT_TOPICS": json.dumps(dict.fromkeys(CHANNELS, "arn:aws:sns:us-east-1:111122223333:bench")),
    "QUEUES": json.dumps(dict.fromkeys(CHANNELS, "http://127.0.0.1:9/queue")),
    "SWITCHES_PARAMETER": "/switches",
    "SENDERS": json.dumps(sorted(NAMES)),
    "LIMITS": "{}",
    "ARCHIVE_BUCKET": "archive",
    "HOLDOUT_PERCENT": "10",
    "POWERTOOLS_SERVICE_NAME": "bench",
    "POWERTOOLS_METRICS_NAMESPACE": "Desireline",
    "POWERTOOLS_TRACE_DISABLED": "true",
}

_SCRIPT = """
import importlib, json, sys
class Context:
    function_name, memory_limit_in_mb, aws_request_id = "bench", 512, "1"
    invoked_function_arn = "arn:aws:lambda:us-east-1:111122223333:function:bench"
    def get_remaining_time_in_millis(self):
        return 10000
module = importlib.import_module(sys.argv[1] + ".handler")
module.use_case()
try:
    module.handle(json.loads(sys.argv[2]), Context())
except Exception as error:
    if type(error).__name__ != sys.argv[3]:
        raise
else:
    if sys.argv[3]:
        raise SystemExit("it should have refused")
"""

SECRET = "0123456789abcdef0123456789abcdef"
"""What everything is signed with."""

_UNSIGNED_WEBHOOK = {
    "version": "2.0",
    "pathParameters": {"source": "segment"},
    "headers": {"content-type": "application/json"},
    "requestContext": {"http": {"sourceIp": "192.0.2.1"}},
    "body": json.dumps({"type": "track", "event": "x", "userId": "u"}),
    "isBase64Encoded": False,
}
_UNREADABLE = {
    "topic": Topic.EVENTS_RESOLVED,
    "partition": 0,
    "offset": 0,
    "timestamp": 1,
    "timestampType": "CREATE_TIME",
    "key": base64.b64encode(b"k").decode(),
    "value": None,
    "headers": [],
}
_NOTHING_FOLDED = {
    "eventSource": "aws:kafka",
    "records": {f"{Topic.EVENTS_RESOLVED}-0": [_UNREADABLE]},
}
"""A record without a value, which every consumer skips and counts."""

_ASKED_WRONGLY: Mapping[str, Any] = {
    "version": "2.0",
    "routeKey": "GET /quarantine",
    "rawPath": "/quarantine",
    "queryStringParameters": {"limit": "0"},
    "headers": {},
    "requestContext": {"http": {"method": "GET", "path": "/quarantine"}, "stage": "$default"},
}

_INVOCATIONS: dict[Function, tuple[Mapping[str, Any], str]] = {
    Function.RECEIVE_WEBHOOK: (_UNSIGNED_WEBHOOK, ""),
    Function.CHECK_PLAYBOOK: ({"enrolment": "nobody"}, "TerminalError"),
    Function.DELIVER_ACTION: ({"Records": []}, ""),
    Function.PUBLISH_CHANGES: ({"Records": []}, ""),
    # Its credentials are a placeholder here, which it says before it calls anyone.
    Function.PULL_EXPORTS: ({}, "TerminalError"),
    Function.SERVE_QUARANTINE: (_ASKED_WRONGLY, ""),
}
"""What each is asked, and the error that is the right answer; the others get a record to skip."""

_ANSWERS: Mapping[str, Any] = {
    "Query": {"Items": []},
    "GetSecretValue": {"SecretString": SECRET},
    "GetParameter": {"Parameter": {"Value": '{"send_mode": "record"}'}},
}


def measure() -> list[Row]:
    """Rows `functions.<name>.size` in MB and `functions.<name>.cold` in seconds."""
    built = {b.layer: b.size for b in build(Platform.HOST)}
    sizes = {
        function: (size(FUNCTIONS / function) + sum(built[layer] for layer in layers_of(function)))
        / 1e6
        for function in Function
    }
    times = _cold_starts()
    rows = []
    for function in Function:
        name = f"functions.{function}"
        rows.append(_row(f"{name}.size", sizes[function], "MB", LIMIT_MB))
        rows.append(_row(f"{name}.cold", times[function], "s", LIMIT_SECONDS))
    return rows


def _row(name: str, value: float, unit: str, limit: float) -> Row:
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "peer": None,
        "peer_value": None,
        "ratio": None,
        "target": f"≤ {limit:g}",
        "met": value <= limit,
    }


def layers_of(function: Function) -> tuple[Layer, ...]:
    """The layers of a function, as its stack attaches them."""
    return (Layer.BASE, Layer.DESIRELINE, *_EXTRA.get(function, ()))


def _cold_starts() -> dict[Function, float]:
    """The median of some rounds, the functions in turn, so that noise meets all alike."""
    times: dict[Function, list[float]] = {function: [] for function in Function}
    with tempfile.TemporaryDirectory() as folder, _aws() as endpoint:
        runtime = _runtime(Path(folder))
        for _ in range(ROUNDS):
            for function in Function:
                times[function].append(_start(function, runtime, endpoint))
    return {function: statistics.median(measured) for function, measured in times.items()}


def _start(function: Function, runtime: Path, endpoint: str) -> float:
    event, error = _INVOCATIONS.get(function, (_NOTHING_FOLDED, ""))
    start = time.perf_counter()
    _run(function, runtime, endpoint, _SCRIPT, function, json.dumps(event), error)
    return time.perf_counter() - start


def run(function: Function, script: str, *arguments: str, **environment: str) -> str:
    """What a script prints in a process that has what the deployed function has: its code, its
    layers, Lambda's packages, and nothing else."""
    build(Platform.HOST)
    with tempfile.TemporaryDirectory() as folder, _aws() as endpoint:
        runtime = _runtime(Path(folder))
        return _run(function, runtime, endpoint, script, *arguments, **environment)


def _run(
    function: Function,
    runtime: Path,
    endpoint: str,
    script: str,
    *arguments: str,
    **environment: str,
) -> str:
    paths = [Layer(layer).folder(Platform.HOST) / "python" for layer in layers_of(function)]
    done = subprocess.run(
        [sys.executable, "-S", "-c", script, *arguments],
        env={
            **_ENVIRONMENT,
            "AWS_ENDPOINT_URL": endpoint,
            "PYTHONPATH": os.pathsep.join(map(str, [FUNCTIONS, *paths, runtime])),
            **environment,
        },
        cwd=runtime,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{function} did not start: {done.stderr[-2000:]}")
    return done.stdout


def _runtime(folder: Path) -> Path:
    """What Lambda's runtime brings, and nothing else of this environment."""
    packages = Path(boto3.__file__).parents[1]
    for name in RUNTIME_PACKAGES:
        (folder / name).symlink_to(packages / name)
    return folder


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:  # noqa: N802 — the base class names it
        self.rfile.read(int(self.headers.get("content-length", 0)))
        operation = self.headers.get("x-amz-target", "").rpartition(".")[2]
        body = json.dumps(_ANSWERS.get(operation, {})).encode()
        self.send_response(200)
        self.send_header("content-type", "application/x-amz-json-1.1")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self) -> None:  # noqa: N802
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("etag", '"0"')
        # A body of S3 would have to be XML.
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _aws() -> Iterator[str]:
    """An address on which everything is answered at once, and nothing is ever found."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
