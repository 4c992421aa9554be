"""A run keeps its playbook's version to its end: what was published under a version stays so."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from desireline.intervene.playbook.playbooks import Library, Playbook, load

PUBLISHED: dict[str, str] = json.loads(
    (Path(__file__).parent / "written" / "playbooks.json").read_text()
)
HOW = (
    "raise the playbook's version, keep the old file beside it as name.v1.yaml until its runs have "
    "ended, and add the new version's digest to written/playbooks.json"
)


def digest(playbook: Playbook) -> str:
    content = playbook.model_dump_json(by_alias=True, exclude_defaults=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def test_what_was_published_is_shipped_as_it_was() -> None:
    library: Library = load()
    shipped = {}
    for place in PUBLISHED:
        name, _, version = place.partition(" ")
        shipped[place] = digest(library.at(name, int(version)))
    assert shipped == PUBLISHED, HOW


def test_what_is_shipped_is_published() -> None:
    current = {f"{one.name} {one.version}" for one in load().current()}
    assert current <= set(PUBLISHED), HOW
