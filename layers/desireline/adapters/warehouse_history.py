"""Read the past events of a subject from the warehouse's raw tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from desireline.show.timeline import PastEvent


class WarehouseHistory:
    """The History port. connection: a connection of Snowflake's client."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def events(self, fragments: Sequence[str], accounts: Sequence[str]) -> list[PastEvent]:
        conditions = [
            (column, value)
            for column, values in (
                ("fragment", fragments),
                ("payload:accounts[0].key::varchar", accounts),
            )
            for value in values
        ]
        if not conditions:
            return []
        where = " or ".join(f"{column} = %s" for column, _ in conditions)
        cursor = self._connection.cursor().execute(
            "select date_part(epoch_millisecond, occurred_at), name, source,"
            " payload:aliases[0].type::varchar, fragment, to_json(payload:properties)"
            f" from raw.events_received where {where}"
            " qualify row_number() over (partition by event_id order by topic_offset) = 1"
            " order by occurred_at, event_id",
            [value for _, value in conditions],
        )
        return [
            PastEvent(int(at), name, source, alias or "", fragment, properties or "{}")
            for at, name, source, alias, fragment, properties in cursor.fetchall()
        ]
