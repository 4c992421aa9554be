"""One test for each way in which the launcher makes ministack behave as AWS does."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from botocore.exceptions import ClientError

from desireline_local.aws.cloud import Control, LocalAws
from tests.integration.tiny_functions import (
    ROLE,
    FunctionFailedError,
    Notes,
    create_function,
    eventually,
    invoke,
)

RAISES = """
    class SlowDownError(Exception):
        pass
    def handle(event, context):
        if event.get("fail"):
            raise SlowDownError("later")
        return {"process": os.getpid()}
"""


@pytest.fixture(scope="module")
def raising(local_aws: LocalAws) -> str:
    return create_function(local_aws, RAISES)


def run_machine(aws: LocalAws, states: dict[str, Any], payload: Any) -> dict[str, Any]:
    """Run a state machine to its end."""
    stepfunctions = aws.client("stepfunctions")
    machine = stepfunctions.create_state_machine(
        name=f"m-{uuid4().hex[:8]}",
        definition=json.dumps({"StartAt": next(iter(states)), "States": states}),
        roleArn=ROLE,
    )["stateMachineArn"]
    execution = stepfunctions.start_execution(stateMachineArn=machine, input=json.dumps(payload))
    while True:
        found: dict[str, Any] = stepfunctions.describe_execution(
            executionArn=execution["executionArn"]
        )
        if found["status"] != "RUNNING":
            return found
        time.sleep(0.02)


def task(function: str, **more: Any) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": function, "Payload.$": "$"},
        **more,
    }


def test_an_exceptions_type_is_the_functions_error_type(local_aws: LocalAws, raising: str) -> None:
    with pytest.raises(FunctionFailedError) as failed:
        invoke(local_aws, raising, {"fail": True})

    assert failed.value.args[0]["errorType"] == "SlowDownError"
    assert failed.value.args[0]["errorMessage"] == "later"
    assert failed.value.args[0]["stackTrace"]


def test_a_worker_stays_warm_after_an_exception(local_aws: LocalAws, raising: str) -> None:
    before = invoke(local_aws, raising, {})["process"]

    with pytest.raises(FunctionFailedError):
        invoke(local_aws, raising, {"fail": True})

    assert invoke(local_aws, raising, {})["process"] == before


def test_a_state_machine_catches_by_the_exceptions_type(local_aws: LocalAws, raising: str) -> None:
    caught = {"Type": "Pass", "Result": "caught", "End": True}
    other = {"Type": "Pass", "Result": "something else", "End": True}
    run = task(
        raising,
        Catch=[
            {"ErrorEquals": ["OtherError"], "Next": "Other"},
            {"ErrorEquals": ["SlowDownError"], "Next": "Caught"},
        ],
        End=True,
    )

    found = run_machine(local_aws, {"Run": run, "Caught": caught, "Other": other}, {"fail": True})

    assert found["output"] == '"caught"'


def test_a_state_machine_retries_by_the_exceptions_type(local_aws: LocalAws) -> None:
    function = create_function(
        local_aws,
        """
        class SlowDownError(Exception):
            pass
        calls = 0
        def handle(event, context):
            global calls
            calls += 1
            if calls < 3:
                raise SlowDownError("later")
            return calls
        """,
    )
    retry = {"IntervalSeconds": 1, "MaxAttempts": 3, "BackoffRate": 1}
    run = task(
        function,
        Retry=[{"ErrorEquals": ["SlowDownError"], **retry}],
        OutputPath="$.Payload",
        End=True,
    )

    assert run_machine(local_aws, {"Run": run}, {})["output"] == "3"


def test_a_silent_handler_tells_that_its_log_is_complete(local_aws: LocalAws, raising: str) -> None:
    """The launcher waits a minute for the log of a handler that does not (LOG_SECONDS)."""
    lambdas = local_aws.client("lambda", read_timeout=30)
    invoke(local_aws, raising, {})

    answer = lambdas.invoke(FunctionName=raising, Payload=b"{}")["Payload"].read()

    assert json.loads(answer)["process"]


def test_the_log_of_an_environment_that_ends_ends_with_it(local_aws: LocalAws) -> None:
    function = create_function(
        local_aws,
        """
        def handle(event, context):
            print("last words", flush=True)
            os._exit(1)
        """,
    )

    lambdas = local_aws.client("lambda", read_timeout=30)
    answer = lambdas.invoke(FunctionName=function, Payload=b"{}")

    assert answer["FunctionError"]
    assert "last words" in logged(local_aws, function)


def logged(aws: LocalAws, function: str) -> list[str]:
    """Of all its invocations' logs."""
    logs, group = aws.client("logs"), f"/aws/lambda/{function}"
    return [
        one["message"]
        for stream in logs.describe_log_streams(logGroupName=group)["logStreams"]
        for one in logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])[
            "events"
        ]
    ]


