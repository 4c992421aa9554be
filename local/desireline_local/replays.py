"""What `desireline replay` keeps of a replay, so that one that was given up goes on where it was;
and whom it takes for a person."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter

from desireline.events import AliasType
from desireline.identity.aliases import Fragments
from desireline.identity.view import fragment_of, read_subject
from desireline.ports import Span, Store
from desireline.recover.replay_webhooks import Progress, Selection
from desireline.rows import PersonRow
from desireline_local.explain import UnknownSubjectError, find_subject
from desireline_local.paths import STATE

FOLDER = STATE / "replays"
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

    def after(self, progress: Progress) -> Kept:
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


def fragments_of_subject(store: Store, fragments: Fragments, asked: str) -> frozenset[str]:
    """Of everybody who belongs to a subject. Raises UnknownSubjectError."""
    view = read_subject(store, find_subject(store, fragments, asked), everywhere=True)
    if not view.root.version and not view.absence.latest:
        raise UnknownSubjectError(f"nothing is known of {asked}")
    return frozenset(view.fragments) | _own(fragments, asked)


def fragments_of_person(store: Store, fragments: Fragments, asked: str) -> frozenset[str]:
    """Of a person, by one of their identifiers, as 'user:…' or an email address; also of somebody
    of whom nothing has been counted. Raises UnknownSubjectError."""
    own = _own(fragments, asked)
    if not own:
        raise UnknownSubjectError(f"'{asked}' identifies nobody: write user:ID or an email address")
    return own | frozenset(_aliases(store, own))


def _own(fragments: Fragments, asked: str) -> frozenset[str]:
    kind, _, value = asked.partition(":")
    if "@" in asked and not value:
        kind, value = AliasType.EMAIL, asked
    alias = fragments.alias(AliasType(kind), value) if kind in set(AliasType) else None
    return frozenset([alias.fragment] if alias else ())


def _aliases(store: Store, own: Iterable[str]) -> Iterable[str]:
    for fragment in own:
        row = store.get(PersonRow.at(fragment))
        while row is not None and row.merged_into is not None:
            row = store.get(PersonRow.at(row.merged_into))
        if row is not None:
            yield from map(fragment_of, row.aliases)
