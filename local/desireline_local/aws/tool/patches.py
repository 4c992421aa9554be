"""Patch ministack 1.5.33 where it differs from AWS and we rely on AWS's behaviour.

Each difference has one function, and a contract test in tests/integration/local.
"""

from __future__ import annotations

import inspect
import json
import queue
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import ministack.core.lambda_runtime as runtime
import ministack.services.lambda_svc as lambdas
import ministack.services.stepfunctions as sf
from ministack.core.responses import error_response_json
from ministack.services import apigateway, sns

EXECUTION_NAME_LIMIT = 80
SUBJECT_LIMIT = 100
BODY_ARGUMENT = 6
"""The position of the request's body in `_invoke_lambda_proxy`."""
API_BODY_LIMIT = 10 * 1024 * 1024
LAMBDA_PAYLOAD_LIMIT = 6 * 1024 * 1024
LOG_SECONDS = 60.0
_END_OF_LOG = "~end of this invocation's log~"

in_flight: Counter[str] = Counter()
"""Running Lambda invocations by function."""
invocations: Counter[str] = Counter()
"""Lambda invocations since the launch, by function."""
_count = threading.Lock()


def install() -> None:
    """Apply all patches. Raises AssertionError if ministack has changed."""
    error_types()
    no_wait_for_logs()
    count_invocations()
    queue_partial_failures()
    binary_bodies()
    refuse_large_payloads()
    refuse_long_names()
    refuse_bad_alerts()


def error_types() -> None:
    """Pass an exception's type to Retry and Catch of a state machine, and keep the worker warm."""
    stock = (
        r'_real_stdout.write(json.dumps({"status": "error", "error": str(e),'
        r' "trace": traceback.format_exc()}) + "\n")'
    )
    ours = (
        r'_real_stdout.write(json.dumps({"status": "ok", "result": None, "_raised": {'
        r'"errorMessage": str(e), "errorType": type(e).__name__,'
        r' "stackTrace": traceback.format_tb(e.__traceback__)},'
        r' "_trace": traceback.format_exc()}) + "\n")'
    )
    script = runtime._PYTHON_WORKER_SCRIPT
    assert stock in script, "the worker reports exceptions in another way"
    runtime._PYTHON_WORKER_SCRIPT = script.replace(stock, ours)
    raised = threading.local()
    invoke, execute = runtime.Worker.invoke, lambdas._execute_function_warm

    def invoked(self: Any, *arguments: Any, **keywords: Any) -> Any:
        answer = invoke(self, *arguments, **keywords)
        raised.error = answer.get("_raised")
        if raised.error is None:
            return answer
        return {
            "status": "error",
            "error": raised.error["errorMessage"],
            "trace": answer["_trace"],
            "cold_start": answer.get("cold_start"),
            "log": answer.get("log", ""),
        }

    def executed(func: Any, event: Any, request_id: str) -> Any:
        raised.error = None
        answer = execute(func, event, request_id)
        if answer.get("error") and raised.error:
            answer["body"] = raised.error
        return answer

    runtime.Worker.invoke = invoked
    lambdas._execute_function_warm = executed


def no_wait_for_logs() -> None:
    """Let an environment report the end of its log.

    Stock ministack waits for later lines: 50 ms for the first, 5 ms after each. Meanwhile the
    environment is busy."""
    stock = "        _real_stdout.flush()\n\nrun()"
    script = runtime._PYTHON_WORKER_SCRIPT
    assert stock in script, "the worker ends an invocation in another way"
    runtime._PYTHON_WORKER_SCRIPT = script.replace(
        stock, f"        print({_END_OF_LOG!r}, file=sys.stderr, flush=True)\n{stock}"
    )
    runtime.Worker._drain_stderr_bounded = _log_of_an_invocation


def _log_of_an_invocation(worker: Any, *, first_line_wait: float = LOG_SECONDS, **_: Any) -> str:
    """Return the log up to its end, or up to `first_line_wait` if the environment has ended."""
    lines: list[str] = []
    until = time.monotonic() + first_line_wait
    while True:
        reading = worker._stderr_thread.is_alive() and time.monotonic() < until
        try:
            line = worker._stderr_queue.get(timeout=0.05 if reading else 0)
        except queue.Empty:
            if reading:
                continue
            break
        if line.endswith(_END_OF_LOG):
            lines += filter(None, [line.removesuffix(_END_OF_LOG)])
            break
        lines.append(line)
    return "\n".join(lines)


def queue_partial_failures() -> None:
    """Fail a whole batch of messages if the answer is not a valid partial response.

    The answer must not name a message outside the batch. Stock ministack accepts any answer."""
    run, execute = lambdas._run_sqs_batch, lambdas._execute_function
    batch = threading.local()

    def ran(mapping: Any, func: Any, event: Any, *arguments: Any) -> None:
        reports = "ReportBatchItemFailures" in (mapping.get("FunctionResponseTypes") or ())
        batch.ids = {one["messageId"] for one in event["Records"]} if reports else None
        try:
            run(mapping, func, event, *arguments)
        finally:
            batch.ids = None

    def executed(func: Any, event: Any) -> Any:
        answer = execute(func, event)
        ids = getattr(batch, "ids", None)
        if ids is None or answer.get("error"):
            return answer
        failures = reported_failures(answer.get("body"))
        if failures is not None and ids.issuperset(failures):
            return answer
        error = {"errorType": "BadResponse", "errorMessage": f"{answer.get('body')}"[:500]}
        return {"error": True, "body": error, "log": answer.get("log", "")}

    lambdas._run_sqs_batch = ran
    lambdas._execute_function = executed


