"""start_interventions: records of events.resolved and journeys.scored -> enrolments, executions.

In: an MSK event. Out: a partial batch response that names the records to try again. Every trigger
ends as an enrolment or as a line of the ledger that says why not.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from desireline.adapters.aws import client
from desireline.adapters.clock import WallClock, journey_clock
from desireline.adapters.dynamodb import DynamoStore
from desireline.adapters.lambda_events import kafka_answer
from desireline.adapters.metrics import EmfMetrics
from desireline.adapters.stepfunctions import StateMachine
from desireline.contracts import METRICS_NAMESPACE
from desireline.intervene.playbook.playbooks import load
from desireline.intervene.start_interventions import StartInterventions
from start_interventions.settings import Settings

logger = Logger()
tracer = Tracer()
metrics = Metrics(namespace=METRICS_NAMESPACE)


@cache
def use_case() -> StartInterventions:
    """The composition root. Raises InvalidPlaybookError: a wrong playbook starts nobody."""
    settings = Settings()
    return StartInterventions(
        store=DynamoStore(client("dynamodb"), settings.tables),
        workflow=StateMachine(client("stepfunctions"), settings.state_machine_arn),
        playbooks=load(),
        clock=journey_clock(settings.clock_url),
        wall=WallClock(),
        metrics=EmfMetrics(metrics),
        holdout_percent=settings.holdout_percent,
    )


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handle(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Start what the batch triggers."""
    return kafka_answer(event, use_case(), logger, metrics)
