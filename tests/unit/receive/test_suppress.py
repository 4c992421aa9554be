"""The list: what is written for a person, and what of it holds."""

from __future__ import annotations

from desireline.adapters.memory import MemoryStore
from desireline.events import AliasType
from desireline.receive.suppress import aliases_of, holding, lift, suppress
from desireline.rows import AliasRow, PersonRow, Put, SuppressionLogRow, SuppressionRow


def listed(store: MemoryStore) -> dict[str, int]:
    return holding(store.query(SuppressionLogRow, SuppressionLogRow.partition_key()))


def test_who_is_suppressed_and_lifted_and_suppressed_again_is_suppressed() -> None:
    store = MemoryStore()

    assert suppress(store, ["a", "b"], reason="requested", now=1) == ["a", "b"]
    assert suppress(store, ["a"], reason="requested", now=2) == [], "already"
    assert listed(store) == {"a": 1, "b": 1}
    assert lift(store, ["a", "c"], now=3) == ["a"]
    assert listed(store) == {"b": 1}
    assert suppress(store, ["a"], reason="again", now=4) == ["a"]
    assert listed(store) == {"a": 4, "b": 1}


def test_the_last_word_holds_whichever_clock_was_ahead() -> None:
    """Given operators whose clocks differ by minutes, then what was said last holds."""
    store = MemoryStore()
    suppress(store, ["a"], reason="requested", now=300)
    lift(store, ["a"], now=100)
    assert not listed(store)
    suppress(store, ["a"], reason="requested", now=50)
    assert listed(store).keys() == {"a"}


def test_the_gate_before_every_send_is_told_too() -> None:
    store = MemoryStore()
    suppress(store, ["a"], reason="requested", now=1)

    row = store.get(SuppressionRow.ref_to("a"))
    assert row is not None
    assert (row.channel, row.reason, row.lifted_at) == ("*", "requested", None)
    lift(store, ["a"], now=2)
    row = store.get(SuppressionRow.ref_to("a"))
    assert row is not None
    assert row.lifted_at == 2


def test_all_aliases_of_a_person_are_found_over_merges() -> None:
    store = MemoryStore()
    store.write(
        Put(AliasRow(type="anonymous", fragment="x", root="old")),
        Put(PersonRow(fragment="old", subject="s", merged_into="new", aliases=("anonymous#x",))),
        Put(PersonRow(fragment="new", subject="s", aliases=("user#u", "email#e", "anonymous#x"))),
    )

    assert sorted(aliases_of(store, AliasType.ANONYMOUS, "x")) == ["e", "u", "x"]
    assert aliases_of(store, AliasType.USER, "unknown") == ["unknown"]


def test_no_row_holds_more_than_a_fragment() -> None:
    assert set(SuppressionLogRow.model_fields) == {"version", "expires", "target", "at", "lifted"}
