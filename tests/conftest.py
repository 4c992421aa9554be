"""What holds for every test."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

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


TESTS = Path(__file__).parent
WAITING = ("e2e", "integration")
"""The suites that wait for processes. Each runs in one worker, which shares a broker and a cloud
among its tests, while the other workers compute."""


def pytest_itemcollected(item: pytest.Item) -> None:
    """Group tests for pytest-xdist, before it reads the groups: a suite that waits is one group, as
    is each other file, but histories of the simulation go to any worker."""
    suite, *_ = path = item.path.relative_to(TESTS).parts
    if suite != "simulation":
        item.add_marker(pytest.mark.xdist_group(suite if suite in WAITING else "/".join(path)))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest groups first, so that no worker starts one when the others have finished."""
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    suite = item.path.relative_to(TESTS).parts[0]
    return WAITING.index(suite) if suite in WAITING else len(WAITING)


@pytest.fixture(scope="module", autouse=True)
def nothing_left_open() -> Iterator[None]:
    """What a module leaves unclosed fails there, not in whichever test the collector runs in."""
    yield
    gc.collect()
    # What is left stays for the other modules' sake, and need not be looked at again after each.
    gc.freeze()
