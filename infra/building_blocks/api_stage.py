"""Create the stage of an HTTP API, with throttles, metrics, and an access log without paths."""

from __future__ import annotations

import json
from collections.abc import Mapping

from aws_cdk import aws_apigatewayv2 as apigateway

from infra.building_blocks.log_group import log_group
from infra.deployment import DeploymentStack

ACCESS_LOG = {
    "requestId": "$context.requestId",
    "requestTime": "$context.requestTime",
    # Log the route's key, because paths and addresses must not be in a log.
    "routeKey": "$context.routeKey",
    "status": "$context.status",
    "responseLength": "$context.responseLength",
    "responseLatency": "$context.responseLatency",
    "integrationError": "$context.integrationErrorMessage",
}


def api_stage(
    stack: DeploymentStack,
    api: apigateway.HttpApi,
    name: str,
    *,
    rate: int,
    burst: int,
    route_settings: Mapping[str, Mapping[str, object]] | None = None,
) -> apigateway.CfnStage:
    """Create the stage `$default`. name: of the API. rate, burst: requests per second of each route
    without its own settings."""
    settings = stack.deployment.settings
    group = log_group(stack, "AccessLogs", settings, name=f"/aws/apigateway/{name}")
    return apigateway.CfnStage(
        stack,
        "Stage",
        api_id=api.api_id,
        stage_name="$default",
        auto_deploy=True,
        access_log_settings=apigateway.CfnStage.AccessLogSettingsProperty(
            destination_arn=group.log_group_arn, format=json.dumps(ACCESS_LOG)
        ),
        default_route_settings=apigateway.CfnStage.RouteSettingsProperty(
            detailed_metrics_enabled=True,
            throttling_rate_limit=rate,
            throttling_burst_limit=burst,
        ),
        route_settings=route_settings,
    )
