"""The committed documents are what code and data say: `make docs` renders them."""

from __future__ import annotations

import pytest

from docs.render.__main__ import PAGES, ROOT


@pytest.mark.parametrize("path", sorted(PAGES))
def test_a_rendered_document_is_up_to_date(path: str) -> None:
    assert (ROOT / path).read_text() == PAGES[path]().rstrip() + "\n", "run `make docs`"
