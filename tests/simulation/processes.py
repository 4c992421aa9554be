"""Functions and their environments: each handles one invocation at a time and keeps its caches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.simulation.scheduler import Scheduler

MOST_WARM = 3


class Function:
    """make: the composition root, run for every new environment."""

    def __init__(self, scheduler: Scheduler, make: Callable[[], Any]) -> None:
        self._scheduler = scheduler
        self._make = make
        self._warm: list[Any] = []
        self._release = 0

    def invoke(
        self,
        name: str,
        body: Callable[[Any], Any],
        *,
        done: Callable[[Any], None],
        died: Callable[[BaseException], None],
        timeout: int,
    ) -> None:
        """Run `body` on the use case of a free environment, or of a new one. An environment that
        dies is not used again; one that raises is."""
        use_case, release = self._free(), self._release

        def finished(result: Any) -> None:
            self._keep(use_case, release)
            done(result)

        def ended(error: BaseException) -> None:
            if isinstance(error, Exception):
                self._keep(use_case, release)
            died(error)

        self._scheduler.spawn(
            name, lambda: body(use_case), done=finished, died=ended, timeout=timeout
        )

    def _free(self) -> Any:
        if self._warm and self._scheduler.rng.random() < 0.9:
            return self._warm.pop(self._scheduler.rng.randrange(len(self._warm)))
        return self._make()

    def replace(self) -> None:
        """A deployment: what runs ends in its environment, everything later gets a new one."""
        self._warm.clear()
        self._release += 1

    def _keep(self, use_case: Any, release: int) -> None:
        if release != self._release:
            return
        self._warm.append(use_case)
        if len(self._warm) > MOST_WARM:
            self._warm.pop(0)
