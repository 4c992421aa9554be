"""Rules about persons: who wins a merge, and when two must not become one (delivery rule 14)."""

from __future__ import annotations

from uuid import UUID, uuid5

from desireline.events import UNIQUE_ALIASES, Alias, AliasType
from desireline.rows import Evidence, EvidenceRow, PersonRow

MERGES_LIMIT = 100
"""Merges of two persons with several aliases each. An alias that only joins counts as none."""
ALIASES_LIMIT = 1_000

_EDGES = UUID("3d7c1a52-6d0b-5c1e-a1f4-0c9b5e8d2f63")


def listed(alias: Alias) -> str:
    """An alias as PersonRow lists it: 'type#fragment'."""
    return f"{alias.type}#{alias.fragment}"


def default_person(alias: Alias, received_at: int) -> PersonRow:
    """The person that an alias is as long as nothing was linked to it."""
    unique = {str(alias.type): alias.fragment} if alias.type in UNIQUE_ALIASES else {}
    return PersonRow(
        fragment=alias.fragment,
        subject=alias.fragment,
        unique=unique,
        aliases=(listed(alias),),
        created=received_at,
    )


def edge_of(left: str, right: str) -> str:
    """The id of the evidence that two fragments were seen together, in either order."""
    return str(uuid5(_EDGES, "|".join(sorted((left, right)))))


def obstacle(left: PersonRow, right: PersonRow) -> str:
    """Return why the two must not merge, or the empty string.

    'conflict': they carry different values of a unique id. 'limit': the result would be larger
    than any real person, so an id that means nobody must have slipped through.
    """
    shared = left.unique.keys() & right.unique.keys()
    if any(left.unique[kind] != right.unique[kind] for kind in shared):
        return "conflict"
    if _both_have_several(left, right) and max(left.merges, right.merges) >= MERGES_LIMIT:
        return "limit"
    if len(left.aliases) + len(right.aliases) > ALIASES_LIMIT:
        return "limit"
    return ""


def _both_have_several(left: PersonRow, right: PersonRow) -> bool:
    """Tell whether both persons have several aliases, so that their merge counts."""
    return min(len(left.aliases), len(right.aliases)) > 1


def winner_first(left: PersonRow, right: PersonRow) -> tuple[PersonRow, PersonRow]:
    """A total order: identified before anonymous, then older, then the smaller id."""
    one, two = sorted((left, right), key=lambda p: (not p.unique, p.created, p.fragment))
    return one, two


def merged(
    winner: PersonRow, loser: PersonRow, subject: str, evidence: tuple[Evidence, ...]
) -> tuple[PersonRow, PersonRow]:
    """The winner with everything of the loser's, and the loser's tombstone with the evidence."""
    survivor = winner.but(
        subject=subject,
        unique={**loser.unique, **winner.unique},
        aliases=tuple(sorted({*winner.aliases, *loser.aliases})),
        merges=winner.merges + loser.merges + int(_both_have_several(winner, loser)),
        account=winner.account or loser.account,
        ambiguous=winner.ambiguous or loser.ambiguous,
        created=min(winner.created, loser.created),
    )
    return survivor, loser.but(merged_into=winner.fragment, evidence=evidence)


def evidence_of(tombstone: PersonRow) -> list[EvidenceRow]:
    """What a merge rests on, as a row of each pair."""
    into = tombstone.merged_into or tombstone.fragment
    return [
        EvidenceRow(
            edge=edge_of(one.left.partition("#")[2], one.right.partition("#")[2]),
            **one.model_dump(),
            roots=(tombstone.fragment, into),
            merged=True,
        )
        for one in tombstone.evidence
    ]


def may_be_ambiguous(alias: Alias) -> bool:
    """Whether two people may share such an alias; a unique id is somebody's by definition."""
    return AliasType(alias.type) not in UNIQUE_ALIASES
