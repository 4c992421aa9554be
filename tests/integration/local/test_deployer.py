"""A cloud assembly, as the CDK writes it, on the local AWS."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from desireline_local.aws.cloud import LocalAws
from desireline_local.deploy import Deployer, DeployError, stacks
from tests.integration.tiny_functions import ROLE, invoke

ASSETS = "cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}"
BUCKET = "cdk-hnb659fds-assets-000000000000-us-east-1"


class Assembly:
    """Written by hand: a stack with a function, and one that learns of it by a parameter."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = f"d{uuid4().hex[:8]}"
        self.function = f"{self.name}-echo"
        self.code = "def handle(event, context): return 'first'"
        self.more: dict[str, Any] = {}
        self.write()

    def write(self) -> None:
        """Write all anew; a changed folder or template has another hash, as with the CDK."""
        self.folder.mkdir(exist_ok=True)
        code = self.folder / f"asset.{abs(hash(self.code))}"
        code.mkdir(exist_ok=True)
        (code / "index.py").write_text(self.code)
        artifacts = {
            # The dependent comes first, to see that order is not the manifest's.
            **self._stack("reader", self._reader(), None, [f"{self.name}-maker"]),
            **self._stack("maker", {**self._maker(code.name), **self.more}, code, []),
        }
        manifest = {"version": "48.0.0", "artifacts": artifacts}
        (self.folder / "manifest.json").write_text(json.dumps(manifest))

    def _maker(self, asset: str) -> dict[str, Any]:
        function = {
            "FunctionName": self.function,
            "Runtime": "python3.11",
            "Handler": "index.handle",
            "Role": ROLE,
            "Code": {"S3Bucket": {"Fn::Sub": ASSETS}, "S3Key": f"{asset}.zip"},
        }
        name = {"Name": f"/{self.name}/function", "Type": "String", "Value": {"Ref": "Echo"}}
        return {
            "Echo": {"Type": "AWS::Lambda::Function", "Properties": function},
            "Name": {"Type": "AWS::SSM::Parameter", "Properties": name},
        }

    def _reader(self) -> dict[str, Any]:
        queue = {"QueueName": {"Fn::Join": ["-", [{"Ref": "Name"}, "queue"]]}}
        return {"Queue": {"Type": "AWS::SQS::Queue", "Properties": queue}}

    def _stack(
        self, stage: str, resources: dict[str, Any], code: Path | None, after: list[str]
    ) -> dict[str, Any]:
        name = f"{self.name}-{stage}"
        parameter = {"Type": "AWS::SSM::Parameter::Value<String>"}
        template: dict[str, Any] = {"Resources": resources}
        if stage == "reader":
            template["Parameters"] = {"Name": {**parameter, "Default": f"/{self.name}/function"}}
            template["Outputs"] = {"Queue": {"Value": {"Ref": "Queue"}}}
        text = json.dumps(template)
        file = f"{name}.template.json"
        (self.folder / file).write_text(text)
        key = f"{abs(hash(text))}.json"
        files = {"template": self._file(file, key, "file")}
        if code:
            files["code"] = self._file(code.name, f"{code.name}.zip", "zip")
        (self.folder / f"{name}.assets.json").write_text(json.dumps({"files": files}))
        properties = {"templateFile": file, "stackTemplateAssetObjectUrl": f"s3://{ASSETS}/{key}"}
        assets = {"type": "cdk:asset-manifest", "properties": {"file": f"{name}.assets.json"}}
        return {
            name: {
                "type": "aws:cloudformation:stack",
                "properties": {**properties, "stackName": name},
                "dependencies": [*after, f"{name}.assets"],
            },
            f"{name}.assets": assets,
        }

    def _file(self, path: str, key: str, packaging: str) -> dict[str, Any]:
        return {
            "source": {"path": path, "packaging": packaging},
            "destinations": {"here": {"bucketName": ASSETS, "objectKey": key}},
        }


@pytest.fixture
def assembly(tmp_path: Path) -> Assembly:
    return Assembly(tmp_path / "cdk.out")


