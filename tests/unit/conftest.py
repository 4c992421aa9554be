"""Unit tests ask nobody outside of this machine."""

from __future__ import annotations

import pytest
from pytest_socket import socket_allow_hosts

LOOPBACK = ["127.0.0.1", "::1", "localhost"]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Until the test has ended: pytest-socket lets go of it then."""
    socket_allow_hosts(LOOPBACK, allow_unix_socket=True)
