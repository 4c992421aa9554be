"""What was stored at any step of a history, and to whom it belonged then: rows followed by hand,
without the code under test."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from typing import TypeVar, cast

from desireline.rows import AccountRow, PersonRow, Ref, Row, StateRow, SubjectRow
from tests.simulation.tables import Tables

R = TypeVar("R", bound=Row)
Key = tuple[str, str, str]


class Timeline:
    """All versions of all rows, by the steps at which they were written."""

    def __init__(self, tables: Tables) -> None:
        self._steps: dict[Key, list[int]] = defaultdict(list)
        self._rows: dict[Key, list[Row]] = defaultdict(list)
        for written in tables.history:
            key = (written.new.table, written.new.pk, written.new.sk)
            self._steps[key].append(written.step)
            self._rows[key].append(written.new)
        self._subject_of_fragment = lru_cache(maxsize=None)(self._of_fragment)
        self._subject_of_account = lru_cache(maxsize=None)(self._of_account)
        self._by_type: dict[type[Row], list[Key]] = defaultdict(list)
        for key, rows in self._rows.items():
            self._by_type[type(rows[0])].append(key)

    def at(self, ref: Ref[R], step: int) -> R | None:
        """The row as it was after that step."""
        return cast("R | None", self._at((ref.type.table, ref.pk, ref.sk), step))

    def versions(self, row_type: type[R], first: int, last: int) -> Iterator[list[R]]:
        """Of each row of the type, what it was at some step of these; the first one may be there
        since long before."""
        for key in self._by_type[row_type]:
            steps, rows = self._steps[key], self._rows[key]
            start, end = bisect_right(steps, first), bisect_right(steps, last)
            found = rows[max(0, start - 1) : end]
            if found:
                yield cast("list[R]", found)

    def there(self, row_type: type[R], step: int) -> Iterator[R]:
        """All rows of the type as they were after that step."""
        for key in self._by_type[row_type]:
            row = self._at(key, step)
            if row is not None:
                yield cast("R", row)

    def subject_of(self, target: str, step: int) -> str:
        """The live subject of a fragment or of an account, after that step."""
        if self.at(AccountRow.ref_to(target), step) is not None:
            return self._subject_of_account(target, step)
        return self._subject_of_fragment(target, step)

    def person_of(self, fragment: str, step: int) -> str:
        """The live person of a fragment."""
        while (row := self.at(PersonRow.ref_to(fragment), step)) and row.merged_into is not None:
            fragment = row.merged_into
        return fragment

    def root(self, subject: str, step: int) -> str:
        """The live subject that this one leads to."""
        while (row := self.at(SubjectRow.ref_to(subject), step)) and row.merged_into is not None:
            subject = row.merged_into
        return subject

    def counting(self, row: StateRow, step: int) -> str:
        """The subject that counts this state."""
        return self.subject_of(row.fragment if row.account == "-" else row.account, step)

    def _of_fragment(self, fragment: str, step: int) -> str:
        person = self.person_of(fragment, step)
        row = self.at(PersonRow.ref_to(person), step)
        return self.root(row.subject if row else person, step)

    def _of_account(self, account: str, step: int) -> str:
        row = self.at(AccountRow.ref_to(account), step)
        assert row is not None
        return self.root(row.subject, step)

    def _at(self, key: Key, step: int) -> Row | None:
        place = bisect_right(self._steps.get(key, ()), step)
        return self._rows[key][place - 1] if place else None