def test_each_invocation_has_its_own_log_and_all_of_it(local_aws: LocalAws) -> None:
    """Also many lines, an exception, and a text that ends in the midst of a line."""
    function = create_function(
        local_aws,
        """
        def handle(event, context):
            for number in range(200):
                print(event["call"], number)
            if event["call"] == "b":
                raise ValueError("no")
            print(event["call"], "in the midst", end="")
        """,
    )
    for call in "abc":
        with suppress(FunctionFailedError):
            invoke(local_aws, function, {"call": call})

    logs = local_aws.client("logs")
    group = f"/aws/lambda/{function}"
    streams = logs.describe_log_streams(logGroupName=group)["logStreams"]
    found = {}
    for stream in streams:
        events = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])
        messages = [one["message"] for one in events["events"]]
        lines = [line for line in messages if re.match("[abc] ", line)]
        found[lines[0][0]] = lines
    numbered = {call: [f"{call} {number}" for number in range(200)] for call in "abc"}
    assert found == {
        call: [*lines, *([f"{call} in the midst"] if call != "b" else [])]
        for call, lines in numbered.items()
    }


def test_a_function_that_runs_is_in_flight(
    local_aws: LocalAws, control: Control, tmp_path: Path
) -> None:
    held = tmp_path / "held"
    environment = {"HELD": str(held)}
    function = create_function(
        local_aws, "def handle(event, context): held()", environment=environment
    )
    invoke(local_aws, function, {})
    held.touch()

    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(invoke, local_aws, function, {}) for _ in range(2)]
        try:
            eventually(lambda: control.rest()["in_flight"].get(function) == 2)
        finally:
            held.unlink()
        for one in running:
            one.result()

    rest = control.rest()
    assert function not in rest["in_flight"]
    assert rest["started"][function] == 3


def test_environments_of_a_function_share_what_is_unpacked(
    local_aws: LocalAws, tmp_path: Path
) -> None:
    held = tmp_path / "held"
    held.touch()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("python/shared_part.py", "answer = 42")
    lambdas = local_aws.client("lambda")
    layer = lambdas.publish_layer_version(
        LayerName=f"l-{uuid4().hex[:8]}", Content={"ZipFile": buffer.getvalue()}
    )["LayerVersionArn"]
    function = create_function(
        local_aws,
        """
        def handle(event, context):
            import shared_part
            note("started")
            held()
            where = [os.path.realpath(part) for part in (__file__, shared_part.__file__)]
            return {"process": os.getpid(), "where": where, "answer": shared_part.answer}
        """,
        environment={"HELD": str(held)},
    )
    lambdas.update_function_configuration(FunctionName=function, Layers=[layer])

    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(invoke, local_aws, function, {}) for _ in range(3)]
        try:
            Notes(local_aws, function).wait(3)
        finally:
            held.unlink()
        answers = [one.result() for one in running]

    assert len({one["process"] for one in answers}) == 3
    assert len({tuple(one["where"]) for one in answers}) == 1
    assert {one["answer"] for one in answers} == {42}


def test_a_payload_over_six_megabytes_is_refused(local_aws: LocalAws, raising: str) -> None:
    with pytest.raises(ClientError) as refused:
        invoke(local_aws, raising, {"filling": "x" * 6_300_000})

    assert refused.value.response["Error"]["Code"] == "RequestTooLargeException"


# The HTTP API.


@pytest.fixture(scope="module")
def api(local_aws: LocalAws) -> str:
    function = create_function(
        local_aws,
        """
        import base64, hashlib
        def handle(event, context):
            body = event.get("body") or ""
            binary = event["isBase64Encoded"]
            raw = base64.b64decode(body) if binary else body.encode()
            answer = {"binary": binary, "size": len(raw), "sha": hashlib.sha256(raw).hexdigest()}
            return {"statusCode": 200, "body": json.dumps(answer)}
        """,
    )
    gateway = local_aws.client("apigatewayv2")
    made = gateway.create_api(Name=function, ProtocolType="HTTP")["ApiId"]
    integration = gateway.create_integration(
        ApiId=made,
        IntegrationType="AWS_PROXY",
        IntegrationUri=f"arn:aws:lambda:us-east-1:000000000000:function:{function}",
        PayloadFormatVersion="2.0",
    )["IntegrationId"]
    gateway.create_route(ApiId=made, RouteKey="POST /in", Target=f"integrations/{integration}")
    gateway.create_stage(ApiId=made, StageName="$default", AutoDeploy=True)
    return f"{local_aws.endpoint}/_aws/execute-api/{made}/$default/in"


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/octet-stream"])
@pytest.mark.parametrize(
    "body",
    [gzip.compress(b'{"a": 1}'), b'{"name": "Jos\xe9"}', bytes(range(256))],
    ids=["gzip", "latin-1", "every byte"],
)
def test_a_body_that_is_no_utf8_arrives_byte_for_byte(api: str, body: bytes, kind: str) -> None:
    answer = httpx.post(api, content=body, headers={"content-type": kind}, timeout=120).json()

    assert answer == {"binary": True, "size": len(body), "sha": digest(body)}


