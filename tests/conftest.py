"""What holds for every test."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

TERMINAL = (
    *("COLUMNS", "LINES", "FORCE_COLOR", "PY_COLORS", "TTY_COMPATIBLE", "TTY_INTERACTIVE"),
    *("GITHUB_ACTIONS", "TERMINAL_WIDTH"),
)
"""Where these are set when a command is imported, it prints for a terminal like that."""
for name in TERMINAL:
    pytest.MonkeyPatch().delenv(name, raising=False)

settings.register_profile(
    "search", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile("same", settings.get_profile("search"), derandomize=True)
settings.load_profile("same")
"""The same examples every time, however long they take: whether a commit is good depends on no
machine and on no draw. `make test-all` searches with others."""


WAITING = ("e2e", "integration")
"""The suites that wait for processes. Each runs in one worker, which shares a broker and a cloud
among its tests, while the other workers compute."""


class SuiteScheduling(LoadScopeScheduling):
    """Keeps a suite that waits in one worker, and the tests of each other file together. Histories
    of the simulation go to any worker."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        suite = _suite(file)
        if suite == "simulation":
            return nodeid
        return suite if suite in WAITING else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SuiteScheduling:
    """Distribute the tests by suite, whatever --dist says."""
    return SuiteScheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest suites first, so that no worker starts one when the others have finished."""
    items.sort(key=lambda item: _rank(_suite(item.nodeid)))


def _suite(path: str) -> str:
    """Return the folder below tests/ in a path or node id."""
    return path.removeprefix("tests/").partition("/")[0]


def _rank(suite: str) -> int:
    return WAITING.index(suite) if suite in WAITING else len(WAITING)


@pytest.fixture(scope="module", autouse=True)
def nothing_left_open() -> Iterator[None]:
    """What a module leaves unclosed fails there, not in whichever test the collector runs in."""
    yield
    gc.collect()
    # What is left stays for the other modules' sake, and need not be looked at again after each.
    gc.freeze()
