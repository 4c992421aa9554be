"""The Switches port: one JSON document in an SSM parameter, read again every few seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from desireline.adapters.aws import translated
from desireline.adapters.clock import WallClock
from desireline.errors import DeniedError, TerminalError, UnavailableError
from desireline.ports import Clock

if TYPE_CHECKING:
    from mypy_boto3_ssm.client import SSMClient

FRESH = 5_000


class Kill(BaseModel):
    """The kill switches: all messages, some playbooks, some channels."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    all: bool = False
    playbooks: frozenset[str] = frozenset()
    channels: frozenset[str] = frozenset()


class SwitchBoard(BaseModel):
    """The document of the switches. By default nothing is sent (delivery rule 10)."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    send_mode: Literal["record", "allowlist", "live"] = "record"
    allowlist: frozenset[str] = frozenset()
    kill: Kill = Kill()


class ParameterSwitches:
    """Reads the parameter at most every five seconds.

    Raises RetryableError if the document is missing or invalid. Messages then wait until an
    operator corrects it."""

    def __init__(self, client: SSMClient, parameter: str, wall: Clock | None = None) -> None:
        self._client = client
        self._parameter = parameter
        self._wall = wall or WallClock()
        self._board = SwitchBoard()
        self._read_at = -FRESH

    def send_mode(self) -> str:
        return self._current().send_mode

    def allowed(self, recipient: str) -> bool:
        return recipient in self._current().allowlist

    def killed(self, *, playbook: str, channel: str) -> bool:
        kill = self._current().kill
        return kill.all or playbook in kill.playbooks or channel in kill.channels

    def _current(self) -> SwitchBoard:
        now = self._wall.now()
        if now - self._read_at >= FRESH:
            self._board = self._read()
            self._read_at = now
        return self._board

    def _read(self) -> SwitchBoard:
        try:
            with translated():
                answer = self._client.get_parameter(Name=self._parameter)
            return SwitchBoard.model_validate_json(answer["Parameter"]["Value"])
        except TerminalError as error:
            raise DeniedError(f"the switches cannot be read: {error.reason}") from error
        except ValidationError as error:
            fields = sorted(
                {".".join(map(str, detail["loc"])) or "document" for detail in error.errors()}
            )
            raise UnavailableError(f"the switches are invalid: {', '.join(fields)}") from error