@pytest.fixture
def deploy(local_aws: LocalAws, assembly: Assembly) -> Callable[[], dict[str, str]]:
    """Deploys it as it is now; its outputs."""
    return lambda: Deployer(local_aws.client).deploy(assembly.folder)


def test_stacks_come_after_those_that_they_depend_on(assembly: Assembly) -> None:
    names = [stack.name for stack in stacks(assembly.folder)]

    assert names == [f"{assembly.name}-maker", f"{assembly.name}-reader"]


def test_assets_parameters_and_outputs(
    local_aws: LocalAws, assembly: Assembly, deploy: Callable[[], dict[str, str]]
) -> None:
    outputs = deploy()

    assert invoke(local_aws, assembly.function, {}) == "first"
    assert outputs["Queue"].endswith(f"/{assembly.function}-queue")


def test_the_same_assembly_again_changes_nothing(
    local_aws: LocalAws, assembly: Assembly, deploy: Callable[[], dict[str, str]]
) -> None:
    first = deploy()
    lambdas = local_aws.client("lambda")
    before = lambdas.get_function_configuration(FunctionName=assembly.function)["LastModified"]

    assert deploy() == first

    after = lambdas.get_function_configuration(FunctionName=assembly.function)["LastModified"]
    assert after == before


def test_changed_code_replaces_what_runs(
    local_aws: LocalAws, assembly: Assembly, deploy: Callable[[], dict[str, str]]
) -> None:
    deploy()
    invoke(local_aws, assembly.function, {})

    assembly.code = "def handle(event, context): return 'second'"
    assembly.write()
    deploy()

    assert invoke(local_aws, assembly.function, {}) == "second"


def test_a_failure_names_the_resource_and_the_reason(
    local_aws: LocalAws, assembly: Assembly, deploy: Callable[[], dict[str, str]]
) -> None:
    broken = {"FunctionName": "nobody", "Qualifier": "", "MaximumRetryAttempts": 1}
    assembly.more = {"Impossible": {"Type": "AWS::Lambda::EventInvokeConfig", "Properties": broken}}
    assembly.write()

    with pytest.raises(DeployError, match="Impossible.*EventInvokeConfig.*nobody"):
        deploy()

    assembly.more = {}
    assembly.write()
    deploy()
    assert invoke(local_aws, assembly.function, {}) == "first", "it recovers"


def test_a_failed_update_leaves_what_was_and_may_be_taken_back(
    local_aws: LocalAws, assembly: Assembly, deploy: Callable[[], dict[str, str]]
) -> None:
    good = deploy()
    broken = {"FunctionName": "nobody", "Qualifier": "", "MaximumRetryAttempts": 1}
    assembly.more = {"Later": {"Type": "AWS::Lambda::EventInvokeConfig", "Properties": broken}}
    assembly.write()

    for _ in range(2):
        with pytest.raises(DeployError) as failed:
            deploy()
        assert str(failed.value).count("Later") == 1, "the last attempt's reason"
    assert invoke(local_aws, assembly.function, {}) == "first"

    assembly.more = {}
    assembly.write()
    assert deploy() == good


def test_an_archive_depends_on_its_files_alone(
    local_aws: LocalAws, assembly: Assembly, deploy: Callable[[], dict[str, str]]
) -> None:
    deploy()
    s3 = local_aws.client("s3")
    [key] = [path.name for path in assembly.folder.glob("asset.*")]
    first = s3.get_object(Bucket=BUCKET, Key=f"{key}.zip")["Body"].read()
    s3.delete_object(Bucket=BUCKET, Key=f"{key}.zip")
    for file in (assembly.folder / key).iterdir():
        file.touch()

    deploy()

    assert s3.get_object(Bucket=BUCKET, Key=f"{key}.zip")["Body"].read() == first


def test_what_left_out_stacks_would_tell_is_told_by_parameters(local_aws: LocalAws) -> None:
    name = f"/{uuid4().hex[:8]}/kafka/bootstrap"

    for address in ("127.0.0.1:1", "127.0.0.1:2"):
        Deployer(local_aws.client).parameters({name: address})

    found = local_aws.client("ssm").get_parameter(Name=name)["Parameter"]["Value"]
    assert found == "127.0.0.1:2"
