"""Small Lambda functions for tests of what runs them."""

from __future__ import annotations

import io
import json
import textwrap
import time
import zipfile
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from desireline_local.aws.cloud import LocalAws

ROLE = "arn:aws:iam::000000000000:role/test"


def create_function(
    aws: LocalAws,
    source: str,
    *,
    name: str | None = None,
    timeout: int = 120,
    environment: dict[str, str] | None = None,
    role: str = ROLE,
) -> str:
    """A function whose handler is `handle` in this source; its name.

    `note(value)` in the source appends JSON to what `Notes` reads; `held()` returns when the file
    that the environment names HELD is gone, so that a test says when a function goes on.
    """
    name = name or f"f-{uuid4().hex[:8]}"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("index.py", _PRELUDE + textwrap.dedent(source))
    lambdas = aws.client("lambda")
    sqs = aws.client("sqs")
    notes = sqs.create_queue(QueueName=f"{name}-notes")["QueueUrl"]
    lambdas.create_function(
        FunctionName=name,
        Runtime="python3.11",
        Role=role,
        Handler="index.handle",
        Code={"ZipFile": buffer.getvalue()},
        Timeout=timeout,
        Environment={
            "Variables": {"NOTES": notes, "ENDPOINT": aws.endpoint, **(environment or {})}
        },
    )
    lambdas.close()
    sqs.close()
    return name


_PRELUDE = """
import json, os, time, uuid
import boto3
sqs = boto3.client("sqs", endpoint_url=os.environ["ENDPOINT"], region_name="us-east-1",
                   aws_access_key_id="test", aws_secret_access_key="test")
def note(value):
    body = json.dumps({"at": time.time(), "value": value})
    sqs.send_message(QueueUrl=os.environ["NOTES"], MessageBody=body)
def held():
    while os.path.exists(os.environ["HELD"]):
        time.sleep(0.01)
"""


def invoke(aws: LocalAws, name: str, event: Any) -> Any:
    """What the function answers; raises when it fails."""
    answer = aws.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event).encode())
    body = json.loads(answer["Payload"].read() or b"null")
    if answer.get("FunctionError"):
        raise FunctionFailedError(body)
    return body


class FunctionFailedError(Exception):
    """A function raised; `args[0]` is what Lambda says of it."""


class Notes:
    """What a function has noted so far, in order."""

    def __init__(self, aws: LocalAws, function: str) -> None:
        self._sqs = aws.client("sqs")
        self._url = self._sqs.get_queue_url(QueueName=f"{function}-notes")["QueueUrl"]
        self._seen: list[tuple[float, Any]] = []

    def all(self) -> list[Any]:
        """All values, ordered by when they were noted."""
        while True:
            answer = self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10)
            messages = answer.get("Messages", [])
            for message in messages:
                body = json.loads(message["Body"])
                self._seen.append((body["at"], body["value"]))
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
            if not messages:
                return [value for _, value in sorted(self._seen, key=lambda one: one[0])]

    def wait(self, count: int) -> list[Any]:
        """All values once there are `count` of them."""
        eventually(lambda: len(self.all()) >= count, what=lambda: str(self._seen))
        return self.all()


def eventually(
    condition: Callable[[], bool], *, seconds: float = 120, what: Callable[[], str] = lambda: ""
) -> None:
    """Return when the condition holds; fails after `seconds`: more than any busy machine needs."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s {what()}")
