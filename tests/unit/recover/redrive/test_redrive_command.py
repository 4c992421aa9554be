"""What `desireline redrive` refuses, and how its options name times."""

from __future__ import annotations

import time

import orjson
import pytest
import typer
from typer.testing import CliRunner

import desireline_operate.cli.redrive as command
from desireline_operate.cli.main import app
from desireline_operate.cli.times import parse_time
from tests.worlds.redriving import Scene, event, kafka_object, record


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--go"], "--go needs --why"),
        (["--go", "--why", "  "], "--go needs --why"),
        (["--since", "yesterday"], "is not a time"),
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
    assert parse_time(None, "--since") is None
    assert parse_time("2026-01-05T10:00", "--since") == 1_767_607_200_000
    assert parse_time("2026-01-05T10:00+02:00", "--since") == 1_767_600_000_000
    for span, meant in (("90m", 90 * 60_000), ("2d", 48 * 3_600_000)):
        before = int(time.time() * 1000)
        found = parse_time(span, "--since")
        assert found is not None
        assert before <= found + meant <= round(time.time() * 1000)
    with pytest.raises(typer.Exit):
        parse_time("2w", "--since")


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    """What the command works on."""

    class Somewhere:
        def operator(self) -> str:
            return "ada"

    made = Scene()
    monkeypatch.setattr(command, "the_deployment", lambda _: Somewhere())
    monkeypatch.setattr(command, "Redriving", lambda _: made)
    return made


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["redrive", *arguments], env={"COLUMNS": "200"})
    return done.exit_code, done.output


def test_a_record_that_fails_again_makes_it_end_with_1(scene: Scene) -> None:
    """Given three dead letters of which one fails for good, when redriven, then the table tells it,
    the exit code too, and who, why and what came of it are kept."""
    scene.give_up(kafka_object([record(event(n), n) for n in (1, 2, 3)]))
    scene.poisoned = {"event-2"}

    code, said = run("--go", "--why", "corrected in 7f3a", "--wait", "5")

    assert code == 1, said
    assert "folded  duplicate  failed" in said
    (kept,) = map(orjson.loads, scene.notes("redrives/runs/"))
    assert (kept["who"], kept["why"]) == ("ada", "corrected in 7f3a")
    assert kept["outcome"] == {"folded": 2, "failed": 1}


def test_all_well_ends_with_0_and_without_go_nothing_is_done(scene: Scene) -> None:
    scene.give_up(kafka_object([record(event(1), 1)]), b"no dead letter")
    before = dict(scene.files)

    code, said = run("--limit", "5")

    assert code == 0
    assert "1 of 1 records to redrive" in said
    assert "skipped, not a dead letter of an event source mapping: aws/lambda/mapping/001" in said
    assert scene.files == before
    assert run("--go", "--why", "corrected")[0] == 0
    assert run("--go", "--why", "corrected")[0] == 0
    assert len(scene.log) == 1
