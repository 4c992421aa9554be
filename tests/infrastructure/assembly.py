"""A synthesised cloud assembly as tests read it: resources with their intrinsics resolved."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

ACCOUNT, REGION = "111122223333", "us-east-1"
CLUSTER = "0a1b2c3d-0000-1111-2222-333344445555-7"

PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Region": REGION,
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
}


@dataclass(frozen=True)
class Resource:
    """One resource. `name` is its logical id; `properties` and `policy` hold no intrinsics."""

    stack: str
    name: str
    type: str
    properties: Mapping[str, Any]
    deletion: str | None


@dataclass(frozen=True)
class Statement:
    """One statement of a role's policies, with lists where IAM allows one or several."""

    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: Mapping[str, Any]

    def covers(self, action: str, resource: str) -> bool:
        return any(fnmatchcase(action, a) for a in self.actions) and any(
            fnmatchcase(resource, r) for r in self.resources
        )


class Assembly:
    """All templates of one deployment."""

    def __init__(self, folder: Path, deployment: str) -> None:
        self.folder = folder
        self.deployment = deployment
        self.templates: dict[str, dict[str, Any]] = {
            path.name.removesuffix(".template.json").removeprefix(f"{deployment}-"): json.loads(
                path.read_text()
            )
            for path in sorted(folder.glob(f"{deployment}-*.template.json"))
        }

    @cached_property
    def resources(self) -> list[Resource]:
        return [
            Resource(
                stack=stack,
                name=name,
                type=resource["Type"],
                properties=self._resolve(resource.get("Properties", {}), template),
                deletion=resource.get("DeletionPolicy"),
            )
            for stack, template in self.templates.items()
            for name, resource in template["Resources"].items()
        ]

    def of_type(self, kind: str, *, stack: str | None = None) -> list[Resource]:
        return [r for r in self.resources if r.type == kind and stack in (None, r.stack)]

    def functions(self) -> dict[str, Resource]:
        """Our functions, by the name of their folder."""
        prefix = f"{self.deployment}-"
        return {
            r.properties["FunctionName"].removeprefix(prefix).replace("-", "_"): r
            for r in self.of_type("AWS::Lambda::Function")
            if str(r.properties.get("FunctionName", "")).startswith(prefix)
        }

    def mappings(self, function: str) -> list[Mapping[str, Any]]:
        """The event source mappings of a function."""
        target = f"<{self.functions()[function].name}>"
        return [
            r.properties
            for r in self.of_type("AWS::Lambda::EventSourceMapping")
            if r.properties["FunctionName"] == target
        ]

    def statements(self, function: str) -> list[Statement]:
        """What the role of a function may do."""
        role = self.functions()[function].properties["Role"]
        return self.statements_of_role(role.removeprefix("<").removesuffix(".Arn>"))

    def statements_of_role(self, role: str) -> list[Statement]:
        documents = [
            r.properties["PolicyDocument"]
            for r in self.of_type("AWS::IAM::Policy")
            if f"<{role}>" in r.properties["Roles"]
        ]
        return [_statement(raw) for document in documents for raw in document["Statement"]]

    def _resolve(self, value: Any, template: Mapping[str, Any]) -> Any:
        if isinstance(value, list):
            return [self._resolve(item, template) for item in value]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (key, argument), *_ = value.items()
            if key == "Ref":
                return self._ref(argument, template)
            if key.startswith("Fn::"):
                return self._call(key, self._resolve(argument, template))
        return {key: self._resolve(item, template) for key, item in value.items()}

    def _ref(self, name: str, template: Mapping[str, Any]) -> Any:
        if name in PSEUDO:
            return PSEUDO[name]
        parameter = template.get("Parameters", {}).get(name)
        if parameter is None:
            return f"<{name}>"
        if parameter["Default"].endswith("/kafka/cluster-arn"):
            return f"arn:aws:kafka:{REGION}:{ACCOUNT}:cluster/{self.deployment}/{CLUSTER}"
        return f"ssm:{parameter['Default']}"

    def _call(self, function: str, argument: Any) -> Any:
        match function, argument:
            case "Fn::Join", [separator, parts]:
                return separator.join(str(part) for part in parts)
            case "Fn::Split", [separator, text]:
                return str(text).split(separator)
            case "Fn::Select", [index, items]:
                return items[int(index)]
            case "Fn::Sub", str(text):
                for name, value in PSEUDO.items():
                    text = text.replace(f"${{{name}}}", value)
                return text
            case "Fn::GetAtt", [name, attribute]:
                return f"<{name}.{attribute}>"
        raise NotImplementedError(function)


def topic_arn(deployment: str, topic: str) -> str:
    return f"arn:aws:kafka:{REGION}:{ACCOUNT}:topic/{deployment}/{CLUSTER}/{topic}"


def group_arn(deployment: str, group: str) -> str:
    return f"arn:aws:kafka:{REGION}:{ACCOUNT}:group/{deployment}/{CLUSTER}/{group}"


def cluster_arn(deployment: str) -> str:
    return f"arn:aws:kafka:{REGION}:{ACCOUNT}:cluster/{deployment}/{CLUSTER}"


def table_arn(deployment: str, table: str) -> str:
    return f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{deployment}-{table}"


def allowed(statements: list[Statement], action: str, resource: str) -> bool:
    """Whether some statement permits it; conditions of permissions are taken to be met."""
    return any(s.effect == "Allow" and s.covers(action, resource) for s in statements)


def every_statement(assembly: Assembly) -> Iterator[tuple[str, Statement]]:
    """Each statement of each role, with the policy's logical id."""
    for resource in assembly.of_type("AWS::IAM::Policy"):
        for raw in resource.properties["PolicyDocument"]["Statement"]:
            yield resource.name, _statement(raw)


def _statement(raw: Mapping[str, Any]) -> Statement:
    return Statement(
        effect=raw["Effect"],
        actions=_several(raw["Action"]),
        resources=_several(raw["Resource"]),
        conditions=raw.get("Condition", {}),
    )


def _several(value: str | list[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
