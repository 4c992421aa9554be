"""Invoke Lambda functions with the events of an event source mapping."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

from desireline.adapters.aws import translated
from desireline.errors import TerminalError

if TYPE_CHECKING:
    from mypy_boto3_lambda.client import LambdaClient


class LambdaFunctions:
    """Invokes functions. client: makes one attempt, and waits longer than a function may run.

    A retry would start a second invocation while the first one runs."""

    def __init__(self, client: LambdaClient) -> None:
        self._client = client

    def invoke(self, function: str, event: Mapping[str, Any]) -> Any:
        with translated():
            answer = self._client.invoke(FunctionName=function, Payload=orjson.dumps(event))
            body = answer["Payload"].read()
        if answer.get("FunctionError"):
            raise TerminalError("function_error", function)
        return orjson.loads(body) if body else None
