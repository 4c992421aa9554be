"""A client of the quarantine API, which signs its requests with the deployment's credentials."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import orjson
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from desireline.contracts import parameter
from desireline.errors import DesirelineError
from desireline.recover.quarantine.request import MOST, UNKNOWN_CASE, QuarantineRequest
from desireline_operate.deployment import Deployment

LIST_PART = MOST
"""The most cases of one request for a list."""
REPAIR_PART = 100
"""The most cases of one preview or replay. API Gateway ends a request after 30 seconds."""
WAITS = httpx.Timeout(35.0, connect=10.0)
THROTTLE_WAITS = (1.0, 2.0, 4.0, 8.0)
"""Seconds to wait before each retry of a throttled request."""

_CASE_ID = re.compile(r"[\w.-]+-\d+", re.ASCII)
_PLAN_FILES = ("plan.yaml", "events/*.yaml", "senders/*.yaml")


class QuarantineApiError(Exception):
    """The API did not answer or refused the caller; the message says what to do."""


class InvalidQuarantineRequestError(ValueError):
    """The API cannot serve the request; the message says what to change."""


class QuarantineClient:
    """Calls the quarantine API of a deployment. sleep: waits for seconds.

    All methods raise QuarantineApiError, and InvalidQuarantineRequestError."""

    def __init__(
        self, deployment: Deployment, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._deployment = deployment
        self._url = _url(deployment)
        self._sleep = sleep

    def list(self, filters: QuarantineRequest, limit: int) -> Iterator[dict[str, Any]]:
        """Yield a list's answers, with at most `limit` cases, newest first. The first answer has
        the counts by kind."""
        fields, left = _fields(filters), limit
        while True:
            part = max(1, min(left, LIST_PART))
            query = urlencode({**_query(fields), "limit": part}, quote_via=quote)
            answer = self._call("GET", f"?{query}")
            yield {**answer, "cases": answer["cases"][:left]}
            left -= part
            if "next" not in answer or left <= 0:
                return
            fields["after"] = answer["next"]

    def show(self, case_id: str) -> dict[str, Any]:
        """Return the details of a case."""
        return self._call("GET", f"/{_checked([case_id])[0]}")

    def preview(
        self, ids: Sequence[str], filters: QuarantineRequest, limit: int, plan: Mapping[str, str]
    ) -> Iterator[dict[str, Any]]:
        """Yield answers with each case before and after a correction. ids: the cases; without ids,
        the open cases of the filters, at most `limit`. plan: the corrected files of the plan."""
        return self._in_parts("/preview", ids, filters, limit, plan)

    def replay(
        self, ids: Sequence[str], filters: QuarantineRequest, limit: int, plan: Mapping[str, str]
    ) -> Iterator[dict[str, Any]]:
        """Replay the repaired cases, with the parameters of `preview`. Yield the answers, which
        have one replay id."""
        return self._in_parts("/replay", ids, filters, limit, plan)

    def _in_parts(
        self,
        path: str,
        ids: Sequence[str],
        filters: QuarantineRequest,
        limit: int,
        plan: Mapping[str, str],
    ) -> Iterator[dict[str, Any]]:
        fields: dict[str, Any] = {"plan": plan}

        def post(**more: Any) -> dict[str, Any]:
            answer = self._call("POST", path, {**fields, **more})
            if "replay" in answer:
                fields["replay"] = answer["replay"]
            return answer

        if ids:
            checked = _checked(ids)
            for start in range(0, len(checked), REPAIR_PART):
                yield post(ids=checked[start : start + REPAIR_PART])
            return
        fields |= _fields(filters)
        left = limit
        while left > 0:
            answer = post(limit=min(left, REPAIR_PART))
            yield answer
            if "next" not in answer:
                return
            fields["after"] = answer["next"]
            left -= REPAIR_PART

    def _call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        content = b"" if body is None else orjson.dumps(body)
        for wait in (*THROTTLE_WAITS, None):
            answer = self._send(method, self._url + path, content)
            if answer.status_code != 429 or wait is None:
                break
            self._sleep(wait)
        if answer.status_code == 200:
            result: dict[str, Any] = _json(answer)
            return result
        raise self._error(answer)

    def _send(self, method: str, url: str, content: bytes) -> httpx.Response:
        try:
            with httpx.Client(timeout=WAITS) as http:
                request = http.build_request(method, url, content=content)
                self._sign(request)
                return http.send(request)
        except httpx.HTTPError as error:
            raise QuarantineApiError(
                f"the quarantine API at {self._url} does not answer ({type(error).__name__}): "
                "check the network, and that the stack `recover` is deployed"
            ) from error
        except httpx.InvalidURL as error:
            raise QuarantineApiError(
                f"the address of the quarantine API, {self._url}, is not valid: {error}"
            ) from error

    def _sign(self, request: httpx.Request) -> None:
        credentials = self._deployment.credentials()
        if credentials is None:
            raise QuarantineApiError(
                "no AWS credentials: set AWS_PROFILE, or log in with `aws sso login`"
            )
        signed = AWSRequest(request.method, str(request.url), data=request.content)
        SigV4Auth(credentials, "execute-api", self._deployment.region).add_auth(signed)
        request.headers.update(dict(signed.headers.items()))

    def _error(self, answer: httpx.Response) -> Exception:
        body = _json(answer)
        if "reason" in body and answer.status_code < 500:
            return _mistake(str(body["reason"]), str(body.get("detail", "")))
        cause = f"{answer.status_code} {body.get('detail') or body.get('message') or ''}".strip()
        match answer.status_code:
            case 401 | 403:
                return QuarantineApiError(
                    f"AWS refused the request ({cause}): allow the action execute-api:Invoke on "
                    f"{self._resource()}, and check that your credentials and clock are valid"
                )
            case 404:
                return QuarantineApiError(
                    f"{self._url} is not the quarantine API: deploy the stack `recover` again"
                )
            case 413:
                return InvalidQuarantineRequestError(
                    "the corrected plan is too large: pass a folder with the changed files only"
                )
            case 429:
                return QuarantineApiError("the API throttles its callers. Run the command again")
        return QuarantineApiError(
            f"the API is unavailable ({cause}). Run the command again; if it fails again, select "
            "fewer cases with --since or --event"
        )

    def _resource(self) -> str:
        """Return the ARN of the API that execute-api:Invoke is allowed on."""
        host = str(httpx.URL(self._url).host)
        return f"arn:aws:execute-api:{self._deployment.region}:*:{host.partition('.')[0]}/*"


def _fields(filters: QuarantineRequest) -> dict[str, Any]:
    return filters.model_dump(mode="json", exclude_unset=True, exclude_none=True)


def _query(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Write lists as JSON, because names may have commas."""
    return {
        name: orjson.dumps(value).decode() if isinstance(value, list) else value
        for name, value in fields.items()
    }


