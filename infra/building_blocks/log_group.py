"""Create log groups with the deployment's retention, which are deleted with their stack."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.settings import DeploymentSettings


def log_group(
    scope: Construct, identifier: str, settings: DeploymentSettings, *, name: str | None = None
) -> logs.LogGroup:
    """Create a log group. name: None to let CloudFormation choose it.

    Raises KeyError if CloudWatch does not support the retention."""
    return logs.LogGroup(
        scope,
        identifier,
        log_group_name=name,
        retention=_RETENTIONS[settings.log_retention_days],
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )


_RETENTIONS = {
    1: logs.RetentionDays.ONE_DAY,
    7: logs.RetentionDays.ONE_WEEK,
    14: logs.RetentionDays.TWO_WEEKS,
    30: logs.RetentionDays.ONE_MONTH,
    90: logs.RetentionDays.THREE_MONTHS,
    365: logs.RetentionDays.ONE_YEAR,
}
