"""pull_exports: Mixpanel's export since the last run -> our own webhook, on a schedule.

In: a schedule's event, whose contents it ignores. Out: the counts of the run. It runs outside the
VPC, because it calls Mixpanel's API. Posted events are durable before the cursor moves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from desireline.adapters.aws import client
from desireline.adapters.clock import WallClock
from desireline.adapters.dynamodb import DynamoStore
from desireline.adapters.inbox import WebhookInbox
from desireline.adapters.metrics import EmfMetrics
from desireline.adapters.mixpanel import MixpanelExports
from desireline.adapters.secrets import SecretsManager
from desireline.contracts import METRICS_NAMESPACE
from desireline.receive.pull_exports import PullExport
from desireline.receive.senders.mixpanel_export import SENDER
from pull_exports.settings import Settings

logger = Logger()
tracer = Tracer()
metrics = Metrics(namespace=METRICS_NAMESPACE)


@cache
def use_case() -> PullExport:
    """Compose the use case."""
    settings = Settings()
    project = settings.mixpanel_export
    secrets = SecretsManager(client("secretsmanager"), settings.deployment)
    return PullExport(
        project.plan(),
        exports=MixpanelExports(project.url, project.project, secrets),
        inbox=WebhookInbox(
            settings.webhooks_url, SENDER, secrets, WallClock(), headers=project.headers()
        ),
        store=DynamoStore(client("dynamodb"), settings.tables),
        wall=WallClock(),
        metrics=EmfMetrics(metrics),
    )


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handle(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Continue the current sweep, or begin one."""
    result = use_case()(lambda: context.get_remaining_time_in_millis() / 1000)
    counts = asdict(result)
    logger.info("pulled", **counts)
    return counts
