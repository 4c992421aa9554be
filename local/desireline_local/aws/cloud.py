"""Start, control and stop the local AWS."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import httpx
from botocore.config import Config

from desireline_local.aws.environment import tool_python
from desireline_local.kafka.broker import LOOPBACK, free_port
from desireline_local.processes import spawn, stop, wait_until

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
    """The local AWS did not start; the message contains the end of its log."""


class LocalAws:
    """A local AWS. home: an empty folder for temporary files and the log. auth: whether IAM checks
    rights. patience: seconds that an invocation waits for a free environment before it gets a new
    one. idle: seconds without an invocation after which an environment ends."""

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
        """The functions' CLOCK_URL: a file with the journey clock."""
        return self._clock.as_uri()

    @property
    def _clock(self) -> Path:
        return (self._home / "clock").absolute()

    @property
    def control(self) -> Control:
        """The client of the control address."""
        return Control(f"http://{LOOPBACK}:{self.control_port}")

    def __enter__(self) -> LocalAws:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, report: Callable[[str], None] = lambda _: None) -> None:
        """Start, and return when it answers. Raises AwsError."""
        self.launch(report)
        self.wait()

    def launch(self, report: Callable[[str], None] = lambda _: None) -> None:
        """Start, and return at once."""
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

        def answers() -> bool:
            if self.process is None or self.process.poll() is not None:
                raise AwsError(f"the local AWS ended:\n{self.log.read_text()[-2000:]}")
            with suppress(httpx.TransportError):
                return httpx.get(f"{self.endpoint}/_ministack/health", timeout=10).is_success
            return False

        if not wait_until(answers, START_SECONDS):
            raise AwsError(f"the local AWS does not answer after {START_SECONDS:.0f} s")

    def stop(self) -> None:
        """End the process and its workers, and remove their files."""
        if self.process is not None:
            stop([self.process], seconds=5)
        shutil.rmtree(self._home / "tmp", ignore_errors=True)
        self._clock.unlink(missing_ok=True)

    def client(self, service: str, **settings: Any) -> Any:
        """Return a boto3 client of the local AWS."""
        return client(self.endpoint, service, **settings)

    def _environment(self, temporary: Path) -> dict[str, str]:
        """Return the process' environment. Functions inherit it, so it has nothing of ours."""
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
    """A client of the control address: journey clock, faults, unfinished work.

    It opens a connection for each request, so there is nothing to close.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        keep_none = httpx.Limits(max_keepalive_connections=0)
        self._http = httpx.Client(base_url=url, timeout=60, limits=keep_none)

    def now(self) -> int:
        """Return journey time, epoch milliseconds."""
        return int(self._http.get("/now").raise_for_status().text)

    def clock(self) -> dict[str, Any]:
        """Return `now`, and `frozen`: whether a driver has frozen the clock."""
        return self._json("GET", "/clock")

    def freeze(self, at: int) -> None:
        """Freeze journey time at `at`, epoch milliseconds."""
        self._json("POST", "/clock", {"freeze": at})

    def advance(self, to: int) -> None:
        """Advance journey time to `to`, epoch milliseconds."""
        self._json("POST", "/clock", {"advance": to})

    def rest(self) -> dict[str, Any]:
        """Return the unfinished work in the local AWS (see tool/rest.py)."""
        return self._json("GET", "/rest")

    def faults(self, **changes: Any) -> dict[str, Any]:
        """Change the injected faults (see tool/faults.py), and return them with their counts."""
        return self._json("POST", "/faults", changes) if changes else self._json("GET", "/faults")

    def count(self) -> None:
        """Start to count what AWS would bill, from zero."""
        self._json("POST", "/usage", {"counting": True})

    def usage(self) -> dict[str, Any]:
        """Stop counting, and return the counts (see tool/usage.py)."""
        return self._json("POST", "/usage", {"counting": False})

    def _json(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        answer = self._http.request(method, path, json=body)
        found: dict[str, Any] = answer.raise_for_status().json()
        return found


def client(endpoint: str, service: str, **settings: Any) -> Any:
    """Return a boto3 client of a local AWS. It ignores the user's own AWS configuration."""
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


_session_lock = threading.Lock()


@cache
def _session() -> boto3.session.Session:
    """Return the session of all clients, so that each service's description is read once.

    It is not thread-safe."""
    return boto3.session.Session(
        aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION
    )
