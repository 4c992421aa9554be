"""`desireline send`, over HTTP, to a receiver that verifies what it gets."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from desireline.receive.request import WebhookRequest
from desireline.receive.senders import NAMES
from desireline_local.commands import send as command
from desireline_local.sender_side.samples import load
from desireline_operate.cli.main import app
from tests.worlds.receiving import SECRET, World

CALLED = "https://0123.execute-api.localhost/webhooks"


@dataclass
class Receiver:
    """Receive behind a real socket: signatures are checked with the wall clock's time."""

    world: World = field(default_factory=World)
    port: int = 0

    def take(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        route, _, query = path.partition("?")
        source = route.rpartition("/")[2]
        url = f"{CALLED}/{source}{'?' if query else ''}{query}"
        answer = self.world.receive(WebhookRequest(source, headers, body, url=url))
        told = answer.reply or {"accepted": answer.accepted, "reason": answer.reason}
        return answer.status, json.dumps(told).encode()


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, told = receiver.take(self.path, headers, body)
            self.send_response(status)
            self.send_header("content-length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, *_: Any) -> None: ...

    monkeypatch.setattr("tests.worlds.receiving.NOW", command._now())
    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    receiver.port = server.server_port
    addresses = SimpleNamespace(
        webhooks=f"http://127.0.0.1:{receiver.port}/webhooks",
        called=CALLED,
        secret=lambda name: SECRET,
    )
    monkeypatch.setattr(command, "the_cloud", lambda: SimpleNamespace(addresses=addresses))
    yield receiver
    server.shutdown()
    server.server_close()
    thread.join()


def run(*arguments: str, stdin: str | None = None) -> Any:
    return CliRunner().invoke(app, ["send", *arguments], input=stdin)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_all_samples_of_a_sender_are_signed_as_it_signs(receiver: Receiver, name: str) -> None:
    found = run(name, "--sample")

    assert found.exit_code == 0, found.output
    samples = load(name).samples
    assert [line.partition(":")[0] for line in found.output.splitlines()] == [
        one.name for one in samples
    ]
    assert len(receiver.world.events()) == sum(one.expects.accepted for one in samples)


def test_one_sample_by_name_and_a_body_of_ones_own(receiver: Receiver, tmp_path: Any) -> None:
    body = {"id": "evt_9", "type": "customer.created", "data": {"object": {"id": "cus_9"}}}
    file = tmp_path / "event.json"
    file.write_text(json.dumps(body))

    assert run("hubspot", "single_creation", "--sample").exit_code == 0
    assert run("stripe", str(file)).exit_code == 0
    assert run("stripe", stdin=json.dumps({**body, "id": "evt_10"})).exit_code == 0
    assert [event.source for event in receiver.world.events()] == ["hubspot", "stripe", "stripe"]


def test_what_is_refused_ends_with_1_and_what_there_is_not_with_2(receiver: Receiver) -> None:
    assert run("stripe", stdin="{no json").exit_code == 1
    assert not receiver.world.durable
    for arguments in (("nobody", "--sample"), ("stripe", "nothing", "--sample"), ("stripe", "/no")):
        assert run(*arguments).exit_code == 2


def test_curl_is_told_and_nothing_is_sent(receiver: Receiver) -> None:
    found = run("hubspot", "single_creation", "--sample", "--curl")
    assert found.exit_code == 0
    assert found.output.startswith("curl -i -H 'content-type: application/json'")
    assert f"{receiver.port}/webhooks/hubspot?portal=a%2Fb%40c" in found.output
    assert not receiver.world.durable
