"""The running local cloud as a world for the driver of virtual time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx

from desireline_learning.simulator.traffic import Delivery
from desireline_local.cloud import Addresses
from desireline_local.sender_side.signing import sign

SETTLE_SECONDS = 600.0
CLIENTS = 8
ARCHIVE = "archive-history"
CHECK = "check-playbook"


class SettleError(Exception):
    """The cloud did not come to rest; the message lists the unfinished work."""


@dataclass(frozen=True, slots=True)
class WebhookAnswer:
    """The answer to a webhook. seconds: until the answer came."""

    status: int
    reason: str
    seconds: float


class CloudWorld:
    """Posts signed webhooks over HTTP, and advances the cloud's clock. A context manager."""

    def __init__(self, addresses: Addresses, *, patience: float = SETTLE_SECONDS) -> None:
        self._patience = patience
        self._addresses = addresses
        self._control = addresses.clock()
        self._poller = addresses.polling()
        self._secrets = {name: addresses.secret(name) for name in ("segment", "stripe")}
        self._http = httpx.Client(timeout=120, limits=httpx.Limits(max_connections=CLIENTS * 2))
        self._pool = ThreadPoolExecutor(CLIENTS)
        self.answers: list[WebhookAnswer] = []

    def __enter__(self) -> CloudWorld:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()
        self._http.close()

    def post(self, deliveries: Sequence[Delivery]) -> None:
        """Deliver these webhooks concurrently, with their senders' signatures."""
        self.answers.extend(self._pool.map(self._post, deliveries))

    def settle(self) -> None:
        """Return when two checks in a row find no unfinished and no new work.

        The archive does not count, because it batches and decides nothing. Raises SettleError.
        """
        end = time.monotonic() + self._patience
        before: Any = None
        pause = 0.004
        while time.monotonic() < end:
            state = None
            with suppress(httpx.TimeoutException, httpx.RemoteProtocolError):
                state = self._look()
            if state is None or state["busy"]:
                before = None
                pause = min(0.05, pause * 1.4)
            elif state == before:
                return
            else:
                before = state
            time.sleep(pause)
        raise SettleError(f"not at rest after {self._patience:.0f} s: {self._look()}")

    def next_due(self) -> int | None:
        """Return the earliest time for which an execution waits, epoch ms, or None."""
        due = self._control.rest()["next_due"]
        return None if due is None else round(due * 1000)

    def advance(self, to: int) -> None:
        """Advance the journey clock."""
        self._control.advance(to)

    def _look(self) -> dict[str, Any]:
        rest, polled = self._control.rest(), self._poller.look()
        mappings = [one for one in polled["mappings"] if ARCHIVE not in one["function"]]
        started = {name: n for name, n in rest["started"].items() if ARCHIVE not in name}
        busy = {
            "functions": [name for name in rest["in_flight"] if ARCHIVE not in name],
            "lag": {one["group"]: one["lag"] for one in mappings if one["lag"] or one["busy"]},
            "stream_records": rest["stream_records"],
            "queued_messages": rest["queued_messages"],
            "executions_awake": rest["executions_awake"],
        }
        return {
            "busy": {name: value for name, value in busy.items() if value},
            "started": started,
            "produced": polled["produced"],
        }

    def _post(self, delivery: Delivery) -> WebhookAnswer:
        """Post a webhook, and retry as its sender does while the status is 500 or higher."""
        end = time.monotonic() + self._patience
        while (answer := self._post_once(delivery)).status >= 500 and time.monotonic() < end:
            time.sleep(0.3)
        return answer

    def _post_once(self, delivery: Delivery) -> WebhookAnswer:
        secret = self._secrets[delivery.source]
        headers = sign(
            delivery.source,
            delivery.body,
            b"not the secret" if delivery.forged else secret,
            time.time_ns() // 1_000_000,
        )
        began = time.perf_counter()
        answer = self._http.post(
            f"{self._addresses.webhooks}/{delivery.source}", content=delivery.body, headers=headers
        )
        return WebhookAnswer(
            answer.status_code, answer.json().get("reason", ""), time.perf_counter() - began
        )
