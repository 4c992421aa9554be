"""The environment of the commands that the local cloud runs."""

from __future__ import annotations

import os

_SLOWS_DOWN = "PYTHONDONTWRITEBYTECODE"


def inherited_environment(**changes: str) -> dict[str, str]:
    """Return this process' environment, certificates and proxies included, with changes.

    Python may write byte code, because without it every start compiles the sources again."""
    rest = {name: value for name, value in os.environ.items() if name != _SLOWS_DOWN}
    return {**rest, **changes}
