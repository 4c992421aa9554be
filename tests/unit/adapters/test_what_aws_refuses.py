"""What AWS refuses: because of the record, which is set aside, or because of the deployment, so
that every record waits until somebody has put it right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from desireline.adapters.aws import error_of
from desireline.adapters.dynamodb import DynamoStore
from desireline.adapters.sns import SnsSender
from desireline.adapters.stepfunctions import StateMachine
from desireline.adapters.switches import ParameterSwitches
from desireline.contracts import Table
from desireline.errors import DeniedError, RetryableError, TerminalError, ThrottledError
from desireline.ports import Alert
from desireline.rows import AliasRow, Put

ALIAS = AliasRow(type="email", fragment="f", root="f")
ARN = "arn:aws:states:us-east-1:000000000000:stateMachine:m"


def refused(code: str, status: int = 400) -> ClientError:
    answer: Any = {
        "Error": {"Code": code, "Message": "no"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, "Operation")


@pytest.mark.parametrize(
    "code",
    [
        *("AccessDenied", "AccessDeniedException", "AuthorizationError", "ExpiredToken"),
        *("ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"),
        *("KMSAccessDenied", "KMSDisabled", "KmsInvalidState", "KmsAccessDeniedException"),
    ],
)
def test_who_is_not_let_in_waits(code: str) -> None:
    assert isinstance(error_of(refused(code)), DeniedError)


@pytest.mark.parametrize(
    "code", ["ExecutionLimitExceeded", "KMSThrottling", "KmsThrottled", "RequestThrottled"]
)
def test_what_is_too_much_at_once_is_a_throttle_whatever_it_is_called(code: str) -> None:
    assert isinstance(error_of(refused(code)), ThrottledError)


def test_a_request_that_is_wrong_is_terminal() -> None:
    assert isinstance(error_of(refused("InvalidParameter")), TerminalError)


Stubbed = Callable[[str], tuple[Any, Stubber]]


@pytest.fixture
def stubbed() -> Iterator[Stubbed]:
    """A client that calls nobody, and what says how it is answered."""
    with ExitStack() as stack:

        def make(service: str) -> tuple[Any, Stubber]:
            session = boto3.session.Session(
                aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1"
            )
            client: Any = stack.enter_context(closing(session.client(service)))  # type: ignore[call-overload]
            return client, stack.enter_context(Stubber(client))

        yield make


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("AccessDeniedException", DeniedError),
        ("ResourceNotFoundException", DeniedError),
        ("SomethingNew", DeniedError),
        ("ValidationException", TerminalError),
    ],
)
def test_a_table_sets_aside_only_what_would_fit_into_none(
    stubbed: Stubbed, code: str, error: type[Exception]
) -> None:
    client, stub = stubbed("dynamodb")
    store = DynamoStore(client, {Table.IDENTITY: "identity"})
    for operation, call in (
        ("get_item", lambda: store.get(ALIAS.ref)),
        ("batch_get_item", lambda: store.get_all([ALIAS.ref])),
        ("put_item", lambda: store.write(Put(ALIAS))),
    ):
        stub.add_client_error(operation, code, http_status_code=400)
        with pytest.raises(error):
            call()


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("ExecutionLimitExceeded", ThrottledError),
        ("StateMachineDoesNotExist", DeniedError),
        ("StateMachineDeleting", DeniedError),
        ("KmsAccessDeniedException", DeniedError),
        ("InvalidName", TerminalError),
    ],
)
def test_a_trigger_waits_for_room_and_for_its_machine(
    stubbed: Stubbed, code: str, error: type[Exception]
) -> None:
    client, stub = stubbed("stepfunctions")
    stub.add_client_error("start_execution", code, http_status_code=400)
    with pytest.raises(error):
        StateMachine(client, ARN).start(name="e", payload={})


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("NotFound", DeniedError),
        ("AuthorizationError", DeniedError),
        ("KMSDisabled", DeniedError),
        ("KMSThrottling", ThrottledError),
        ("InvalidParameter", TerminalError),
    ],
)
def test_an_alert_is_refused_for_good_only_for_what_it_says(
    stubbed: Stubbed, code: str, error: type[Exception]
) -> None:
    client, stub = stubbed("sns")
    stub.add_client_error("publish", code, http_status_code=400)
    with pytest.raises(error):
        SnsSender(client, "arn:aws:sns:us-east-1:000000000000:t").send(Alert("s", "b", {}))


def test_switches_that_are_not_there_are_waited_for(stubbed: Stubbed) -> None:
    client, stub = stubbed("ssm")
    stub.add_client_error("get_parameter", "ParameterNotFound", http_status_code=400)
    with pytest.raises(DeniedError):
        ParameterSwitches(client, "/switches").send_mode()


@pytest.mark.parametrize(
    "document", ['{"send_mode":"loud"}', '{"sendmode":"live"}', '{"kill":{"every":true}}', "{"]
)
def test_a_mistyped_switch_sends_nothing_and_ends_nothing(stubbed: Stubbed, document: str) -> None:
    """An execution that fails for good at somebody's typing error would be lost."""
    client, stub = stubbed("ssm")
    switches = ParameterSwitches(client, "/switches")
    for value in (document, '{"send_mode":"live"}'):
        stub.add_response("get_parameter", {"Parameter": {"Value": value}})

    with pytest.raises(RetryableError, match="switches"):
        switches.killed(playbook="p", channel="csm_alert")
    assert switches.send_mode() == "live"
