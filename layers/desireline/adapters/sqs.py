"""The Queue port on SQS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from desireline.adapters.aws import translated

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient


class SqsQueue:
    """One queue, by its URL."""

    def __init__(self, client: SQSClient, url: str) -> None:
        self._client = client
        self._url = url

    def put(self, body: str) -> None:
        with translated():
            self._client.send_message(QueueUrl=self._url, MessageBody=body)
