"""The ports on SNS, SQS, Step Functions, Secrets Manager, Systems Manager and S3."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from typing import Any

import boto3
import pytest

from desireline.adapters.aws import config
from desireline.adapters.s3 import S3Blobs
from desireline.adapters.secrets import SecretsManager
from desireline.adapters.sns import SnsSender, alert_client
from desireline.adapters.sqs import SqsQueue
from desireline.adapters.stepfunctions import StateMachine
from desireline.adapters.switches import ParameterSwitches
from desireline.errors import DeniedError, TerminalError, UnavailableError
from desireline.ports import Alert
from desireline_local.aws.cloud import REGION, Control, LocalAws
from desireline_local.kafka.broker import free_port
from tests.integration.tiny_functions import eventually

Clients = Callable[..., Any]
ALERT = Alert("Trial goes cold", "Who: …\nWhat: call", {"tier": "hot", "score": 12, "none": ""})


class Hands:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.at = 1_000_000

    def now(self) -> int:
        return self.at


class Inbox:
    """A queue that is subscribed to a topic of its own."""

    def __init__(self, clients: Clients, name: str) -> None:
        self._sqs = clients("sqs")
        sns = clients("sns")
        self.topic = sns.create_topic(Name=name)["TopicArn"]
        self._url = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])
        sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=arn["Attributes"]["QueueArn"])

    def messages(self, count: int = 0) -> list[dict[str, Any]]:
        """What has come, each taken once: waited for until there are so many."""
        found: list[dict[str, Any]] = []

        def come() -> bool:
            answer = self._sqs.receive_message(
                QueueUrl=self._url, MaxNumberOfMessages=10, WaitTimeSeconds=1, VisibilityTimeout=600
            )
            found.extend(json.loads(one["Body"]) for one in answer.get("Messages", []))
            return len(found) >= count

        eventually(come, seconds=60)
        return found


def test_an_alert_arrives_once_with_typed_attributes(clients: Clients, unique: str) -> None:
    inbox = Inbox(clients, unique)

    sent = SnsSender(clients("sns", attempts=1), inbox.topic).send(ALERT)

    (message,) = inbox.messages(1)
    assert message["MessageId"] == sent
    assert (message["Subject"], message["Message"]) == (ALERT.subject, ALERT.body)
    assert message["MessageAttributes"] == {
        "tier": {"Type": "String", "Value": "hot"},
        "score": {"Type": "Number", "Value": "12"},
    }
    assert inbox.messages() == []


def test_an_alert_whose_answer_is_lost_is_unknown_and_sent_once(
    local_aws: LocalAws,
    clients: Clients,
    control: Control,
    unique: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The functions' own client: botocore's default would send it again (delivery rule 8)."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SNS", local_aws.endpoint)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    inbox = Inbox(clients, unique)
    control.faults(silent_publishes=1)

    with closing(alert_client()) as sns, pytest.raises(UnavailableError, match="ReadTimeoutError"):
        SnsSender(sns, inbox.topic).send(ALERT)

    assert control.faults()["silent_publishes"] == 0
    assert len(inbox.messages(1)) == 1
    assert inbox.messages() == []


@pytest.mark.parametrize("subject", ["x" * 101, "two\nlines"])
def test_an_alert_that_sns_refuses_is_terminal(clients: Clients, unique: str, subject: str) -> None:
    inbox = Inbox(clients, unique)
    with pytest.raises(TerminalError):
        SnsSender(clients("sns", attempts=1), inbox.topic).send(Alert(subject, "b", {}))
    assert inbox.messages() == []


def test_a_topic_that_does_not_exist_is_waited_for(clients: Clients, unique: str) -> None:
    arn = f"arn:aws:sns:us-east-1:000000000000:{unique}"
    with pytest.raises(DeniedError):
        SnsSender(clients("sns", attempts=1), arn).send(ALERT)


def test_a_queue_holds_what_was_put(clients: Clients, unique: str) -> None:
    sqs = clients("sqs")
    url = sqs.create_queue(QueueName=unique)["QueueUrl"]
    SqsQueue(sqs, url).put('{"subject":"é"}')
    (message,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"]
    assert message["Body"] == '{"subject":"é"}'


def test_a_queue_that_does_not_exist_is_terminal(
    clients: Clients, local_aws: LocalAws, unique: str
) -> None:
    with pytest.raises(TerminalError):
        SqsQueue(clients("sqs"), f"{local_aws.endpoint}/000000000000/{unique}").put("x")


@pytest.fixture
def machine(clients: Clients, unique: str) -> str:
    """A state machine that waits for an hour; its ARN."""
    states = {"Wait": {"Type": "Wait", "Seconds": 3600, "End": True}}
    arn: str = clients("stepfunctions").create_state_machine(
        name=unique,
        definition=json.dumps({"StartAt": "Wait", "States": states}),
        roleArn="arn:aws:iam::000000000000:role/test",
    )["stateMachineArn"]
    return arn


def test_an_execution_is_started_once(clients: Clients, machine: str) -> None:
    sfn = clients("stepfunctions")
    workflow = StateMachine(sfn, machine)

    workflow.start(name="e-1", payload={"enrolment": "e-1"})
    workflow.start(name="e-1", payload={"enrolment": "e-1"})
    (execution,) = sfn.list_executions(stateMachineArn=machine)["executions"]
    assert (execution["name"], execution["status"]) == ("e-1", "RUNNING")
    described = sfn.describe_execution(executionArn=execution["executionArn"])
    assert json.loads(described["input"]) == {"enrolment": "e-1"}

    sfn.stop_execution(executionArn=execution["executionArn"])
    workflow.start(name="e-1", payload={"enrolment": "e-1"})
    assert len(sfn.list_executions(stateMachineArn=machine)["executions"]) == 1


def test_a_machine_that_does_not_exist_is_waited_for(clients: Clients, machine: str) -> None:
    with pytest.raises(DeniedError):
        StateMachine(clients("stepfunctions"), f"{machine}-no").start(name="e", payload={})


def test_a_rotated_secret_has_two_values_for_a_while(clients: Clients, unique: str) -> None:
    """Given a rotation, when the minute is over, then both are read, and the third drops the
    first."""
    client, wall = clients("secretsmanager"), Hands()
    arn = client.create_secret(Name=f"{unique}/segment", SecretString="one")["ARN"]
    secrets = SecretsManager(client, unique, wall)
    assert secrets.current("segment") == (b"one",)

    client.put_secret_value(SecretId=arn, SecretString="two\n")
    assert secrets.current("segment") == (b"one",)
    wall.at += 59_999
    assert secrets.refresh("segment") is False
    wall.at += 1
    assert secrets.refresh("segment") is True
    assert secrets.current("segment") == (b"two", b"one")

    client.put_secret_value(SecretId=arn, SecretString="three")
    wall.at += 60_000
    assert secrets.refresh("segment") is True
    assert secrets.current("segment") == (b"three", b"two")


def test_a_withdrawn_secret_holds_for_an_hour_at_most_also_where_nothing_else_asks(
    clients: Clients, unique: str
) -> None:
    client, wall = clients("secretsmanager"), Hands()
    arn = client.create_secret(Name=f"{unique}/direct", SecretString="one")["ARN"]
    secrets = SecretsManager(client, unique, wall)
    assert secrets.current("direct") == (b"one",)
    for value in ("two", "three"):
        client.put_secret_value(SecretId=arn, SecretString=value)

    wall.at += 3_599_999
    assert secrets.current("direct") == (b"one",)
    wall.at += 1
    assert secrets.current("direct") == (b"three", b"two")


def test_what_is_known_of_a_secret_holds_while_it_cannot_be_read(
    clients: Clients, unique: str
) -> None:
    client, wall = clients("secretsmanager"), Hands()
    client.create_secret(Name=f"{unique}/direct", SecretString="one")
    secrets = SecretsManager(client, unique, wall)
    secrets.current("direct")
    away = boto3.session.Session(
        aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION
    ).client(
        "secretsmanager", endpoint_url=f"http://127.0.0.1:{free_port()}", config=config(attempts=1)
    )
    with closing(away):
        secrets._client = away
        wall.at += 3_600_000
        assert secrets.current("direct") == (b"one",)
        with pytest.raises(UnavailableError):
            secrets.refresh("direct")


def test_a_secret_that_does_not_exist_is_terminal(clients: Clients, unique: str) -> None:
    with pytest.raises(TerminalError):
        SecretsManager(clients("secretsmanager"), unique).current("segment")


def test_switches_are_read_again_after_five_seconds(clients: Clients, unique: str) -> None:
    ssm, wall = clients("ssm"), Hands()

    def write(document: dict[str, Any]) -> None:
        text = json.dumps(document)
        ssm.put_parameter(Name=f"/{unique}", Value=text, Type="String", Overwrite=True)

    write({"send_mode": "allowlist", "allowlist": ["csm"]})
    switches = ParameterSwitches(ssm, f"/{unique}", wall)
    assert switches.send_mode() == "allowlist"
    assert (switches.allowed("csm"), switches.allowed("other")) == (True, False)
    assert switches.killed(playbook="p", channel="csm_alert") is False

    write({"send_mode": "live", "kill": {"playbooks": ["p"], "channels": ["email"]}})
    wall.at += 4_999
    assert switches.send_mode() == "allowlist"
    wall.at += 1
    assert switches.send_mode() == "live"
    assert switches.killed(playbook="p", channel="csm_alert") is True
    assert switches.killed(playbook="q", channel="email") is True
    assert switches.killed(playbook="q", channel="csm_alert") is False

    write({"kill": {"all": True}})
    wall.at += 5_000
    assert switches.send_mode() == "record"
    assert switches.killed(playbook="q", channel="csm_alert") is True


@pytest.mark.parametrize("document", ['{"send_mode":"loud"}', '{"sendmode":"live"}', "{"])
def test_switches_that_do_not_validate_send_nothing(
    clients: Clients, unique: str, document: str
) -> None:
    ssm = clients("ssm")
    ssm.put_parameter(Name=f"/{unique}", Value=document, Type="String")
    with pytest.raises(UnavailableError):
        ParameterSwitches(ssm, f"/{unique}").send_mode()


def test_missing_switches_are_waited_for(clients: Clients, unique: str) -> None:
    with pytest.raises(DeniedError):
        ParameterSwitches(clients("ssm"), f"/{unique}").send_mode()


def test_a_blob_is_stored_once(clients: Clients, unique: str) -> None:
    s3 = clients("s3")
    s3.create_bucket(Bucket=unique)
    blobs = S3Blobs(s3, unique)

    assert blobs.put_if_absent("a/b.gz", b"first") is True
    assert blobs.put_if_absent("a/b.gz", b"second") is False
    assert blobs.put_if_absent("a/c.gz", b"third") is True

    assert s3.get_object(Bucket=unique, Key="a/b.gz")["Body"].read() == b"first"


def test_a_bucket_that_does_not_exist_is_terminal(clients: Clients, unique: str) -> None:
    with pytest.raises(TerminalError):
        S3Blobs(clients("s3"), f"{unique}-no").put_if_absent("k", b"")
