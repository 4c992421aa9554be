"""Training chooses by its rule, and what is committed is what training makes."""

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from desireline_learning.train import main
from desireline_learning.training.fit import BASELINE, Candidate, choose
from desireline_learning.training.report import calibration_plot


def candidate(name, brier, ece):
    return Candidate(name, None, np.zeros(0), {"brier": brier, "ece": ece})


@pytest.mark.parametrize(
    ("sigmoid", "raw", "isotonic", "chosen"),
    [
        ((0.130, 0.02), (0.130, 0.02), (0.130, 0.02), "trees, sigmoid"),
        ((0.130, 0.022), (0.1297, 0.019), (0.140, 0.01), "trees, sigmoid"),
        ((0.130, 0.030), (0.130, 0.02), (0.140, 0.01), "trees, raw"),
        ((0.130, 0.020), (0.130, 0.02), (0.128, 0.03), "trees, isotonic"),
    ],
)
def test_brier_decides_then_calibration_then_sigmoid(sigmoid, raw, isotonic, chosen):
    found = [
        candidate(BASELINE, 0.1, 0.0),
        candidate("trees, sigmoid", *sigmoid),
        candidate("trees, raw", *raw),
        candidate("trees, isotonic", *isotonic),
    ]

    assert choose(found).name == chosen


def test_the_plot_has_a_dot_for_each_bin():
    probability = np.linspace(0, 1, 100)

    assert calibration_plot(probability, (probability > 0.5).astype(np.int8)).count("<circle") == 10


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_retraining_reproduces_the_committed_model_byte_for_byte():
    app = typer.Typer()
    app.command()(main)

    answer = CliRunner().invoke(app, ["--check"])

    assert answer.exit_code == 0, answer.output
