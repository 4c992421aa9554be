"""What `desireline explain` says of why aliases belong together."""

from __future__ import annotations

from collections.abc import Sequence

from desireline.adapters.memory import MemoryStore
from desireline.resolve.persons import edge_of
from desireline.rows import Evidence, EvidenceRow, PersonRow, Put
from desireline.show.timeline import PastEvent, read_timeline
from tests.worlds.subjects import counted


class NoHistory:
    def events(self, fragments: Sequence[str], accounts: Sequence[str]) -> list[PastEvent]:
        return []


def test_links_out_of_tombstones_and_out_of_rows_are_told_by_time() -> None:
    store = MemoryStore()
    aliases = ("anonymous#a", "email#e", "user#u")
    store.write(Put(PersonRow(fragment="u", subject="u", aliases=aliases)))
    for number, (fragment, left, right) in enumerate(
        [("a", "user#u", "anonymous#a"), ("e", "user#u", "email#e")]
    ):
        merged = Evidence(
            left=left, right=right, rule="same_event", event_id=fragment, occurred_at=9 - number
        )
        store.write(
            Put(PersonRow(fragment=fragment, subject="u", merged_into="u", evidence=(merged,)))
        )
    seen = EvidenceRow(
        edge=edge_of("a", "e"),
        left="anonymous#a",
        right="email#e",
        rule="same_event",
        event_id="again",
        occurred_at=10,
        roots=("u", "u"),
        merged=True,
    )
    store.write(Put(seen))
    counted(store, "u")

    links = read_timeline(store, NoHistory(), "u").links

    assert [(one.event_id, one.left, one.right, one.merged) for one in links] == [
        ("e", "user#u", "email#e", True),
        ("a", "user#u", "anonymous#a", True),
        ("again", "anonymous#a", "email#e", True),
    ]
    assert links[0].roots == ("e", "u")
    assert links[0].edge == edge_of("u", "e")
