"""Rules for merging persons: which person wins, and which two must not merge (delivery rule 14)."""

from __future__ import annotations

from uuid import UUID, uuid5

from desireline.events import UNIQUE_ALIASES, Alias, AliasType
from desireline.rows import Evidence, EvidenceRow, PersonRow

MERGES_LIMIT = 100
"""The most merges of a person in which both sides had several aliases."""
ALIASES_LIMIT = 1_000

_EDGES = UUID("3d7c1a52-6d0b-5c1e-a1f4-0c9b5e8d2f63")


def listed(alias: Alias) -> str:
    """Write an alias as 'type#fragment', as PersonRow lists it."""
    return f"{alias.type}#{alias.fragment}"


def default_person(alias: Alias, received_at: int) -> PersonRow:
    """Return the person of an alias that no event has linked yet. received_at: epoch ms."""
    unique = {str(alias.type): alias.fragment} if alias.type in UNIQUE_ALIASES else {}
    return PersonRow(
        fragment=alias.fragment,
        subject=alias.fragment,
        unique=unique,
        aliases=(listed(alias),),
        created=received_at,
    )


def edge_of(left: str, right: str) -> str:
    """Return the id of the evidence for two fragments. Their order does not matter."""
    return str(uuid5(_EDGES, "|".join(sorted((left, right)))))


def obstacle(left: PersonRow, right: PersonRow) -> str:
    """Return why the two must not merge, or the empty string.

    'conflict': they have different values of a unique id. 'limit': the merged person would be
    larger than any real person, so one of its aliases probably identifies nobody.
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
    """Order two persons: identified before anonymous, then the older, then the smaller fragment.

    The order is total, so that all environments choose the same winner."""
    one, two = sorted((left, right), key=lambda p: (not p.unique, p.created, p.fragment))
    return one, two


def merged(
    winner: PersonRow, loser: PersonRow, subject: str, evidence: tuple[Evidence, ...]
) -> tuple[PersonRow, PersonRow]:
    """Return the winner with the loser's aliases, and the loser's tombstone with the evidence."""
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
    """Return the evidence of a merge, as one row for each pair of aliases."""
    into = tombstone.merged_into or tombstone.fragment
    return [
        EvidenceRow(
            edge=edge_of(evidence.left.partition("#")[2], evidence.right.partition("#")[2]),
            **evidence.model_dump(),
            roots=(tombstone.fragment, into),
            merged=True,
        )
        for evidence in tombstone.evidence
    ]


def may_be_ambiguous(alias: Alias) -> bool:
    """Tell whether two persons may share such an alias. A unique id belongs to one person."""
    return AliasType(alias.type) not in UNIQUE_ALIASES