def reported_failures(body: Any) -> list[str] | None:
    """Return the item identifiers in a partial batch response; None if the body is not one."""
    try:
        body = json.loads(body) if isinstance(body, str) and body else body
        failures = (body or {}).get("batchItemFailures") or ()
        return [failure["itemIdentifier"] for failure in failures]
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def count_invocations() -> None:
    """Count invocations, so that `rest.look` can tell whether a function runs."""
    execute = lambdas._execute_function

    def executed(func: Any, event: Any) -> Any:
        name = (func.get("config") or func).get("FunctionName", "unknown")
        with _count:
            in_flight[name] += 1
            invocations[name] += 1
        try:
            return execute(func, event)
        finally:
            with _count:
                in_flight[name] -= 1

    lambdas._execute_function = executed


def binary_bodies() -> None:
    """Encode bodies other than UTF-8 as base64, as API Gateway does for every content type.

    Refuse bodies over 10 MB, and payloads over Lambda's 6 MB."""
    is_text = apigateway._v2_request_body_is_text
    proxy = apigateway._invoke_lambda_proxy
    assert list(inspect.signature(proxy).parameters)[BODY_ARGUMENT] == "body"
    binary: ContextVar[bool] = ContextVar("binary", default=False)

    def text(content_type: str | None) -> bool:
        return bool(is_text(content_type)) and not binary.get()

    async def invoke(*arguments: Any, **keywords: Any) -> Any:
        body = arguments[BODY_ARGUMENT] or b""
        if len(body) > API_BODY_LIMIT or _payload_size(body) > LAMBDA_PAYLOAD_LIMIT:
            answer = json.dumps({"message": "Request Entity Too Large"}).encode()
            return 413, {"Content-Type": "application/json"}, answer
        binary.set(not _is_utf8(body))
        return await proxy(*arguments, **keywords)

    apigateway._v2_request_body_is_text = text
    apigateway._invoke_lambda_proxy = invoke


def _payload_size(body: bytes) -> int:
    """Estimate the body's bytes in the event: as base64, or escaped as JSON."""
    return len(body) * 4 // 3 if not _is_utf8(body) else len(json.dumps(body.decode()))


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def refuse_large_payloads() -> None:
    """Refuse payloads of Invoke over 6 MB."""
    route = lambdas._invoke

    async def invoked(name: str, event: Any, *arguments: Any, **keywords: Any) -> Any:
        size = len(json.dumps(event, separators=(",", ":")))
        if size > LAMBDA_PAYLOAD_LIMIT:
            return error_response_json(
                "RequestTooLargeException",
                f"Request must be smaller than {LAMBDA_PAYLOAD_LIMIT} bytes, not {size}",
                413,
            )
        return await route(name, event, *arguments, **keywords)

    lambdas._invoke = invoked


def refuse_long_names() -> None:
    """Refuse execution names over 80 characters and Wait timestamps without T, as AWS does."""
    start, until = sf._start_execution, sf._sleep_until

    def started(data: Any) -> Any:
        name = data.get("name") or ""
        if len(name) > EXECUTION_NAME_LIMIT or not re.fullmatch(r"[A-Za-z0-9_-]*", name):
            return error_response_json("InvalidName", f"Invalid Name: '{name}'", 400)
        return start(data)

    def slept(timestamp: str) -> None:
        if "T" not in timestamp:
            raise sf._ExecutionError("States.Runtime", f"not a timestamp: {timestamp}")
        until(timestamp)

    sf._start_execution = started
    sf._sleep_until = slept


def refuse_bad_alerts() -> None:
    """Refuse subjects over 100 characters or with a line break, and invalid Numbers."""
    publish: Callable[[Any], Any] = sns._publish

    def published(parameters: Any) -> Any:
        subject = str(sns._p(parameters, "Subject") or "")
        if len(subject) > SUBJECT_LIMIT or "\n" in subject or "\r" in subject:
            return sns._error("InvalidParameter", "Invalid parameter: Subject", 400)
        for name, attribute in (sns._parse_message_attributes(parameters) or {}).items():
            value = str(attribute.get("StringValue", attribute.get("Value", "")))
            kind = str(attribute.get("DataType", attribute.get("Type", "String")))
            if kind.startswith("Number") and not re.fullmatch(
                r"-?\d+(\.\d+)?([eE][-+]?\d+)?", value
            ):
                return sns._error(
                    "ParameterValueInvalid", f"Could not cast message attribute '{name}'", 400
                )
        return publish(parameters)

    sns._publish = published
