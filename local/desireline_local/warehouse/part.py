"""The warehouse as a part of the local cloud."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from desireline_local.kafka.broker import LOOPBACK, free_port, listens
from desireline_local.processes import spawn, stop, wait_until

START_SECONDS = 180.0
_PACKAGE = "desireline_local.warehouse"


class WarehouseError(Exception):
    """The stand-in, the migrations or the local Snowpipe did not start."""


class WarehousePart:
    """The stand-in's server and the local Snowpipe. home: for their logs."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.port = free_port()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def address(self) -> str:
        """host:port of the server."""
        return f"{LOOPBACK}:{self.port}"

    def launch(self) -> None:
        """Start the server, and return at once."""
        command = [sys.executable, "-m", f"{_PACKAGE}.server", str(self.port)]
        self.processes["warehouse"] = spawn(command, log=self._home / "warehouse.log")

    def connect(self, aws: str, arrivals_topic: str, archive_url: str) -> None:
        """Run the migrations, and start the Snowpipe on arriving files. Raises WarehouseError."""
        self.wait()
        log = self._home / "migrations.log"
        migration = spawn(
            [sys.executable, "-m", f"{_PACKAGE}.migrate", str(self.port), arrivals_topic,
             archive_url],
            log=log,
        )  # fmt: skip
        if migration.wait(START_SECONDS):
            raise WarehouseError(f"the migrations failed:\n{log.read_text()[-2000:]}")
        log = self._home / "snowpipe.log"
        self.processes["snowpipe"] = spawn(
            [sys.executable, "-m", f"{_PACKAGE}.snowpipe", str(self.port), aws, arrivals_topic,
             archive_url],
            log=log,
        )  # fmt: skip
        if not wait_until(lambda: log.exists() and "ready" in log.read_text(), START_SECONDS):
            raise WarehouseError(f"the local Snowpipe is not ready:\n{log.read_text()[-2000:]}")

    def stop(self) -> None:
        """End the server and the Snowpipe."""
        stop(list(self.processes.values()))

    def wait(self) -> None:
        """Return when the server listens. Raises WarehouseError."""
        if not wait_until(lambda: listens(self.port), START_SECONDS):
            raise WarehouseError(
                f"the warehouse stand-in does not listen: read {self._home / 'warehouse.log'}"
            )
