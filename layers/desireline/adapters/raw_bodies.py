"""Raw bodies in several places: the newest lie on their topic, the rest in the archive."""

from __future__ import annotations

from collections.abc import Mapping

from desireline.events import RawWebhook
from desireline.ports import KeptBodies


class FirstFound:
    """The KeptBodies port on several, asked in this order for what was not found yet."""

    def __init__(self, *places: KeptBodies) -> None:
        self._places = places

    def find(self, wanted: Mapping[str, int]) -> dict[str, RawWebhook]:
        """Raises UnavailableError."""
        found: dict[str, RawWebhook] = {}
        for place in self._places:
            missing = {name: at for name, at in wanted.items() if name not in found}
            if missing:
                found |= place.find(missing)
        return found
