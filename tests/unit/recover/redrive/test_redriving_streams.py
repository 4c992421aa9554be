"""Dead letters of tables' streams: their function is invoked with the full record."""

from __future__ import annotations

from desireline.recover.redrive.follow_up import RecordOutcome
from desireline.recover.redrive.selection import Fate, Selection
from tests.worlds.redriving import FUNCTION_FAILED, Scene, fates, stream_object


def sequence_numbers(scene: Scene) -> list[list[str]]:
    return [
        [one["dynamodb"]["SequenceNumber"] for one in event["Records"]]
        for _, event in scene.invoked
    ]


def test_the_function_is_invoked_with_the_full_records_of_each_object_oldest_first() -> None:
    scene = Scene()
    scene.give_up(stream_object([7, 8]), stream_object([3]))

    found, outcome = scene.run()

    assert sequence_numbers(scene) == [["3"], ["7", "8"]]
    function, event = scene.invoked[0]
    assert function == "desireline-dev-publish-changes"
    assert event["Records"][0]["dynamodb"]["Keys"] == {"pk": {"S": "J#3"}, "sk": {"S": "-"}}
    assert outcome.total == {RecordOutcome.PASSED: 3}
    assert {kind.topic for kind in found.groups} == {"desireline-dev-journeys"}
    assert fates(scene.redrive.survey(Selection())) == {Fate.MARKED: 3}


def test_what_is_behind_the_first_failure_counts_as_failed_and_comes_again() -> None:
    """A stream is taken up again at its first failure: so is a redrive of it."""
    scene = Scene()
    scene.give_up(stream_object([1, 2, 3]))
    scene.answer = lambda *_: {"batchItemFailures": [{"itemIdentifier": "2"}]}

    _, outcome = scene.run()
    scene.answer = lambda *_: {"batchItemFailures": []}
    _, again = scene.run()

    assert outcome.total == {RecordOutcome.PASSED: 1, RecordOutcome.FAILED: 2}
    assert not outcome.good
    assert sequence_numbers(scene) == [["1", "2", "3"], ["2", "3"]]
    assert again.total == {RecordOutcome.PASSED: 2}


def test_a_function_that_failed_twice_is_asked_a_third_time_only_by_force() -> None:
    scene = Scene()
    scene.give_up(stream_object([1]))
    scene.answer = lambda *_: FUNCTION_FAILED
    scene.run()
    scene.run()

    refused, _ = scene.run()
    assert fates(refused) == {Fate.TIRED: 1}
    assert len(scene.invoked) == 2

    scene.answer = lambda *_: None
    _, outcome = scene.run(force=True)
    assert outcome.total == {RecordOutcome.PASSED: 1}
    assert fates(scene.redrive.survey(Selection())) == {Fate.MARKED: 1}


def test_changes_are_selected_by_their_ids_and_table() -> None:
    scene = Scene()
    scene.give_up(stream_object([1, 2]), stream_object([3], table="desireline-dev-identity"))

    scene.run(ids=frozenset({"change-2"}))
    scene.run(topic="desireline-dev-identity")

    assert sequence_numbers(scene) == [["2"], ["3"]]
