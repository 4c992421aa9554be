"""The quarantine API over HTTP: API Gateway's events and its check of IAM, before the use case."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from desireline.adapters.http_api import api_request
from desireline.receive.senders import load_senders
from desireline.recover.quarantine.serve_quarantine import ServeQuarantine
from desireline_operate.deployment import Deployment
from tests.worlds.receiving import PLAN
from tests.worlds.repairing import Scene, mapping

REGION = "eu-central-1"
CALLER = Credentials("caller", "hidden", "of the session")

Answer = Callable[[str, str, bytes], tuple[int, Any]]
"""The answer to a method, a path with its query, and a body."""


class Api:
    """A running API. url: its address. requests: those that it answered, as (method, path)."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[tuple[str, str]] = []

    def deployment(self, credentials: Credentials = CALLER, url: str | None = None) -> Deployment:
        """A deployment of which a caller may read the address in SSM, and nothing else."""

        def client(service: str, **_: Any) -> Any:
            assert service == "ssm", f"the operator has no right to use {service}"

            def get_parameter(**name: str) -> Any:
                assert name == {"Name": "/desireline/d/quarantine/url"}
                return {"Parameter": {"Value": url or self.url}}

            return SimpleNamespace(get_parameter=get_parameter)

        return Deployment(
            name="d",
            bootstrap="nobody:9",
            auth="iam",
            region=REGION,
            client=client,
            clock=cast(Any, None),
            credentials=lambda: credentials,
        )


def serve(scene: Scene) -> Answer:
    """The answers of the use case for a scene, whose cases arrived a moment ago."""
    names = (f"repair-{number:012x}" for number in range(1, 100))
    use_case = ServeQuarantine(
        cases=scene.cases,
        bodies=scene.bodies,
        senders=load_senders(),
        mapper=mapping,
        plan=PLAN,
        producer=scene.world,
        wall=scene.world,
        name=lambda: next(names),
    )

    def answer(method: str, target: str, body: bytes) -> tuple[int, Any]:
        url = urlsplit(target)
        event = {
            "rawPath": unquote(url.path),
            "queryStringParameters": dict(parse_qsl(url.query)),
            "requestContext": {"http": {"method": method}},
            "body": body.decode(),
        }
        return use_case(*api_request(event))

    return answer


@contextmanager
def running(answer: Answer) -> Iterator[Api]:
    """An API that refuses requests without a valid signature of the caller."""

    class Requests(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, content = 403, {"message": "Forbidden"}
            if is_signed(self, body):
                status, content = answer(self.command, self.path, body)
                api.requests.append((self.command, self.path))
            encoded = orjson.dumps(content)
            self.send_response(status)
            self.send_header("content-length", str(len(encoded)))
            self.end_headers()
            self.wfile.write(encoded)

        do_GET = do_POST = _answer  # noqa: N815 - the names of http.server

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Requests) as server:
        api = Api(f"http://127.0.0.1:{server.server_port}/quarantine")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield api
        finally:
            server.shutdown()
            thread.join()


def is_signed(request: BaseHTTPRequestHandler, body: bytes) -> bool:
    """Whether the caller signed this very request, as AWS would compute it."""
    given = request.headers.get("authorization", "")
    if "SignedHeaders=" not in given:
        return False
    names = given.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    copy = AWSRequest(
        request.command,
        f"http://{request.headers['host']}{request.path}",
        data=body,
        headers={name: request.headers[name] for name in names},
    )
    copy.context["timestamp"] = request.headers["x-amz-date"]
    auth = SigV4Auth(CALLER, "execute-api", REGION)
    text = auth.string_to_sign(copy, auth.canonical_request(copy))
    return given.endswith(f"Signature={auth.signature(text, copy)}")
