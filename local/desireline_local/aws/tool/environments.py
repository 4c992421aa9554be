"""Limit the number and the idle time of functions' execution environments.

On AWS a function has one environment for each concurrent invocation. Here all share a few cores,
and each start takes half a second of a core, while an invocation that waits for a free environment
runs within milliseconds. An environment takes 70 MB, so it ends after some idle minutes, as on AWS.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import Any

import ministack.core.lambda_runtime as runtime
from ministack.services import lambda_svc as lambdas

ENOUGH = max(2, min(4, os.cpu_count() or 1))
"""The number of environments above which an invocation waits for a free one. More environments than
cores do not speed up a burst."""
STARTING = 5
"""The factor of the patience while an environment of the function starts. On a busy machine a start
takes longer than the patience, and another start delays all others."""
LONGEST_PAUSE = 10.0

log = logging.getLogger(__name__)


def install(*, patience: float, idle: float) -> None:
    """Share a few environments among invocations, and end those that are idle for `idle` seconds.

    After `patience` seconds an invocation gets its own environment, so that functions that wait for
    one another do not deadlock. Raises AssertionError if ministack has changed.
    """
    assert callable(lambdas._ensure_reaper_thread)
    lambdas._ensure_reaper_thread = lambda: None
    acquire, release = lambdas.acquire_worker, lambdas.release_worker
    freed = threading.Condition()

    def acquired(*arguments: Any, **keywords: Any) -> tuple[Any, str]:
        began = time.monotonic()
        with freed:
            while True:
                worker, reason = acquire(*arguments, **{**keywords, "max_concurrency": ENOUGH})
                if worker is not None:
                    return worker, reason
                times = STARTING if _starts(arguments[0]) else 1
                left = began + times * patience - time.monotonic()
                if left <= 0:
                    break
                freed.wait(min(left, patience))
        extra: tuple[Any, str] = acquire(*arguments, **keywords)
        return extra

    def released(worker: Any) -> None:
        if worker is not None:
            worker.idle_since = time.monotonic()
        release(worker)
        with freed:
            freed.notify_all()

    lambdas.acquire_worker, lambdas.release_worker = acquired, released
    threading.Thread(target=_end_idle, args=(idle,), daemon=True, name="idle-environments").start()


def _starts(function: str) -> bool:
    """Return whether an environment of the function runs its first invocation."""
    with runtime._lock:
        return any(
            worker.func_name == function and worker.in_use and not hasattr(worker, "idle_since")
            for workers in runtime._workers.values()
            for worker in workers
        )


def _end_idle(seconds: float) -> None:
    while True:
        time.sleep(min(LONGEST_PAUSE, seconds / 4))
        try:
            runtime.kill_workers(_take_idle(seconds))
        except Exception:
            log.exception("idle environments could not be ended, will be retried")


def _take_idle(seconds: float) -> list[Any]:
    """Remove environments that were idle for `seconds` from their pools, and return them."""
    since = time.monotonic() - seconds
    idle: list[Any] = []
    with runtime._lock:
        for key, workers in list(runtime._workers.items()):
            ended = [one for one in workers if not one.in_use and _idle_since(one) <= since]
            left = [worker for worker in workers if worker not in ended]
            idle += ended
            if left:
                runtime._workers[key] = left
            else:
                del runtime._workers[key]
    return idle


def _idle_since(worker: Any) -> float:
    """Return the end of the last invocation; a new environment counts from now."""
    if not hasattr(worker, "idle_since"):
        worker.idle_since = time.monotonic()
    return float(worker.idle_since)
