"""The Suppressions port on DynamoDB: read the whole list once, then new rows once a minute.

Most webhooks need no read. If the list is a minute old, a webhook waits for one query of some 5 ms.
If the table does not answer, the list stays valid for 15 minutes. After that no event is accepted,
because its person may be suppressed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from desireline.adapters.dynamodb import row_of
from desireline.errors import UnavailableError
from desireline.ports import Clock, Metrics
from desireline.rows import SuppressionLogRow

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

FRESH = 60_000
STALE = 15 * 60_000
RETRY = 5_000
OVERLAP = 5 * 60_000
"""The time before the last read whose rows are read again. Clocks differ, and rows may appear late.
AWS refuses requests whose clock is further off."""


class DynamoSuppressions:
    """The suppressed persons. table: its deployed name. wall: the wall clock."""

    def __init__(self, client: DynamoDBClient, table: str, wall: Clock, metrics: Metrics) -> None:
        self._client: Any = client
        self._table = table
        self._wall = wall
        self._metrics = metrics
        self._rows: dict[str, SuppressionLogRow] = {}
        self._held: frozenset[str] = frozenset()
        self._read_at: int | None = None
        self._due = 0

    def current(self) -> frozenset[str]:
        now = self._wall.now()
        if now >= self._due:
            self._refresh(now)
        return self._held

    def _refresh(self, now: int) -> None:
        try:
            rows = self._read()
        except (ClientError, BotoCoreError) as error:
            self._metrics.count("suppressions_stale")
            if self._read_at is None or now - self._read_at > STALE:
                raise UnavailableError(
                    "the list of suppressed persons is too old to use"
                ) from error
            self._due = now + RETRY
            return
        self._take(rows)
        self._read_at, self._due = now, now + FRESH

    def _take(self, rows: list[SuppressionLogRow]) -> None:
        for row in rows:
            known = self._rows.get(row.target)
            if known is None or (row.at, row.lifted) >= (known.at, known.lifted):
                self._rows[row.target] = row
        self._held = frozenset(target for target, row in self._rows.items() if not row.lifted)

    def _read(self) -> list[SuppressionLogRow]:
        # Rows from before the last read are in the list, so begin there.
        newest = max((row.at for row in self._rows.values()), default=0)
        seen = max(newest, self._read_at or 0)
        found: list[SuppressionLogRow] = []
        start: dict[str, Any] = {}
        while True:
            answer = self._client.query(
                TableName=self._table,
                KeyConditionExpression="pk = :pk AND sk > :since",
                ExpressionAttributeValues={
                    ":pk": {"S": SuppressionLogRow.partition_key()},
                    ":since": {"S": SuppressionLogRow.since(max(0, seen - OVERLAP))},
                },
                **start,
            )
            rows = (row_of(item) for item in answer["Items"])
            found += [row for row in rows if isinstance(row, SuppressionLogRow)]
            if "LastEvaluatedKey" not in answer:
                return found
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
