"""Statistics of the model review, against published values and against brute force."""

import numpy as np
import pytest

from desireline_learning.training.measures import (
    bands,
    brier,
    expected_calibration_error,
    summary,
    wilson,
)


@pytest.mark.parametrize(
    ("successes", "count", "low", "high"),
    [
        # Newcombe (1998), Statistics in Medicine 17, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_intervals_equal_published_ones(successes, count, low, high):
    assert wilson(successes, count) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_nothing_tells_nothing():
    assert wilson(0, 0) == (0.0, 1.0)


def test_calibration_error_of_known_bins():
    probability = np.array([0.1] * 10 + [0.8] * 10)
    paid = np.array([1] * 2 + [0] * 8 + [1] * 5 + [0] * 5, dtype=np.int8)

    assert expected_calibration_error(probability, paid, bins=2) == pytest.approx(0.2)


def test_brier_of_a_known_case():
    assert brier(np.array([1.0, 0.5]), np.array([1, 0], dtype=np.int8)) == pytest.approx(0.125)


def test_the_summary_compares_with_always_saying_the_base_rate():
    found = summary(np.array([0.9, 0.8, 0.2, 0.1]), np.array([1, 1, 0, 0], dtype=np.int8))

    assert (found["auc"], found["base_rate"], found["brier_base_rate"]) == (1.0, 0.5, 0.25)


def test_bands_hold_every_row_once_and_say_where_there_are_too_few():
    rng = np.random.default_rng(1)
    probability = np.concatenate([rng.random(500), [0.9, 0.8999999, 1.0, 0.0]])
    paid = (rng.random(504) < probability).astype(np.int8)

    found = bands(probability, paid)

    assert sum(band.trials for band in found) == 504
    assert [band.label for band in found][:2] == ["90-100", "80-89"]
    assert all(band.too_few == (band.trials < 30) for band in found)
    assert all(band.low <= band.actual <= band.high for band in found)


def test_a_band_begins_at_its_lower_end():
    found = bands(np.array([0.9, 0.89]), np.array([1, 0], dtype=np.int8))

    assert [band.trials for band in found[:2]] == [1, 1]
