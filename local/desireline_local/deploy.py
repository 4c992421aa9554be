"""Deploy a CDK cloud assembly to the local AWS by CloudFormation, as the CDK command does."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from desireline_local.aws.cloud import ACCOUNT, REGION

STACK_SECONDS = 300.0
DELETED = "DELETE_COMPLETE"
NEVER_CREATED = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED")
"""The states of a stack whose creation failed. CloudFormation allows only its deletion."""
STARTED = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS")
_EPOCH = (1980, 1, 1, 0, 0, 0)


class DeployError(Exception):
    """A stack could not be deployed; the message names the resource and the reason."""


@dataclass(frozen=True, slots=True)
class Stack:
    """One stack of the assembly. template: bucket/key of the published template, which is too large
    for a request. assets: its asset manifests."""

    name: str
    template: str
    assets: tuple[Path, ...]


class Deployer:
    """Deploys assemblies. clients: makes a boto3 client of a service."""

    def __init__(self, clients: Callable[[str], Any]) -> None:
        self._s3 = clients("s3")
        self._endpoint = self._s3.meta.endpoint_url
        self._cloudformation = clients("cloudformation")
        self._ssm = clients("ssm")
        self._published: set[tuple[str, str]] = set()

    def parameters(self, values: Mapping[str, str]) -> None:
        """Write the parameters that the stacks without a local deployment would publish."""
        for name, value in values.items():
            self._ssm.put_parameter(Name=name, Value=value, Type="String", Overwrite=True)

    def deploy(
        self, assembly: Path, report: Callable[[str], None] = lambda _: None
    ) -> dict[str, str]:
        """Deploy every stack in order, and return the outputs of all. Raises DeployError."""
        self.parameters({"/cdk-bootstrap/hnb659fds/version": "30"})
        outputs: dict[str, str] = {}
        for stack in stacks(assembly):
            began = time.monotonic()
            for manifest in stack.assets:
                self._publish(assembly, json.loads(manifest.read_text()))
            outputs.update(self._deploy(stack))
            report(f"{stack.name} ({time.monotonic() - began:.1f} s)")
        return outputs

    def _publish(self, assembly: Path, manifest: Mapping[str, Any]) -> None:
        for asset in manifest.get("files", {}).values():
            for destination in asset["destinations"].values():
                bucket, key = _literal(destination["bucketName"]), destination["objectKey"]
                if (bucket, key) not in self._published:
                    source = assembly / asset["source"]["path"]
                    body = _zipped(source) if source.is_dir() else source.read_bytes()
                    self._s3.create_bucket(Bucket=bucket)
                    self._s3.put_object(Bucket=bucket, Key=key, Body=body)
                    self._published.add((bucket, key))

    def _deploy(self, stack: Stack) -> dict[str, str]:
        arguments = {
            "StackName": stack.name,
            "TemplateURL": f"{self._endpoint}/{stack.template}",
            "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        }
        status = self._describe(stack.name)["StackStatus"]
        if status in NEVER_CREATED:
            self._cloudformation.delete_stack(StackName=stack.name)
            status = self._settled(stack.name)["StackStatus"]
        if status == DELETED:
            self._cloudformation.create_stack(**arguments)
        elif not self._update(arguments):
            return _outputs(self._settled(stack.name))
        result = self._settled(stack.name)
        if "ROLLBACK" in result["StackStatus"] or "FAILED" in result["StackStatus"]:
            raise DeployError(f"{stack.name}: {result['StackStatus']}: {self._why(stack.name)}")
        return _outputs(result)

    def _update(self, arguments: Mapping[str, Any]) -> bool:
        """Start an update. Returns False if the stack needs no changes."""
        try:
            self._cloudformation.update_stack(**arguments)
        except ClientError as error:
            if "No updates" in str(error):
                return False
            raise DeployError(f"{arguments['StackName']}: {error}") from error
        return True

    def _describe(self, name: str) -> dict[str, Any]:
        """Return the description of a stack; one that does not exist counts as deleted."""
        try:
            return dict(self._cloudformation.describe_stacks(StackName=name)["Stacks"][0])
        except ClientError:
            return {"StackStatus": DELETED}

    def _settled(self, name: str) -> dict[str, Any]:
        """Wait until no operation on the stack is in progress, and return its description."""
        end = time.monotonic() + STACK_SECONDS
        while time.monotonic() < end:
            stack = self._describe(name)
            if not stack["StackStatus"].endswith("IN_PROGRESS"):
                return stack
            time.sleep(0.05)
        raise DeployError(f"{name}: not deployed after {STACK_SECONDS:.0f} s")

    def _why(self, name: str) -> str:
        """Describe the resources that failed in the last attempt, with the reasons."""
        events = self._cloudformation.describe_stack_events(StackName=name)["StackEvents"]
        reasons = []
        for event in events:
            if event["LogicalResourceId"] == name and event["ResourceStatus"] in STARTED:
                break
            if "FAILED" in event["ResourceStatus"]:
                reasons.append(
                    f"{event['LogicalResourceId']} ({event['ResourceType']}): "
                    f"{event.get('ResourceStatusReason', '')}"
                )
        return "; ".join(reasons)


def _outputs(stack: Mapping[str, Any]) -> dict[str, str]:
    return {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs") or ()}


def stacks(assembly: Path) -> Iterator[Stack]:
    """Yield the stacks of a cloud assembly, each after its dependencies."""
    artifacts: dict[str, Any] = json.loads((assembly / "manifest.json").read_text())["artifacts"]
    done: set[str] = set()

    def visit(name: str) -> Iterator[Stack]:
        artifact = artifacts[name]
        if name in done or artifact["type"] != "aws:cloudformation:stack":
            return
        done.add(name)
        manifests = []
        for dependency in artifact.get("dependencies", ()):
            if artifacts[dependency]["type"] == "cdk:asset-manifest":
                manifests.append(assembly / artifacts[dependency]["properties"]["file"])
            else:
                yield from visit(dependency)
        properties = artifact["properties"]
        yield Stack(
            properties.get("stackName", name),
            _literal(properties["stackTemplateAssetObjectUrl"]).removeprefix("s3://"),
            tuple(manifests),
        )

    for name in artifacts:
        yield from visit(name)


def _literal(text: str) -> str:
    values = {"AccountId": ACCOUNT, "Region": REGION, "Partition": "aws"}
    for name, value in values.items():
        text = text.replace(f"${{AWS::{name}}}", value)
    return text


def _zipped(folder: Path) -> bytes:
    """Pack a folder into an archive whose bytes depend only on its files.

    It is not compressed, because it stays on this machine."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                entry = zipfile.ZipInfo(str(file.relative_to(folder)), _EPOCH)
                entry.external_attr = file.stat().st_mode << 16
                archive.writestr(entry, file.read_bytes())
    return buffer.getvalue()
