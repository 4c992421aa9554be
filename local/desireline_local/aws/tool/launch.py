"""Start ministack with our patches.

Arguments: port of the control address, file of the clock, seconds that an invocation waits for an
environment, idle seconds after which an environment ends.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

from desireline_local.aws.tool import (
    control,
    environments,
    extraction,
    faults,
    patches,
    resources,
    retention,
    streams,
    usage,
    virtual_time,
)

VERSION = "1.5.33"


def main() -> None:
    """Patch ministack, then serve until a signal."""
    if version("ministack") != VERSION:
        raise SystemExit(f"the patches are for ministack {VERSION}, not {version('ministack')}")
    virtual_time.install()
    patches.install()
    resources.install()
    streams.install()
    extraction.install()
    environments.install(idle=float(sys.argv.pop(4)), patience=float(sys.argv.pop(3)))
    retention.install()
    faults.install()
    usage.install()
    control.serve(int(sys.argv.pop(1)))
    virtual_time.CLOCK.tell(Path(sys.argv.pop(1)))
    from ministack.app import main as serve  # noqa: PLC0415 — reads the environment as patched

    serve()
