"""Serve the control address on loopback: the journey clock, faults, and whether all is at rest.

GET /now          epoch milliseconds, as text
GET /clock        now, frozen or not
POST /clock       {"freeze": epoch ms} or {"advance": epoch ms}
GET /rest         see rest.look
GET, POST /faults see faults.Faults
GET, POST /usage  see usage.Usage; {"counting": true} counts from zero, false stops
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from desireline_local.aws.tool import faults, rest, usage
from desireline_local.aws.tool.virtual_time import CLOCK

PAGES: dict[str, Callable[[], Any]] = {
    "/now": lambda: round(CLOCK.now() * 1000),
    "/clock": lambda: {"now": round(CLOCK.now() * 1000), "frozen": CLOCK.frozen},
    "/rest": rest.look,
    "/faults": faults.look,
    "/usage": usage.look,
}


class Handler(BaseHTTPRequestHandler):
    """Answers with JSON, `/now` with a number."""

    protocol_version = "HTTP/1.1"
    # Headers and body in one packet: in two, each answer waits 40 ms for a delayed acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:  # noqa: N802 — the base class' name
        page = PAGES.get(self.path)
        if page is None:
            self._answer({"error": "no such path"}, 404)
        else:
            self._answer(page())

    def do_POST(self) -> None:  # noqa: N802 — the base class' name
        changes: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            match self.path:
                case "/clock" if "freeze" in changes:
                    CLOCK.freeze(changes["freeze"] / 1000)
                case "/clock":
                    CLOCK.advance(changes["advance"] / 1000)
                case "/faults":
                    faults.set_faults(changes)
                case "/usage":
                    usage.begin(counting=changes["counting"])
        except (KeyError, TypeError, ValueError) as error:
            self._answer({"error": repr(error)}, 400)
            return
        self.do_GET()

    def _answer(self, body: Any, status: int = 200) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Log nothing, because there are thousands of requests."""


def serve(port: int) -> None:
    """Serve on loopback in a thread."""
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
