"""An environment's collector leaves alone what stays."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from desireline.adapters.garbage_collection import OBJECTS, settle


@pytest.fixture
def collector() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


def test_what_was_made_before_is_not_looked_at_again(collector: None) -> None:
    stays: list[object] = [[]]
    gc.collect()
    settle()
    comes: list[object] = [[]]
    looked_at = {id(one) for one in gc.get_objects()}
    assert id(stays) not in looked_at
    assert id(comes) in looked_at


def test_a_batch_s_objects_do_not_make_it_look(collector: None) -> None:
    settle()
    gc.collect()
    looks = gc.get_stats()[0]["collections"]
    batch = [[number] for number in range(OBJECTS // 2)]
    assert gc.get_stats()[0]["collections"] == looks
    assert len(batch) == OBJECTS // 2
