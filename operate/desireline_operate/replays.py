"""The stored state of replays, from which an interrupted replay continues."""

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
"""Epoch ms in the year 3084: later than any webhook, for a replay without an end."""


class StoredReplay(BaseModel):
    """The state of a replay. left: the unread part of its span, which is fixed at the start."""

    model_config = ConfigDict(frozen=True)

    id: str
    deployment: str
    origin: Literal["kafka", "archive"]
    selection: Selection
    left: Span
    bodies: int = 0
    events: int = 0

    @classmethod
    def read(cls, replay_id: str, folder: Path = FOLDER) -> StoredReplay:
        """Read the state of a replay. Raises OSError, ValueError."""
        if not re.fullmatch(r"[0-9a-z-]{1,60}", replay_id):
            raise ValueError(f"'{replay_id}' must be the id of a replay, as replay-0f1e2d3c4b5a")
        try:
            return cls.model_validate_json((folder / f"{replay_id}.json").read_bytes())
        except FileNotFoundError as error:
            raise ValueError(
                f"replay {replay_id} is not stored in {folder}: start a new one"
            ) from error

    def after(self, progress: ReplayProgress) -> StoredReplay:
        """Return the state after this progress."""
        counts = progress.counts
        changes = {
            "left": progress.left,
            "bodies": counts.bodies,
            "events": counts.events.total(),
        }
        return self.model_copy(update=changes)

    def write(self, folder: Path = FOLDER) -> None:
        """Write the state atomically: a crash leaves the old file or the new one."""
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f"{self.id}.draft"
        draft.write_bytes(TypeAdapter(StoredReplay).dump_json(self))
        draft.replace(folder / f"{self.id}.json")


def count_steps(span: Span) -> int:
    """Count the steps of a span: offsets on the topic, lines or whole files in the archive."""
    return sum(1 if part.end is None else part.end - part.start for part in span.parts)
