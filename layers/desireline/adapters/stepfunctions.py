"""The Workflow port on Step Functions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from desireline.adapters.aws import translated
from desireline.errors import DeniedError, TerminalError

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions.client import SFNClient

_AN_EXECUTIONS_FAULT = frozenset({"InvalidExecutionInput", "InvalidName", "ValidationException"})
"""Refusals that depend on the execution. Any execution gets the others, such as a missing state
machine."""


class StateMachine:
    """One state machine, by its ARN."""

    def __init__(self, client: SFNClient, arn: str) -> None:
        self._client = client
        self._arn = arn

    def start(self, *, name: str, payload: Mapping[str, Any]) -> None:
        with _translated():
            try:
                self._client.start_execution(
                    stateMachineArn=self._arn, name=name, input=json.dumps(payload)
                )
            except ClientError as error:
                if error.response["Error"].get("Code") != "ExecutionAlreadyExists":
                    raise


def timestamp(milliseconds: int) -> str:
    """Return a time in the form of a Wait state: RFC 3339 with T and Z, in whole seconds."""
    return datetime.fromtimestamp(milliseconds // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@contextmanager
def _translated() -> Iterator[None]:
    """Translate errors of AWS. A refusal that any execution gets becomes a DeniedError."""
    try:
        with translated():
            yield
    except TerminalError as error:
        if error.reason in _AN_EXECUTIONS_FAULT:
            raise
        raise DeniedError(error.reason) from error
