"""The ChannelSender port on SNS, for CSM alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from desireline.adapters.aws import client, translated
from desireline.errors import DeniedError, TerminalError
from desireline.ports import Alert

if TYPE_CHECKING:
    from mypy_boto3_sns.client import SNSClient

READ_TIMEOUT = 5.0
NO_TOPIC = "NotFound"
"""The error code of a missing topic. SNS then refuses every message."""


def alert_client() -> SNSClient:
    """Return a client that makes one attempt.

    botocore would repeat a publish after a timeout, and could send an alert twice (delivery
    rule 8)."""
    sns: SNSClient = client("sns", attempts=1, read_timeout=READ_TIMEOUT)
    return sns


class SnsSender:
    """Publishes alerts to a topic. Its subscribers filter by message attributes."""

    def __init__(self, client: SNSClient, topic_arn: str) -> None:
        self._client = client
        self._topic_arn = topic_arn

    def send(self, alert: Alert) -> str:
        try:
            with translated():
                return self._publish(alert)
        except TerminalError as error:
            if error.reason == NO_TOPIC:
                raise DeniedError(error.reason) from error
            raise

    def _publish(self, alert: Alert) -> str:
        answer = self._client.publish(
            TopicArn=self._topic_arn,
            Subject=alert.subject,
            Message=alert.body,
            MessageAttributes={
                name: {
                    "DataType": "Number" if isinstance(value, int) else "String",
                    "StringValue": str(value),
                }
                for name, value in alert.attributes.items()
                if value != ""
            },
        )
        return answer["MessageId"]
