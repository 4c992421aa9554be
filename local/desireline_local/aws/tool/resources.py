"""CloudFormation resources that ministack makes in another way than AWS, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ministack.services.lambda_svc as lambdas
from ministack.core.responses import get_account_id, get_region, new_uuid
from ministack.services.cloudformation import provisioners

MAPPING = "AWS::Lambda::EventSourceMapping"
SECRET = "AWS::SecretsManager::Secret"  # noqa: S105 — a type's name
HTTP_API = "AWS::ApiGatewayV2::Api"

KAFKA_SETTINGS = (
    "AmazonManagedKafkaEventSourceConfig",
    "BisectBatchOnFunctionError",
    "DestinationConfig",
    "MaximumRecordAgeInSeconds",
    "MaximumRetryAttempts",
    "ProvisionedPollerConfig",
    "SelfManagedEventSource",
    "SelfManagedKafkaEventSourceConfig",
    "SourceAccessConfigurations",
    "Topics",
)

STUBS = {
    "AWS::EC2::EIP": ("ec2", "elastic-ip/{id}"),
    "AWS::EC2::FlowLog": ("ec2", "vpc-flow-log/{id}"),
    "AWS::EC2::NatGateway": ("ec2", "natgateway/{id}"),
    "AWS::EC2::SecurityGroupEgress": ("ec2", "security-group-rule/{id}"),
    "AWS::EC2::SecurityGroupIngress": ("ec2", "security-group-rule/{id}"),
    "AWS::MSK::Cluster": ("kafka", "cluster/{name}/{id}-1"),
    "AWS::MSK::ClusterPolicy": ("kafka", "cluster-policy/{name}/{id}"),
    "AWS::MSK::Configuration": ("kafka", "configuration/{name}/{id}-1"),
    "AWS::MSK::ServerlessCluster": ("kafka", "cluster/{name}/{id}-s1"),
    "AWS::MSK::Topic": ("kafka", "topic/{name}/{id}"),
}
"""Types that mean nothing on a laptop: service and resource of their ARN."""


def install() -> None:
    """Put our handlers in place of ministack's. Raises AssertionError when it has changed."""
    handlers = provisioners._RESOURCE_HANDLERS
    for name in (MAPPING, SECRET, HTTP_API):
        assert {"create", "update", "delete"} <= handlers[name].keys(), name
    handlers[SECRET] = _secrets_by_arn(handlers[SECRET])
    handlers[MAPPING] = _kafka_mappings(handlers[MAPPING])
    handlers[HTTP_API] = _cors_as_the_api_has_it(handlers[HTTP_API])
    for name, (service, resource) in STUBS.items():
        handlers[name] = _stub(service, resource)


def _secrets_by_arn(stock: Mapping[str, Any]) -> dict[str, Any]:
    """Ref of a Secret is its ARN."""

    def name(physical: str) -> str:
        return physical.rsplit(":", 1)[-1][:-7] if physical.startswith("arn:") else physical

    def create(logical: str, properties: Any, stack: str) -> Any:
        _, attributes = stock["create"](logical, properties, stack)
        return attributes["Arn"], attributes

    def update(physical: str, old: Any, new: Any, stack: str, logical_id: Any = None) -> Any:
        _, attributes = stock["update"](name(physical), old, new, stack, logical_id)
        return attributes.get("Arn") or physical, attributes

    def delete(physical: str, properties: Any) -> Any:
        return stock["delete"](name(physical), properties)

    return {**stock, "create": create, "update": update, "delete": delete}


def _cors_as_the_api_has_it(stock: Mapping[str, Any]) -> dict[str, Any]:
    """A template names the parts of a CORS configuration in capitals; the API, which answers
    browsers by them, does not."""

    def small(properties: Mapping[str, Any]) -> dict[str, Any]:
        cors = properties.get("CorsConfiguration") or {}
        named = {name[:1].lower() + name[1:]: value for name, value in cors.items()}
        return {**properties, "CorsConfiguration": named}

    def create(logical: str, properties: Any, stack: str) -> Any:
        return stock["create"](logical, small(properties), stack)

    def update(physical: str, old: Any, new: Any, stack: str, logical_id: Any = None) -> Any:
        return stock["update"](physical, small(old), small(new), stack, logical_id)

    return {**stock, "create": create, "update": update}


def _kafka_mappings(stock: Mapping[str, Any]) -> dict[str, Any]:
    """What a Kafka mapping says is kept, so that our poller finds it by ListEventSourceMappings."""

    def keep(physical: str, properties: Mapping[str, Any]) -> None:
        mapping = lambdas._esms[physical]
        for name in KAFKA_SETTINGS:
            if properties.get(name) is not None:
                mapping[name] = properties[name]
            elif "Topics" in properties:
                mapping.pop(name, None)
        enabled = str(properties.get("Enabled", True)).lower() == "true"
        mapping["Enabled"] = enabled
        mapping["State"] = "Enabled" if enabled else "Disabled"

    def create(logical: str, properties: Any, stack: str) -> Any:
        physical, attributes = stock["create"](logical, properties, stack)
        keep(physical, properties)
        return physical, attributes

    def update(physical: str, old: Any, new: Any, stack: str) -> Any:
        replaced, attributes = stock["update"](physical, old, new, stack)
        keep(replaced, new)
        return replaced, attributes

    return {**stock, "create": create, "update": update}


def _stub(service: str, resource: str) -> dict[str, Callable[..., Any]]:
    """A resource of which there is only the name."""

    def create(logical: str, properties: Mapping[str, Any], stack: str) -> Any:
        made = new_uuid()
        path = resource.format(name=f"{stack}-{logical}", id=made)
        arn = f"arn:aws:{service}:{get_region()}:{get_account_id()}:{path}"
        return arn, {
            "Arn": arn,
            "AllocationId": f"eipalloc-{made[:8]}",
            "Id": made,
            "NatGatewayId": f"nat-{made[:8]}",
        }

    def update(physical: str, old: Any, new: Any, stack: str) -> Any:
        return physical, {"Arn": physical}

    def delete(physical: str, properties: Any) -> None:
        """There is nothing to delete."""

    return {"create": create, "update": update, "delete": delete}
