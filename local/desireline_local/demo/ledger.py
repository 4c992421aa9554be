"""Decisions in a form in which two runs can be compared, one by one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from desireline.adapters.dynamodb import row_of
from desireline.contracts import Table
from desireline.rows import DecisionRow, Row
from desireline_local.cloud import Addresses


class Decided(NamedTuple):
    """One line of the ledger; `at` is journey time, epoch ms."""

    at: int
    subject: str
    playbook: str
    step: str
    action: str
    outcome: str
    reason: str


def decided(rows: Iterable[Row]) -> list[Decided]:
    """The ledger's lines among these rows, sorted."""
    return sorted(
        Decided(
            row.at, row.subject, row.playbook, row.step, row.action, row.outcome.value, row.reason
        )
        for row in rows
        if isinstance(row, DecisionRow)
    )


def all_rows(addresses: Addresses, table: Table) -> list[Row]:
    """Every row of a table of the running cloud."""
    pages: Any = addresses.client("dynamodb").get_paginator("scan")
    found = pages.paginate(TableName=addresses.table(table), ConsistentRead=True)
    return [row_of(item) for page in found for item in page["Items"]]