def test_a_text_body_arrives_as_text(api: str) -> None:
    body = '{"name": "José ☃"}'.encode()

    answer = httpx.post(
        api, content=body, headers={"content-type": "application/json"}, timeout=120
    ).json()

    assert answer == {"binary": False, "size": len(body), "sha": digest(body)}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"x" * (10 * 1024 * 1024 + 1), 413),  # over API Gateway's limit
        (b"x" * 6_400_000, 413),  # over Lambda's
        (b"\xff" * 5_000_000, 413),  # over Lambda's once it is base64
        (b"\xff" * 4_000_000, 200),
        (b"x" * 5_900_000, 200),
    ],
    ids=["11 MB", "6.4 MB of text", "5 MB binary", "4 MB binary", "5.9 MB of text"],
)
def test_bodies_have_the_limits_of_api_gateway_and_lambda(
    api: str, body: bytes, status: int
) -> None:
    answer = httpx.post(api, content=body, headers={"content-type": "text/plain"}, timeout=120)

    assert answer.status_code == status
    if status == 200:
        assert answer.json()["sha"] == digest(body)


# What AWS refuses.


def test_names_of_executions_have_eighty_characters_at_most(local_aws: LocalAws) -> None:
    stepfunctions = local_aws.client("stepfunctions")
    done = {"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}
    machine = stepfunctions.create_state_machine(
        name=f"m-{uuid4().hex[:8]}", definition=json.dumps(done), roleArn=ROLE
    )["stateMachineArn"]

    stepfunctions.start_execution(stateMachineArn=machine, name="n" * 80)
    for name in ("n" * 81, "with space", "a/b"):
        with pytest.raises(ClientError) as refused:
            stepfunctions.start_execution(stateMachineArn=machine, name=name)
        assert refused.value.response["Error"]["Code"] == "InvalidName"


@pytest.mark.parametrize(
    "moment", ["2027-01-01", "2027-01-01 00:00:00Z", "tomorrow", "2027-13-01T00:00:00Z"]
)
def test_a_wait_for_what_is_no_timestamp_fails(local_aws: LocalAws, moment: str) -> None:
    wait = {"Type": "Wait", "TimestampPath": "$.until", "End": True}

    found = run_machine(local_aws, {"Wait": wait}, {"until": moment})

    assert (found["status"], found["error"]) == ("FAILED", "States.Runtime")


@pytest.mark.parametrize(
    "message",
    [
        {"Subject": "s" * 101},
        {"Subject": "two\nlines"},
        {"MessageAttributes": {"score": {"DataType": "Number", "StringValue": "high"}}},
        {"MessageAttributes": {"score": {"DataType": "Number", "StringValue": ""}}},
        {"MessageAttributes": {"score": {"DataType": "Number", "StringValue": "NaN"}}},
    ],
    ids=["long subject", "two lines", "no number", "empty number", "NaN"],
)
def test_sns_refuses_what_the_service_refuses(local_aws: LocalAws, message: dict[str, Any]) -> None:
    sns = local_aws.client("sns")
    topic = sns.create_topic(Name=f"t-{uuid4().hex[:8]}")["TopicArn"]

    with pytest.raises(ClientError) as refused:
        sns.publish(TopicArn=topic, Message="hello", **message)

    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_sns_takes_what_the_service_takes(local_aws: LocalAws) -> None:
    sns, sqs = local_aws.client("sns"), local_aws.client("sqs")
    topic = sns.create_topic(Name=f"t-{uuid4().hex[:8]}")["TopicArn"]
    queue = sqs.create_queue(QueueName=f"q-{uuid4().hex[:8]}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    sns.subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=arn["QueueArn"],
        Attributes={"RawMessageDelivery": "true"},
    )

    sns.publish(
        TopicArn=topic,
        Message="hello",
        Subject="s" * 100,
        MessageAttributes={"score": {"DataType": "Number", "StringValue": "0.91"}},
    )

    message = sqs.receive_message(
        QueueUrl=queue, WaitTimeSeconds=20, MessageAttributeNames=["All"]
    )["Messages"][0]
    assert message["Body"] == "hello"
    assert message["MessageAttributes"]["score"]["StringValue"] == "0.91"


# CloudFormation.


def deploy_template(
    aws: LocalAws, name: str, resources: dict[str, Any], **outputs: Any
) -> dict[str, str]:
    """Create or update a stack; its outputs."""
    cloudformation = aws.client("cloudformation")
    template = {
        "Resources": resources,
        "Outputs": {key: {"Value": value} for key, value in outputs.items()},
    }
    arguments = {"StackName": name, "TemplateBody": json.dumps(template)}
    try:
        cloudformation.create_stack(**arguments)
    except cloudformation.exceptions.AlreadyExistsException:
        cloudformation.update_stack(**arguments)
    while True:
        stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        if not stack["StackStatus"].endswith("IN_PROGRESS"):
            break
        time.sleep(0.02)
    assert stack["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE"), stack
    return {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", [])}


def delete_stack(aws: LocalAws, name: str) -> None:
    """Returns when nothing of it is left for other tests to find."""
    cloudformation = aws.client("cloudformation")
    cloudformation.delete_stack(StackName=name)
    cloudformation.get_waiter("stack_delete_complete").wait(
        StackName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 1200}
    )


def test_ref_of_a_secret_is_its_arn(local_aws: LocalAws) -> None:
    stack, name = f"s-{uuid4().hex[:8]}", f"secret-{uuid4().hex[:8]}"

    def secret(value: str) -> dict[str, Any]:
        properties = {"Name": name, "SecretString": value}
        return {"Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": properties}}

    arn = deploy_template(local_aws, stack, secret("one"), Ref={"Ref": "Secret"})["Ref"]
    again = deploy_template(local_aws, stack, secret("two"), Ref={"Ref": "Secret"})["Ref"]

    assert arn.startswith("arn:aws:secretsmanager:us-east-1:000000000000:secret:" + name)
    assert again == arn
    secrets = local_aws.client("secretsmanager")
    assert secrets.get_secret_value(SecretId=arn)["SecretString"] == "two"
    delete_stack(local_aws, stack)


