"""How a running cloud is driven: it may be busy, and answer late or not now."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from desireline_local.demo.world import CloudWorld, SettleError

REST = {
    "in_flight": {}, "started": {}, "stream_records": 0, "queued_messages": 0,
    "executions_awake": 0,
}  # fmt: skip


@dataclass
class Cloud:
    """statuses: what senders are answered, in order; then 200. looks: what the pollers say of how
    much was produced, in order, or an error; then the last again."""

    webhooks: str
    statuses: list[int]
    looks: list[Any] = field(default_factory=lambda: [0])
    posted: int = 0

    def secret(self, _: str) -> bytes:
        return b"secret"

    def clock(self) -> Cloud:
        return self

    def polling(self) -> Cloud:
        return self

    def rest(self) -> dict[str, Any]:
        return REST

    def look(self) -> dict[str, Any]:
        said = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(said, Exception):
            raise said
        return {"mappings": [], "produced": said}


@dataclass(frozen=True)
class Delivery:
    source: str = "segment"
    body: bytes = b"{}"
    forged: bool = False


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # noqa: N802 — the base class' name
            self.rfile.read(int(self.headers["content-length"]))
            made.posted += 1
            self.send_response(made.statuses.pop(0) if made.statuses else 200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made = Cloud(f"http://127.0.0.1:{server.server_port}", [])
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield made
        server.shutdown()
        serving.join()


def world(cloud: Cloud, *, patience: float = 60.0) -> CloudWorld:
    made: Any = CloudWorld
    found: CloudWorld = made(cloud, patience=patience)
    return found


def test_who_is_told_to_come_again_does_as_a_sender_would(cloud: Cloud) -> None:
    cloud.statuses = [503, 503]
    with world(cloud) as driven:
        driven.post([Delivery()])

    assert [one.status for one in driven.answers] == [200]
    assert cloud.posted == 3


def test_who_is_refused_does_not(cloud: Cloud) -> None:
    cloud.statuses = [401]
    with world(cloud) as driven:
        driven.post([Delivery(forged=True)])

    assert [one.status for one in driven.answers] == [401]
    assert cloud.posted == 1


def test_it_is_at_rest_when_two_looks_that_were_answered_find_the_same(cloud: Cloud) -> None:
    cloud.looks = [1, httpx.ReadTimeout("late"), 1, 2, httpx.RemoteProtocolError("gone"), 2, 2, 3]
    with world(cloud) as driven:
        driven.settle()

    assert cloud.looks == [3]


def test_what_is_not_there_is_not_waited_for(cloud: Cloud) -> None:
    cloud.looks = [httpx.ConnectError("refused")]
    with world(cloud) as driven, pytest.raises(httpx.ConnectError):
        driven.settle()


def test_what_never_rests_is_told(cloud: Cloud) -> None:
    cloud.looks = list(range(100_000))
    with world(cloud, patience=0.1) as driven, pytest.raises(SettleError):
        driven.settle()
