"""Ids in a row: what goes in comes out, and equal sets have equal bytes."""

from hypothesis import given
from hypothesis import strategies as st

from desireline.resolve.ids import HASH_BYTES, id_hash, pack, unpack

DAYS = st.integers(min_value=-(2**31), max_value=2**31 - 1)
HASHES = st.frozensets(st.binary(min_size=HASH_BYTES, max_size=HASH_BYTES), max_size=6)


@given(st.dictionaries(DAYS, HASHES, max_size=6))
def test_what_is_packed_is_unpacked(ids):
    assert unpack(pack(ids)) == {day: known for day, known in ids.items() if known}


@given(st.dictionaries(DAYS, HASHES, max_size=6), st.randoms())
def test_equal_ids_have_equal_bytes(ids, rng):
    days = list(ids)
    rng.shuffle(days)

    assert pack({day: ids[day] for day in days}) == pack(ids)


def test_an_id_is_eight_bytes_and_depends_on_every_letter():
    assert len(id_hash("a")) == HASH_BYTES
    assert len({id_hash(one) for one in ("a", "b", "aa", "A", "")}) == 5
