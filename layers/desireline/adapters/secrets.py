"""The Secrets port on Secrets Manager.

It returns the current and the previous value, so that both are valid during a rotation. It reads
them again at most once a minute, and at least once an hour.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from desireline.adapters.aws import translated
from desireline.adapters.clock import WallClock
from desireline.errors import RetryableError
from desireline.ports import Clock

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager.client import SecretsManagerClient

REFRESH_AFTER = 60_000
CACHED_MS = 3_600_000
"""The longest time that an environment accepts a secret that was withdrawn."""

STAGES = ("AWSCURRENT", "AWSPREVIOUS")


class SecretsManager:
    """Secrets by name. deployment: the prefix of their names."""

    def __init__(
        self, client: SecretsManagerClient, deployment: str, wall: Clock | None = None
    ) -> None:
        self._client = client
        self._deployment = deployment
        self._wall = wall or WallClock()
        self._values: dict[str, tuple[bytes, ...]] = {}
        self._read_at: dict[str, int] = {}

    def current(self, name: str) -> Sequence[bytes]:
        read_at = self._read_at.get(name)
        if read_at is None:
            self._read(name)
        elif (now := self._wall.now()) - read_at >= CACHED_MS:
            try:
                self._read(name)
            except RetryableError:
                # The cached values stay valid. The next read is in one minute.
                self._read_at[name] = now - CACHED_MS + REFRESH_AFTER
        return self._values[name]

    def refresh(self, name: str) -> bool:
        if self._wall.now() - self._read_at.get(name, 0) < REFRESH_AFTER:
            return False
        self._read(name)
        return True

    def _read(self, name: str) -> None:
        with translated():
            values = [self._value(f"{self._deployment}/{name}", stage) for stage in STAGES]
        self._values[name] = tuple(value for value in values if value)
        self._read_at[name] = self._wall.now()

    def _value(self, secret: str, stage: str) -> bytes | None:
        try:
            answer = self._client.get_secret_value(SecretId=secret, VersionStage=stage)
        except ClientError as error:
            if stage != STAGES[0] and error.response["Error"].get("Code") in (
                "ResourceNotFoundException",
                "InvalidRequestException",
            ):
                return None
            raise
        # A secret that was stored from a file may end in a line break, which is not part of it.
        return answer["SecretString"].strip().encode()
