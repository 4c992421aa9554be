"""KafkaPositions where a real broker cannot be made to answer so."""

from __future__ import annotations

from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from desireline.adapters import kafka_positions
from desireline.adapters.kafka_positions import KafkaPositions
from desireline.errors import UnavailableError


class Reader:
    """Answers with these errors first."""

    def __init__(self, *errors: int) -> None:
        self.errors = [*errors]

    def committed(self, places: list[TopicPartition], *, timeout: float) -> list[TopicPartition]:
        if self.errors:
            raise KafkaException(KafkaError(self.errors.pop(0)))
        return [TopicPartition(place.topic, place.partition, 7) for place in places]


def places(reader: Reader) -> KafkaPositions:
    made = KafkaPositions("127.0.0.1:1", "plaintext")
    made._readers["g"] = cast(Any, reader)
    return made


def test_a_group_whose_coordinator_moves_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_positions, "PAUSE", 0.0)
    moving = Reader(KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_LOAD_IN_PROGRESS)
    assert places(moving).committed("g", "t", {0, 1}) == {0: 7, 1: 7}


def test_it_is_not_asked_for_ever_nor_after_another_error(monkeypatch: pytest.MonkeyPatch) -> None:
    denied = Reader(KafkaError.GROUP_AUTHORIZATION_FAILED)
    with pytest.raises(UnavailableError):
        places(denied).committed("g", "t", {0})

    monkeypatch.setattr(kafka_positions, "PAUSE", 0.0)
    monkeypatch.setattr(kafka_positions, "TIMEOUT", -1.0)
    moving = Reader(*[KafkaError.NOT_COORDINATOR] * 2)
    with pytest.raises(UnavailableError):
        places(moving).committed("g", "t", {0})
