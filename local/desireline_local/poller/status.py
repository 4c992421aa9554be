"""How far the pollers are, asked over their address."""

from __future__ import annotations

from typing import Any

import httpx

from desireline.contracts import Function


class PollerStatus:
    """url: where the poller's process answers. It keeps no connection."""

    def __init__(self, url: str) -> None:
        keep_none = httpx.Limits(max_keepalive_connections=0)
        self._http = httpx.Client(base_url=url, timeout=60, limits=keep_none)

    def look(self) -> dict[str, Any]:
        """Every mapping with its lag and counts, and how much was ever produced."""
        found: dict[str, Any] = self._http.get("/status").raise_for_status().json()
        return found

    def ready(self) -> bool:
        """Whether it answers."""
        return bool(self.look())

    def behind(self, *, without: frozenset[str] = frozenset()) -> int:
        """Records that the mappings of functions other than `without` have still to handle."""
        return _behind(self.look(), without)


ARCHIVE = frozenset({Function.ARCHIVE_HISTORY.value})


def _behind(status: dict[str, Any], without: frozenset[str]) -> int:
    return sum(
        mapping["lag"]
        for mapping in status["mappings"]
        if not any(name in mapping["function"].replace("-", "_") for name in without)
    )
