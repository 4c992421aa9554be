"""The stand-in for Mixpanel with answers that fail."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from desireline_local.sender_side.mixpanel import ExportHandler, MixpanelStandIn


class FailingMixpanel(MixpanelStandIn):
    """Fails as a test requires.

    answers: the answers to the next requests, in order: a status, 'cut' (the connection breaks in
    the middle), 'early' (the body ends early with an error line), 'half-gzip' (a complete answer
    with half of its gzip body), 'short' (whole lines, fewer than announced), 'hang'. Later requests
    get the events."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(port, _FailingHandler)
        self.answers: list[int | str] = []
        self.ends = threading.Event()

    @contextmanager
    def serving(self) -> Iterator[FailingMixpanel]:
        with super().serving():
            try:
                yield self
            finally:
                self.ends.set()


class _FailingHandler(ExportHandler):
    mixpanel: FailingMixpanel

    def respond(self, body: bytes) -> None:
        answers = self.mixpanel.answers
        lines = body.splitlines(keepends=True)
        half = b"".join(lines[: len(lines) // 2])
        match answers.pop(0) if answers else 200:
            case 200:
                super().respond(body)
            case int() as status:
                self.answer(status, b'{"error": "no"}')
            case "early":
                super().respond(half + b"terminated early\n")
            case "half-gzip":
                whole = gzip.compress(body)
                self.answer_packed([whole[: len(whole) // 2]])
            case "short":
                self.answer(200, half, length=len(body))
                self.close_connection = True
            case "hang":
                self.mixpanel.ends.wait()
            case "cut":
                whole = gzip.compress(body, compresslevel=0)
                self.answer_packed([whole[: len(whole) // 2]], end=False)
                self.close_connection = True
