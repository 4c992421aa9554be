"""The handler behind WSGI, as it is behind the gateway: for clients that speak HTTP.

A request with the header `x-sign` is signed on its way as its sender would sign it, so that what a
generator makes gets past the door.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable
from typing import Any

from desireline.errors import RefusedError
from desireline_local.sender_side.signing import sign
from docs.render.openapi import description
from receive_webhook import handler
from tests.functional.lambda_side import Context
from tests.worlds.receiving import NOW, SECRET

SIGN = "x-sign"
HOST = "receive.example.com"


def application(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    """A WSGI application: the description at /openapi.json, and the two routes."""
    path = environ["PATH_INFO"].encode("latin-1").decode(errors="replace")
    if path == "/openapi.json":
        return _answer(start, 200, {"content-type": "application/json"}, json.dumps(description()))
    parameters = _parameters(path)
    if parameters is None or environ["REQUEST_METHOD"] not in ("POST", "HEAD"):
        return _answer(start, 404, {"content-type": "application/json"}, '{"message":"Not Found"}')
    answer = handler.handle(_event(environ, path, parameters), Context())  # type: ignore[arg-type]
    return _answer(start, answer["statusCode"], answer["headers"], answer["body"])


def _parameters(path: str) -> dict[str, str] | None:
    for prefix, name in (("/webhooks/", "source"), ("/v1/", "call")):
        value = path.removeprefix(prefix)
        if path.startswith(prefix) and value and "/" not in value:
            return {name: value}
    return None


def _event(environ: dict[str, Any], path: str, parameters: dict[str, str]) -> dict[str, Any]:
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_") or name == "CONTENT_TYPE"
    }
    query = environ.get("QUERY_STRING", "")
    url = f"https://{HOST}{path}{f'?{query}' if query else ''}"
    if headers.pop(SIGN, None):
        source = parameters.get("source", "direct")
        try:
            headers |= sign(source, body, SECRET, NOW, url=url, headers=headers)
        except (RefusedError, ValueError):
            pass
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": query,
        "pathParameters": parameters,
        "headers": headers,
        "requestContext": {
            "http": {"method": environ["REQUEST_METHOD"], "sourceIp": "203.0.113.7"},
            "domainName": HOST,
        },
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }


def _answer(
    start: Callable[..., Any], status: int, headers: dict[str, str], body: str
) -> Iterable[bytes]:
    start(f"{status} -", [*headers.items(), ("content-length", str(len(body.encode())))])
    return [body.encode()]
