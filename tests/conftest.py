"""What holds for every test."""

from __future__ import annotations

import gc
from collections.abc import Iterator

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


@pytest.fixture(scope="module", autouse=True)
def nothing_left_open() -> Iterator[None]:
    """What a module leaves unclosed fails there, not in whichever test the collector runs in."""
    yield
    gc.collect()
    # What is left stays for the other modules' sake, and need not be looked at again after each.
    gc.freeze()
