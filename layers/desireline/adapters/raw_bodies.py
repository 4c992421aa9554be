"""Find raw bodies in several stores: new ones on their topic, older ones in the archive."""

from __future__ import annotations

from collections.abc import Mapping

from desireline.events import RawWebhook
from desireline.ports import KeptBodies


class FirstFound:
    """The KeptBodies port on several stores. Each store gets the ids that earlier ones lack."""

    def __init__(self, *stores: KeptBodies) -> None:
        self._stores = stores

    def find(self, arrivals: Mapping[str, int]) -> dict[str, RawWebhook]:
        """Find bodies as `KeptBodies.find` does. Raises UnavailableError."""
        bodies: dict[str, RawWebhook] = {}
        for store in self._stores:
            missing = {name: at for name, at in arrivals.items() if name not in bodies}
            if missing:
                bodies |= store.find(missing)
        return bodies
