"""deliver_action: messages of a channel's queue -> at most one call to the provider for each.

In: an SQS event whose bodies name claims. Out: a partial batch response. Messages to retry stay in
the queue; those that cannot be handled become dead letters.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from deliver_action.settings import CONNECT_TIMEOUT, LONGEST_INVOCATION_MS, Settings
from desireline.adapters.aws import client
from desireline.adapters.clock import WallClock, journey_clock
from desireline.adapters.dynamodb import DynamoStore
from desireline.adapters.lambda_events import queue_answer
from desireline.adapters.metrics import EmfMetrics
from desireline.adapters.sns import READ_TIMEOUT, SnsSender, alert_client
from desireline.adapters.switches import ParameterSwitches
from desireline.contracts import METRICS_NAMESPACE
from desireline.events import ClaimReference
from desireline.intervene.channels import CHANNELS
from desireline.intervene.deliver_action import DeliverAction

logger = Logger()
tracer = Tracer()
metrics = Metrics(namespace=METRICS_NAMESPACE)


@cache
def use_case() -> DeliverAction:
    """Compose the use case."""
    settings, sns = Settings(), alert_client()
    return DeliverAction(
        store=DynamoStore(client("dynamodb"), settings.tables),
        senders={name: SnsSender(sns, settings.alert_topics[name]) for name in CHANNELS},
        switches=ParameterSwitches(client("ssm"), settings.switches_parameter),
        clock=journey_clock(settings.clock_url),
        wall=WallClock(),
        metrics=EmfMetrics(metrics),
        read_timeout_ms=int((CONNECT_TIMEOUT + READ_TIMEOUT) * 1000),
        function_timeout_ms=LONGEST_INVOCATION_MS,
    )


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handle(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Deliver each message of the batch."""

    def deliver(body: bytes) -> str:
        return use_case()(ClaimReference.decode(body), context.get_remaining_time_in_millis)

    return queue_answer(event, deliver, logger, metrics)
