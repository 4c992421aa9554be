"""A stand-in for Mixpanel's raw event export on a loopback port, for `desireline pull mixpanel` and
for tests with failures.

It answers as https://docs.mixpanel.com/reference/raw-event-export describes: Basic authentication,
one day as both `from_date` and `to_date`, JSON lines, gzip above 1,400 bytes.
"""

from __future__ import annotations

import base64
import gzip
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

PROJECT, USER, PASSWORD = "1", "desireline.abc123.mp-service-account", "played"
PACKED_ABOVE = 1_400


Event = dict[str, Any] | bytes


class MixpanelStandIn:
    """The stand-in. days: its events by date. requested: the days of the requests.

    answers: the answers to the next requests, in order: a status, 'cut' (the connection breaks in
    the middle), 'early' (the body ends early with an error line), 'half-gzip' (a complete answer
    with half of its gzip body), 'short' (whole lines, fewer than announced), 'hang'. Later requests
    get the events."""

    def __init__(self, port: int = 0) -> None:
        self.days: dict[str, list[Event]] = defaultdict(list)
        self.answers: list[int | str] = []
        self.requested: list[str] = []
        self.packed = True
        self.ends = threading.Event()
        handler = type("Handler", (_Handler,), {"mixpanel": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def serving(self) -> Iterator[MixpanelStandIn]:
        """Answer requests until the block ends."""
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.ends.set()
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def add_events(self, day: str, *events: Event) -> None:
        """Add events of a day, or bytes that are not events."""
        self.days[day] += events

    def body(self, day: str) -> bytes:
        """Return the lines of a day."""
        lines = [it if isinstance(it, bytes) else orjson.dumps(it) for it in self.days[day]]
        return b"".join(line + b"\n" for line in lines)


class _Handler(BaseHTTPRequestHandler):
    mixpanel: MixpanelStandIn
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # noqa: N802 — the base class' name
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        expected = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if url.path != "/api/2.0/export":
            self._answer(404, b"no such path")
        elif self.headers["authorization"] != f"Basic {expected}":
            self._answer(401, b'{"error": "Invalid service account credentials"}')
        elif query.get("project_id") != PROJECT or query["from_date"] != query["to_date"]:
            self._answer(400, b'{"error": "bad parameters"}')
        else:
            answers = self.mixpanel.answers
            self.mixpanel.requested.append(query["from_date"])
            self._respond(
                answers.pop(0) if answers else 200, self.mixpanel.body(query["from_date"])
            )

    def _respond(self, answer: int | str, body: bytes) -> None:
        """Answer, or fail as the test requires."""
        lines = body.splitlines(keepends=True)
        half = b"".join(lines[: len(lines) // 2])
        match answer:
            case int():
                self._answer(answer, body if answer == 200 else b'{"error": "no"}')
            case "early":
                self._answer(200, half + b"terminated early\n")
            case "half-gzip":
                whole = gzip.compress(body)
                self._chunked([whole[: len(whole) // 2]], packed=True)
            case "short":
                self._whole(200, half, length=len(body))
                self.close_connection = True
            case "hang":
                self.mixpanel.ends.wait()
            case "cut":
                whole = gzip.compress(body, compresslevel=0)
                self._chunked([whole[: len(whole) // 2]], packed=True, end=False)
                self.close_connection = True

    def _answer(self, status: int, body: bytes) -> None:
        if status == 200 and self.mixpanel.packed and len(body) > PACKED_ABOVE:
            whole = gzip.compress(body)
            pieces = [whole[i : i + 999] for i in range(0, len(whole), 999)]
            return self._chunked(pieces, packed=True)
        return self._whole(status, body, length=len(body))

    def _whole(self, status: int, body: bytes, *, length: int) -> None:
        self.send_response(status)
        self.send_header("content-length", str(length))
        self.end_headers()
        self.wfile.write(body)

    def _chunked(self, pieces: Sequence[bytes], *, packed: bool, end: bool = True) -> None:
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        if packed:
            self.send_header("content-encoding", "gzip")
        self.end_headers()
        for piece in pieces:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        if end:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: object) -> None:
        """Log nothing."""
