"""Read decisions in a form that allows a comparison of two runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from desireline.adapters.dynamodb import row_of
from desireline.contracts import Table
from desireline.rows import DecisionRow, Row
from desireline_local.cloud import Addresses


class LedgerLine(NamedTuple):
    """One line of the ledger. at: journey time, epoch ms."""

    at: int
    subject: str
    playbook: str
    step: str
    action: str
    outcome: str
    reason: str


def ledger_lines(rows: Iterable[Row]) -> list[LedgerLine]:
    """Return the sorted ledger lines of the decisions among these rows."""
    return sorted(
        LedgerLine(
            row.at, row.subject, row.playbook, row.step, row.action, row.outcome.value, row.reason
        )
        for row in rows
        if isinstance(row, DecisionRow)
    )


def all_rows(addresses: Addresses, table: Table) -> list[Row]:
    """Read every row of a table of the running cloud."""
    pages: Any = addresses.client("dynamodb").get_paginator("scan")
    scan = pages.paginate(TableName=addresses.table(table), ConsistentRead=True)
    return [row_of(item) for page in scan for item in page["Items"]]
