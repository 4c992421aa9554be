"""A client of the pollers' status."""

from __future__ import annotations

from typing import Any

import httpx

from desireline.contracts import Function


class PollerStatus:
    """A client. url: address of the poller's process. It opens a connection for each request."""

    def __init__(self, url: str) -> None:
        keep_none = httpx.Limits(max_keepalive_connections=0)
        self._http = httpx.Client(base_url=url, timeout=60, limits=keep_none)

    def look(self) -> dict[str, Any]:
        """Return every mapping with its lag and counts, and the number of produced records."""
        status: dict[str, Any] = self._http.get("/status").raise_for_status().json()
        return status

    def ready(self) -> bool:
        """Return whether the poller answers."""
        return bool(self.look())

    def behind(self, *, without: frozenset[str] = frozenset()) -> int:
        """Count the unhandled records of all functions except `without`."""
        return _behind(self.look(), without)


ARCHIVE = frozenset({Function.ARCHIVE_HISTORY.value})


def _behind(status: dict[str, Any], without: frozenset[str]) -> int:
    return sum(
        mapping["lag"]
        for mapping in status["mappings"]
        if not any(name in mapping["function"].replace("-", "_") for name in without)
    )
