"""check_playbook: one checkpoint of one enrolment, for the state machine run-playbook.

In: {"enrolment": id}. Out: {"done": bool, "due": timestamp of the next checkpoint}. When done,
`due` is the epoch. The machine retries errors by the names of their classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from check_playbook.settings import Settings
from desireline.adapters.aws import client
from desireline.adapters.clock import WallClock, journey_clock
from desireline.adapters.dynamodb import DynamoStore
from desireline.adapters.metrics import EmfMetrics
from desireline.adapters.packaged_models import journey_model
from desireline.adapters.stepfunctions import timestamp
from desireline.adapters.switches import ParameterSwitches
from desireline.contracts import METRICS_NAMESPACE
from desireline.intervene.check_playbook import CheckPlaybook
from desireline.intervene.playbook.playbooks import load

logger = Logger()
tracer = Tracer()
metrics = Metrics(namespace=METRICS_NAMESPACE)


@cache
def use_case() -> CheckPlaybook:
    """Compose the use case.

    Raises InvalidPlaybookError, InvalidModelError. Then the function sends no message."""
    settings = Settings()
    return CheckPlaybook(
        store=DynamoStore(client("dynamodb"), settings.tables),
        model=journey_model(),
        playbooks=load(),
        switches=ParameterSwitches(client("ssm"), settings.switches_parameter),
        clock=journey_clock(settings.clock_url),
        wall=WallClock(),
        metrics=EmfMetrics(metrics),
        holdout_percent=settings.holdout_percent,
    )


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handle(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Check the enrolment."""
    metrics.add_metric("checks", MetricUnit.Count, 1)
    result = use_case()(event["enrolment"])
    logger.info("checked", enrolment=event["enrolment"], done=result.done)
    return {"done": result.done, "due": timestamp(result.due or 0)}
