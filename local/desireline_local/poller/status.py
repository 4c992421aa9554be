"""A client of the pollers' status."""

from __future__ import annotations

from typing import Any

import httpx


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
