"""Functions, invoked as an event source mapping invokes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

from desireline.adapters.aws import translated
from desireline.errors import TerminalError

if TYPE_CHECKING:
    from mypy_boto3_lambda.client import LambdaClient


class LambdaFunctions:
    """client: makes one attempt and waits longer than a function may run, for a second invocation
    beside the first would do its work twice at once."""

    def __init__(self, client: LambdaClient) -> None:
        self._client = client

    def invoke(self, function: str, event: Mapping[str, Any]) -> Any:
        with translated():
            answer = self._client.invoke(FunctionName=function, Payload=orjson.dumps(event))
            body = answer["Payload"].read()
        if answer.get("FunctionError"):
            raise TerminalError("function_error", function)
        return orjson.loads(body) if body else None
