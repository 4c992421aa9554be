"""The running local AWS: started, asked whether it is ready, its clock moved, stopped."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import httpx
from botocore.config import Config

from desireline_local.aws.environment import tool_python
from desireline_local.kafka.broker import LOOPBACK, free_port
from desireline_local.processes import spawn, stop

REGION = "us-east-1"
ACCOUNT = "000000000000"
START_SECONDS = 180.0
IDLE_SECONDS = 300.0
SOURCES = Path(__file__).parents[2]
_LAUNCH = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from desireline_local.aws.tool.launch import main; main()"
)


class AwsError(Exception):
    """The local AWS did not start; the message holds the end of its log."""


class LocalAws:
    """home: an empty folder for temporary files and its log. auth: whether IAM is enforced.
    patience: seconds that an invocation waits for one of a few environments to become free, before
    it gets another. idle: seconds without an invocation after which an environment ends."""

    def __init__(
        self,
        home: Path,
        *,
        port: int | None = None,
        auth: bool = False,
        patience: float = 3.0,
        idle: float = IDLE_SECONDS,
    ) -> None:
        self._home = home
        self._auth = auth
        self._patience = patience
        self._idle = idle
        self.port = port or free_port()
        self.control_port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """The address that AWS clients use."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def log(self) -> Path:
        return self._home / "aws.log"

    @property
    def clock_url(self) -> str:
        """What functions are given as CLOCK_URL: a file that holds the journey clock."""
        return self._clock.as_uri()

    @property
    def _clock(self) -> Path:
        return (self._home / "clock").absolute()

    @property
    def control(self) -> Control:
        """Clock, faults, rest."""
        return Control(f"http://{LOOPBACK}:{self.control_port}")

    def __enter__(self) -> LocalAws:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, report: Callable[[str], None] = lambda _: None) -> None:
        """Start and return when it answers. Raises AwsError."""
        self.launch(report)
        self.wait()

    def launch(self, report: Callable[[str], None] = lambda _: None) -> None:
        """Start without waiting."""
        temporary = self._home / "tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        self.process = spawn(
            [
                *(tool_python(report), "-c", _LAUNCH, SOURCES),
                *(str(self.control_port), self._clock, str(self._patience), str(self._idle)),
            ],
            log=self.log,
            environment=self._environment(temporary),
        )

    def wait(self) -> None:
        """Return when it answers. Raises AwsError."""
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if self.process is None or self.process.poll() is not None:
                raise AwsError(f"the local AWS ended:\n{self.log.read_text()[-2000:]}")
            try:
                if httpx.get(f"{self.endpoint}/_ministack/health", timeout=10).is_success:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        raise AwsError(f"the local AWS does not answer after {START_SECONDS:.0f} s")

    def stop(self) -> None:
        """End it, its workers too, and remove their files."""
        if self.process is not None:
            stop([self.process], seconds=5)
        shutil.rmtree(self._home / "tmp", ignore_errors=True)
        self._clock.unlink(missing_ok=True)

    def client(self, service: str, **settings: Any) -> Any:
        """A boto3 client of the local AWS."""
        return client(self.endpoint, service, **settings)

    def _environment(self, temporary: Path) -> dict[str, str]:
        """Nothing of ours leaks into functions: they inherit all of this."""
        return {
            "PATH": os.defpath,
            "HOME": str(temporary),
            "TMPDIR": str(temporary),
            "LANG": "C.UTF-8",
            "BIND_HOST": LOOPBACK,
            "GATEWAY_PORT": str(self.port),
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "AUTH": "true" if self._auth else "false",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "LOG_LEVEL": "WARNING",
        }


class Control:
    """The launcher's own address: the journey clock, faults, and whether all is at rest.

    It keeps no connection, so that there is nothing to close.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        keep_none = httpx.Limits(max_keepalive_connections=0)
        self._http = httpx.Client(base_url=url, timeout=60, limits=keep_none)

    def now(self) -> int:
        """Journey time, epoch milliseconds."""
        return int(self._http.get("/now").raise_for_status().text)

    def clock(self) -> dict[str, Any]:
        """now, and whether a driver has taken it."""
        return self._json("GET", "/clock")

    def freeze(self, at: int) -> None:
        """From now on journey time stands still at `at`, epoch milliseconds."""
        self._json("POST", "/clock", {"freeze": at})

    def advance(self, to: int) -> None:
        """Move journey time on to `to`, epoch milliseconds."""
        self._json("POST", "/clock", {"advance": to})

    def rest(self) -> dict[str, Any]:
        """What is in flight inside of the local AWS."""
        return self._json("GET", "/rest")

    def faults(self, **wanted: Any) -> dict[str, Any]:
        """Change what faults are injected (see the launcher's Faults: throttle, conflict, seed,
        silent_publishes, planned); returns what is, and was, injected."""
        return self._json("POST", "/faults", wanted) if wanted else self._json("GET", "/faults")

    def count(self) -> None:
        """Count from nothing what AWS would bill."""
        self._json("POST", "/usage", {"counting": True})

    def usage(self) -> dict[str, Any]:
        """What was counted since then (see the launcher's Usage); no longer counted."""
        return self._json("POST", "/usage", {"counting": False})

    def _json(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        answer = self._http.request(method, path, json=body)
        found: dict[str, Any] = answer.raise_for_status().json()
        return found


def client(endpoint: str, service: str, **settings: Any) -> Any:
    """A boto3 client of a local AWS; nothing of the user's own AWS configuration is read."""
    defaults: dict[str, Any] = {
        "s3": {"addressing_style": "path"},
        "max_pool_connections": 64,
        "retries": {"total_max_attempts": 1},
        "read_timeout": 130,
    }
    configured = Config(**{**defaults, **settings})
    with _session_lock:
        made: Any = _session().client(service, endpoint_url=endpoint, config=configured)  # type: ignore[call-overload]
    return made


def credentials() -> Any:
    """Return the credentials of the local AWS, which lets in every caller."""
    return _session().get_credentials()


_session_lock = threading.Lock()


@cache
def _session() -> boto3.session.Session:
    """One for all: it reads each service's description once. Not for threads side by side."""
    return boto3.session.Session(
        aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION
    )
