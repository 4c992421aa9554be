"""A stand-in for Mixpanel's raw event export on a loopback port, for `desireline pull mixpanel`.

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
    """The stand-in. days: its events by date. requested: the days of the requests. handler: answers
    the requests; tests pass one that fails."""

    def __init__(self, port: int = 0, handler: type[ExportHandler] | None = None) -> None:
        self.days: dict[str, list[Event]] = defaultdict(list)
        self.requested: list[str] = []
        bound = type("Handler", (handler or ExportHandler,), {"mixpanel": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", port), bound)
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


class ExportHandler(BaseHTTPRequestHandler):
    """Answers requests of the export with the stand-in's events."""

    mixpanel: MixpanelStandIn
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # noqa: N802 — the base class' name
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        expected = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if url.path != "/api/2.0/export":
            self.answer(404, b"no such path")
        elif self.headers["authorization"] != f"Basic {expected}":
            self.answer(401, b'{"error": "Invalid service account credentials"}')
        elif query.get("project_id") != PROJECT or query["from_date"] != query["to_date"]:
            self.answer(400, b'{"error": "bad parameters"}')
        else:
            self.mixpanel.requested.append(query["from_date"])
            self.respond(self.mixpanel.body(query["from_date"]))

    def respond(self, body: bytes) -> None:
        """Answer with the lines of a day, packed and in pieces if they are long."""
        if len(body) <= PACKED_ABOVE:
            return self.answer(200, body)
        whole = gzip.compress(body)
        return self.answer_packed([whole[i : i + 999] for i in range(0, len(whole), 999)])

    def answer(self, status: int, body: bytes, *, length: int | None = None) -> None:
        """Answer with a body. length: the announced length, if it differs."""
        self.send_response(status)
        self.send_header("content-length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def answer_packed(self, pieces: Sequence[bytes], *, end: bool = True) -> None:
        """Answer with pieces of a gzip body. end: whether the last chunk follows."""
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        self.send_header("content-encoding", "gzip")
        self.end_headers()
        for piece in pieces:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        if end:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: object) -> None:
        """Log nothing."""