def plan_files(folder: Path) -> dict[str, str]:
    """Read the files of a corrected plan, by their path in it.

    The deployed plan's other files stay. Raises InvalidQuarantineRequestError, OSError."""
    paths = sorted(path for pattern in _PLAN_FILES for path in folder.glob(pattern))
    if not paths:
        raise InvalidQuarantineRequestError(
            f"{folder} has no file of a plan: it must have plan.yaml, events/<name>.yaml or "
            "senders/<name>.yaml"
        )
    try:
        return {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in paths}
    except UnicodeDecodeError as error:
        raise InvalidQuarantineRequestError(f"the files in {folder} must be UTF-8") from error


def _mistake(reason: str, detail: str) -> InvalidQuarantineRequestError:
    """Return the error for a request that the API cannot serve, with its reason."""
    if reason == UNKNOWN_CASE:
        return InvalidQuarantineRequestError(
            f"unknown case: {detail}. List the ids with `desireline quarantine list`"
        )
    return InvalidQuarantineRequestError(f"{reason}: {detail}")


def _checked(ids: Sequence[str]) -> list[str]:
    """Return the ids without repetitions. Refuse what cannot be an id before a request is made."""
    checked = list(dict.fromkeys(ids))
    if wrong := [case_id for case_id in checked if not _CASE_ID.fullmatch(case_id)]:
        raise _mistake(UNKNOWN_CASE, ", ".join(wrong))
    return checked


def _url(deployment: Deployment) -> str:
    try:
        return deployment.quarantine_url().rstrip("/")
    except DesirelineError as error:
        name = parameter(deployment.name, "quarantine", "url")
        raise QuarantineApiError(
            f"the address of the quarantine API cannot be read ({error}): deploy the stack "
            f"`recover`, or allow ssm:GetParameter on {name}"
        ) from error


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        body = None
    if isinstance(body, dict):
        return body
    if answer.status_code == 200:
        raise QuarantineApiError("the answer is not of the quarantine API: check its address")
    return {}
