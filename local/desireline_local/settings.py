"""The environment that commands of ours are run with."""

from __future__ import annotations

import os

_SLOWS_DOWN = "PYTHONDONTWRITEBYTECODE"


def inherited(**changes: str) -> dict[str, str]:
    """This process' environment, certificates and proxies included, with these changes. Python may
    write byte code: without it every start reads the sources again."""
    kept = {name: value for name, value in os.environ.items() if name != _SLOWS_DOWN}
    return {**kept, **changes}
