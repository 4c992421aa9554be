"""The Workflow port on Step Functions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from desireline.adapters.aws import translated

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions.client import SFNClient


class StateMachine:
    """One state machine, by its ARN."""

    def __init__(self, client: SFNClient, arn: str) -> None:
        self._client = client
        self._arn = arn

    def start(self, *, name: str, payload: Mapping[str, Any]) -> None:
        with translated():
            try:
                self._client.start_execution(
                    stateMachineArn=self._arn, name=name, input=json.dumps(payload)
                )
            except ClientError as error:
                if error.response["Error"].get("Code") != "ExecutionAlreadyExists":
                    raise

    def stop(self, *, name: str, cause: str) -> None:
        with translated():
            try:
                self._client.stop_execution(
                    executionArn=f"{self._arn.replace(':stateMachine:', ':execution:')}:{name}",
                    cause=cause,
                )
            except ClientError as error:
                if error.response["Error"].get("Code") != "ExecutionDoesNotExist":
                    raise
