"""The Secrets port on Secrets Manager: current and previous value, so that a rotation breaks
nobody, read again at most once a minute, and at least once an hour."""

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
REMEMBERED = 3_600_000
"""Where a withdrawn secret is remembered, it holds for no longer than this."""

STAGES = ("AWSCURRENT", "AWSPREVIOUS")


class SecretsManager:
    """Secrets by name; deployment: what their names begin with."""

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
        elif (now := self._wall.now()) - read_at >= REMEMBERED:
            try:
                self._read(name)
            except RetryableError:
                # What is known goes on holding; the next look is in a minute.
                self._read_at[name] = now - REMEMBERED + REFRESH_AFTER
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
        # Whoever stores a file or a line stores its line break as well, which no sender signs with.
        return answer["SecretString"].strip().encode()
