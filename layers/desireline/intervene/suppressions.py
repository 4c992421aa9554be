"""Read the suppressions of a subject, when a step is decided and before a delivery."""

from __future__ import annotations

from collections.abc import Iterable

from desireline.ports import Store
from desireline.rows import SuppressionRow

EVERY_CHANNEL = "*"


def suppressions_of(
    store: Store, targets: Iterable[str], channels: Iterable[str]
) -> list[SuppressionRow]:
    """Return the suppressions that are in force, for these channels and for all channels.

    targets: fragments and account keys. Raises RetryableError."""
    scopes = (EVERY_CHANNEL, *channels)
    refs = [SuppressionRow.ref_to(target, scope) for target in targets for scope in scopes]
    rows = store.get_all(refs)
    return [rows[ref] for ref in refs if ref in rows and rows[ref].lifted_at is None]
