"""Whatever stands in a row, the import goes on: each row is taken, left out or set aside."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desireline.events import CanonicalEvent
from desireline.receive.mapping.event_mapper import EventMapper
from desireline_operate.import_history.files import Format
from desireline_operate.import_history.formats import SourceSpec, plan_with_mapping, source_of
from desireline_operate.import_history.rows import Row
from desireline_operate.import_history.worker import ChunkResult, RowMapper
from tests.worlds.history_files import PLACE, PLAN
from tests.worlds.history_samples import CRM_WORDS, MIXPANEL, OURS, SEGMENT, SEGMENT_ROW, ga4

SPECS = {
    Format.SEGMENT: (SourceSpec(format=Format.SEGMENT), SEGMENT),
    Format.SEGMENT_WAREHOUSE: (SourceSpec(format=Format.SEGMENT_WAREHOUSE), SEGMENT_ROW),
    Format.MIXPANEL: (SourceSpec(format=Format.MIXPANEL, account_property="company"), MIXPANEL),
    Format.GA4: (SourceSpec(format=Format.GA4, account_property="company_id"), ga4()),
    Format.MAPPED: (SourceSpec(format=Format.MAPPED, mapping=CRM_WORDS), OURS),
}
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


def rows_of(form: Format) -> RowMapper:
    spec, _ = SPECS[form]
    plan = plan_with_mapping(PLAN, spec)
    return RowMapper(source_of(spec, plan), EventMapper.with_secret(plan, b"s"), PLACE, "import-x")


ROWS = {form: rows_of(form) for form in SPECS}


@pytest.mark.parametrize("form", list(SPECS))
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_each_row_ends_in_exactly_one_place(form: Format, data: st.DataObject) -> None:
    """Given a documented row of which any parts are replaced by anything, when it is mapped twice,
    then nothing is raised, it is in one place, and both times the same."""
    sample = SPECS[form][1]
    names = data.draw(st.lists(st.sampled_from(sorted(sample)), max_size=4))
    row = {**sample, **{name: data.draw(JSON) for name in names}}
    done, again = ChunkResult(0, 1.0), ChunkResult(0, 1.0)

    events = list(ROWS[form].map_rows([Row(1, row, row)], done))
    twice = list(ROWS[form].map_rows([Row(1, row, row)], again))

    assert len(events) + len(done.rejects) + done.left_out.total() == 1
    assert (events, done) == (twice, again)
    for fragment, event in events:
        assert CanonicalEvent.decode(event).fragment == fragment
    for reject in done.rejects:
        assert orjson.loads(reject.text) is not None
