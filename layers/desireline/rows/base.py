"""What all rows share, and how they are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict

from desireline.contracts import Table


class Row(BaseModel):
    """Base of all rows. `expires` is DynamoDB's time to live in epoch seconds, if any."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)
    table: ClassVar[Table]
    prefix: ClassVar[str]
    """The beginning of its partition keys. In a table, one prefix means one row type; only the
    prefix of states has several, told apart by the full key."""

    version: int = 0
    expires: int | None = None

    @property
    def pk(self) -> str:
        raise NotImplementedError

    @property
    def sk(self) -> str:
        return "-"

    @classmethod
    def partition_key(cls, *parts: object) -> str:
        """Return a partition key: the prefix and the parts, with '#' between them."""
        return cls.prefix + "#".join(map(str, parts))

    @property
    def ref(self) -> Ref[Self]:
        return Ref(type(self), self.pk, self.sk)

    def but(self, **changes: Any) -> Self:
        """A copy with some fields changed; the version stays the one that was read."""
        return self.model_copy(update=changes)


R = TypeVar("R", bound=Row)


@dataclass(frozen=True, slots=True)
class Ref(Generic[R]):
    """Where a row lies."""

    type: type[R]
    pk: str
    sk: str = "-"


@dataclass(frozen=True, slots=True)
class Put:
    """Store the row if its version is still the stored one (0: if there is none)."""

    row: Row


@dataclass(frozen=True, slots=True)
class Check:
    """Demand that the row's version is still the stored one (0: that there is none)."""

    row: Row


@dataclass(frozen=True, slots=True)
class Change:
    """One record of a table's stream."""

    id: str
    old: Row | None
    new: Row | None
