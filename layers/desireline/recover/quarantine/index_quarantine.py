"""IndexQuarantine: records of events.quarantined -> rows of cases, with pages and counts per group.

One transaction writes a new case, its page and the count of its group. A repeated record changes
nothing, because its case exists. So the counts are exact.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from pydantic import ValidationError

from desireline.contracts import CASE_SECONDS
from desireline.errors import ConflictError, RetryableError
from desireline.events import Quarantined
from desireline.ports import Metrics, Store
from desireline.records import BatchResult, Record, Tally
from desireline.rows import CaseGroupRow, CasePageRow, CaseRow, Put
from desireline.rows.quarantine import PAGE, Group

DAY = 86_400_000
RECORD_LIMIT = 40_000
"""Bytes of a record in its row. A page of such rows fits into a transaction, which takes 4 MB."""
GROUPS = 500
"""Groups of a day with counts of their own. The limit protects from senders that invent names."""
OTHERS = "(others)"
ATTEMPTS = 10


class IndexQuarantine:
    """Indexes records of events.quarantined."""

    def __init__(self, *, store: Store, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics

    def __call__(self, records: Sequence[Record]) -> BatchResult:
        """Index a batch. Return the records that are done, and those to retry.

        Groups are independent: a failed write affects only the records of its group."""
        tally = Tally()
        groups: dict[tuple[int, Group], dict[str, tuple[CaseRow, list[Record]]]]
        groups = defaultdict(dict)
        for record in records:
            if record.value is None:
                tally.skipped.append(record)
                continue
            try:
                case = case_of(Quarantined.decode(record.value), record.timestamp)
            except ValidationError:
                # Only our own functions write this topic, and it has no quarantine of its own.
                tally.quarantined.append((record, "unreadable_record"))
                continue
            cases = groups[case.arrived // DAY, case.group]
            cases.setdefault(case.id, (case, []))[1].append(record)
        for (day, group), cases in groups.items():
            self._index(day, group, cases, tally)
        return tally.result()

    def _index(
        self, day: int, group: Group, cases: dict[str, tuple[CaseRow, list[Record]]], tally: Tally
    ) -> None:
        rows: list[CaseRow] = [case for case, _ in cases.values()]
        try:
            counted = self._within_limit(day, group)
        except RetryableError as error:
            records = [record for _, of_case in cases.values() for record in of_case]
            return tally.fail(records, type(error).__name__)
        if counted != group:
            rows = [case.but(counted_as=counted.event) for case in rows]
        for start in range(0, len(rows), PAGE):
            page = rows[start : start + PAGE]
            records = [record for case in page for record in cases[case.id][1]]
            try:
                self._write(day, counted, page)
            except RetryableError as error:
                tally.fail(records, type(error).__name__)
            else:
                tally.done += records
        return None

    def _within_limit(self, day: int, group: Group) -> Group:
        """Return the group, or the group of others if the day already has `GROUPS` groups."""
        if self._store.get(CaseGroupRow.ref_to(day, group)) is not None:
            return group
        kinds = len(self._store.query(CaseGroupRow, CaseGroupRow.partition_key(day)))
        return group if kinds < GROUPS else group._replace(event=OTHERS)

    def _write(self, day: int, group: Group, cases: Sequence[CaseRow]) -> None:
        """Write the new ones of these cases. Raises RetryableError."""
        for _ in range(ATTEMPTS):
            stored = self._store.get_all([case.ref for case in cases])
            new = sorted(
                (case for case in cases if case.ref not in stored),
                key=lambda case: (case.arrived, case.id),
            )
            if not new:
                return
            try:
                self._add(day, group, new)
            except ConflictError:
                continue
        raise ConflictError(f"other writes changed the group {ATTEMPTS} times")

    def _add(self, day: int, group: Group, new: Sequence[CaseRow]) -> None:
        """Add new cases to a group: fill its last page, then add the rest to further pages.

        Raises ConflictError. `_write` then reads the written cases and adds the missing ones."""
        source, component, reason, event = group
        counted = self._store.get(CaseGroupRow.ref_to(day, group)) or CaseGroupRow(
            day=day,
            source=source,
            component=component,
            reason=reason,
            event_name=event,
            first=new[0].arrived,
            expires=_expires(day),
        )
        number, used = divmod(counted.total, PAGE)
        fitting = new[: PAGE - used]
        page = self._store.get(CasePageRow.ref_to(day, group, number)) or CasePageRow(
            day=day,
            group_key="#".join(group),
            number=number,
            oldest=fitting[0].arrived,
            expires=_expires(day),
        )
        arrivals = [case.arrived for case in fitting]
        newest = max(counted.last, *arrivals)
        self._store.write(
            *(Put(case) for case in fitting),
            Put(
                page.but(
                    ids=(*page.ids, *(case.id for case in fitting)),
                    oldest=min(page.oldest, *arrivals),
                    newest=newest,
                )
            ),
            Put(
                counted.but(
                    total=counted.total + len(fitting),
                    first=min(counted.first, *arrivals),
                    last=newest,
                )
            ),
        )
        self._metrics.count("quarantine_indexed", len(fitting))
        if len(fitting) < len(new):
            self._add(day, group, new[len(fitting) :])


def case_of(message: Quarantined, timestamp: int) -> CaseRow:
    """Make the case of a quarantine message. timestamp: the Kafka record's, epoch ms."""
    arrived = message.stamps.received or timestamp
    record = message.record
    if record is not None and (len(record.encode()) > RECORD_LIMIT or "\ufffd" in record):
        record = None
    return CaseRow(
        id=message.id,
        source=message.source,
        component=message.component,
        reason=message.reason,
        detail=message.detail,
        event_name=message.event_name or "",
        plan_version=message.plan_version,
        raw=message.raw,
        key=message.key,
        record=record,
        at=message.at,
        arrived=arrived,
        expires=_expires(arrived // DAY),
    )


def _expires(day: int) -> int:
    return day * 86_400 + CASE_SECONDS
