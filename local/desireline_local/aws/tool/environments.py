"""How many environments a function has: on AWS as many as there are invocations at once.

Here all share a few cores. A burst that starts an environment for each of its invocations spends
the cores on starting them, half a second each, while one that waits is served within milliseconds.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from ministack.services import lambda_svc as lambdas

ENOUGH = 4
"""Environments beyond which an invocation rather waits for one to become free."""


def install(*, patience: float) -> None:
    """Let invocations of a function with environments enough wait for one.

    After `patience` seconds one gets an environment of its own, so that functions which wait for
    one another, or for a neighbour that is away, do not stand still."""
    acquire, release = lambdas.acquire_worker, lambdas.release_worker
    freed = threading.Condition()

    def acquired(*arguments: Any, **keywords: Any) -> tuple[Any, str]:
        until = time.monotonic() + patience
        with freed:
            while (left := until - time.monotonic()) > 0:
                worker, reason = acquire(*arguments, **{**keywords, "max_concurrency": ENOUGH})
                if worker is not None:
                    return worker, reason
                freed.wait(left)
        found: tuple[Any, str] = acquire(*arguments, **keywords)
        return found

    def released(worker: Any) -> None:
        release(worker)
        with freed:
            freed.notify_all()

    lambdas.acquire_worker, lambdas.release_worker = acquired, released
