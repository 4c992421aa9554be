"""CloudFormation resources that ministack creates differently from AWS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ministack.services.lambda_svc as lambdas
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


def install() -> None:
    """Replace ministack's handlers by ours. Raises AssertionError if ministack has changed."""
    handlers = provisioners._RESOURCE_HANDLERS
    for name in (MAPPING, SECRET, HTTP_API):
        assert {"create", "update", "delete"} <= handlers[name].keys(), name
    handlers[SECRET] = _secrets_by_arn(handlers[SECRET])
    handlers[MAPPING] = _kafka_mappings(handlers[MAPPING])
    handlers[HTTP_API] = _cors_as_the_api_has_it(handlers[HTTP_API])


def _secrets_by_arn(stock: Mapping[str, Any]) -> dict[str, Any]:
    """Let Ref of a Secret return its ARN."""

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
    """Convert the parts of a CORS configuration from the template's capitals to the API's names."""

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
    """Store the settings of a Kafka mapping, so that ListEventSourceMappings returns them."""

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
