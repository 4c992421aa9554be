"""The state of a replay, kept so that an interrupted one can be resumed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from platformdirs import user_state_path
from pydantic import BaseModel, ConfigDict, TypeAdapter

from desireline.ports import Span
from desireline.recover.replay_webhooks import ReplayProgress, Selection

FOLDER = user_state_path("desireline") / "replays"
EVERYTHING = 2**45
"""A time after all others."""


class Kept(BaseModel):
    """A replay as it stands. left: of its span; fixed when it began."""

    model_config = ConfigDict(frozen=True)

    id: str
    deployment: str
    origin: Literal["kafka", "archive"]
    selection: Selection
    left: Span
    bodies: int = 0
    events: int = 0

    @classmethod
    def read(cls, replay_id: str, folder: Path = FOLDER) -> Kept:
        """Raises OSError, ValueError."""
        if not re.fullmatch(r"[0-9a-z-]{1,60}", replay_id):
            raise ValueError(f"'{replay_id}' is no replay's id")
        try:
            return cls.model_validate_json((folder / f"{replay_id}.json").read_bytes())
        except FileNotFoundError as error:
            raise ValueError(f"no replay {replay_id} is kept in {folder}") from error

    def after(self, progress: ReplayProgress) -> Kept:
        """As it stands after that."""
        counts = progress.counts
        changes = {
            "left": progress.left,
            "bodies": counts.bodies,
            "events": counts.events.total(),
        }
        return self.model_copy(update=changes)

    def write(self, folder: Path = FOLDER) -> None:
        """Whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f"{self.id}.draft"
        draft.write_bytes(TypeAdapter(Kept).dump_json(self))
        draft.replace(folder / f"{self.id}.json")


def size(span: Span) -> int:
    """Steps that are left: offsets, or files where lines are not known yet."""
    return sum(1 if part.end is None else part.end - part.start for part in span.parts)
