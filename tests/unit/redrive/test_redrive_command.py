"""What `desireline redrive` refuses, and how its options name times."""

from __future__ import annotations

import time

import pytest
import typer
from typer.testing import CliRunner

from desireline_local.cli.main import app
from desireline_local.cli.targets import moment


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--go"], "--go needs --why"),
        (["--go", "--why", "  "], "--go needs --why"),
        (["--since", "yesterday"], "is no time"),
        (["--limit", "0"], "--limit"),
        (["--rate", "-1"], "--rate"),
    ],
)
def test_wrong_usage_ends_with_2_before_anything_is_looked_at(
    arguments: list[str], said: str
) -> None:
    done = CliRunner().invoke(app, ["redrive", *arguments], env={"COLUMNS": "200"})

    assert done.exit_code == 2
    assert said in done.output


def test_times_are_moments_or_spans_back_from_now() -> None:
    now = time.time() * 1000

    assert moment(None, "--since") is None
    assert moment("2026-01-05T10:00", "--since") == 1_767_607_200_000
    assert moment("2026-01-05T10:00+02:00", "--since") == 1_767_600_000_000
    assert moment("90m", "--since") == pytest.approx(now - 90 * 60_000, abs=5_000)
    assert moment("2d", "--since") == pytest.approx(now - 48 * 3_600_000, abs=5_000)
    with pytest.raises(typer.Exit):
        moment("2w", "--since")