KAFKA_MAPPING = {
    "EventSourceArn": "arn:aws:kafka:us-east-1:000000000000:cluster/local/abc-1",
    "Topics": ["events.received"],
    "AmazonManagedKafkaEventSourceConfig": {"ConsumerGroupId": "group-1"},
    "StartingPosition": "TRIM_HORIZON",
    "BatchSize": 500,
    "MaximumBatchingWindowInSeconds": 1,
    "BisectBatchOnFunctionError": True,
    "FunctionResponseTypes": ["ReportBatchItemFailures"],
    "MaximumRetryAttempts": 7,
    "MaximumRecordAgeInSeconds": 3600,
    "DestinationConfig": {"OnFailure": {"Destination": "arn:aws:s3:::dead"}},
    "ProvisionedPollerConfig": {"MinimumPollers": 1, "MaximumPollers": 2},
}


def mapping_resource(function: str, **changes: Any) -> dict[str, Any]:
    properties = {**KAFKA_MAPPING, "FunctionName": function, **changes}
    return {"Mapping": {"Type": "AWS::Lambda::EventSourceMapping", "Properties": properties}}


def listed(aws: LocalAws, function: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = aws.client("lambda").list_event_source_mappings(
        FunctionName=function
    )["EventSourceMappings"]
    return found


def test_a_kafka_mapping_tells_all_its_settings(local_aws: LocalAws, raising: str) -> None:
    stack = f"s-{uuid4().hex[:8]}"

    deploy_template(local_aws, stack, mapping_resource(raising))

    [found] = listed(local_aws, raising)
    assert {name: found[name] for name in KAFKA_MAPPING} == KAFKA_MAPPING
    assert found["State"] == "Enabled"

    deploy_template(
        local_aws,
        stack,
        mapping_resource(
            raising,
            BatchSize=50,
            ProvisionedPollerConfig={"MinimumPollers": 2, "MaximumPollers": 4},
            Enabled=False,
        ),
    )

    [found] = listed(local_aws, raising)
    assert found["BatchSize"] == 50
    assert found["ProvisionedPollerConfig"] == {"MinimumPollers": 2, "MaximumPollers": 4}
    assert found["State"] == "Disabled"
    delete_stack(local_aws, stack)


def test_a_disabled_kafka_mapping_is_listed_as_such(local_aws: LocalAws, raising: str) -> None:
    stack = f"s-{uuid4().hex[:8]}"

    deploy_template(local_aws, stack, mapping_resource(raising, Enabled=False))

    assert [one["State"] for one in listed(local_aws, raising)] == ["Disabled"]
    delete_stack(local_aws, stack)


def test_functions_inherit_nothing_from_who_started_the_cloud(local_aws: LocalAws) -> None:
    function = create_function(local_aws, "def handle(event, context): return dict(os.environ)")

    seen = invoke(local_aws, function, {})

    assert not [name for name in seen if name.startswith(("PYTEST", "VIRTUAL_ENV", "AWS_PROFILE"))]
    assert seen["HOME"] == seen["TMPDIR"]
