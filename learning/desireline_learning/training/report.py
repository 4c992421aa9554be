"""Render docs/model.md and its calibration plot from a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from desireline.score.features import FEATURES
from desireline.score.models.package import Manifest
from desireline_learning.simulator import Scenario
from desireline_learning.training.fit import Candidate
from desireline_learning.training.measures import Band
from desireline_learning.training.replay import DECISION_DAYS, Table

BAND_DAY = 5
LABELS = {
    "auc": "AUC",
    "average_precision": "average precision",
    "brier": "Brier",
    "ece": "ECE",
}


@dataclass(frozen=True, kw_only=True)
class Training:
    """The content of a report."""

    scenario: Scenario
    manifest: Manifest
    earlier: Table
    later: Table
    candidates: Sequence[Candidate]
    chosen: Candidate
    bands: Sequence[Band]
    by_day: Mapping[int, Mapping[str, float]]
    as_scored: Mapping[str, float]
    oracle_brier: float
    share_above: float


def render(training: Training) -> str:
    """Render the document, which ends in a newline."""
    parts = [
        _opening(training),
        _candidates(training),
        _by_day(training),
        _bands(training),
        _effects(training),
        _features(),
    ]
    return "\n\n".join(parts) + "\n"


def calibration_plot(probability: NDArray[np.float64], paid: NDArray[np.int8]) -> str:
    """Draw predicted against actual share in ten bins of equal count, as SVG."""
    size, left, top = 360, 50, 16
    order = np.argsort(probability, kind="stable")
    dots = []
    for part in np.array_split(order, 10):
        x = left + size * float(probability[part].mean())
        y = top + size * (1 - float(paid[part].mean()))
        dots.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="#0b6e4f"/>')
    ticks = []
    for tick in (0, 25, 50, 75, 100):
        x, y = left + size * tick / 100, top + size * (1 - tick / 100)
        ticks.append(f'<text x="{x}" y="{top + size + 18}" text-anchor="middle">{tick}</text>')
        ticks.append(f'<text x="{left - 8}" y="{y + 4}" text-anchor="end">{tick}</text>')
    frame = f'<rect x="{left}" y="{top}" width="{size}" height="{size}" fill="none" stroke="#999"/>'
    ideal = (
        f'<line x1="{left}" y1="{top + size}" x2="{left + size}" y2="{top}" '
        'stroke="#999" stroke-dasharray="4"/>'
    )
    middle = left + size / 2
    names = (
        f'<text x="{middle}" y="{top + size + 38}" text-anchor="middle">predicted, percent</text>'
        f'<text x="14" y="{top + size / 2}" text-anchor="middle" '
        f'transform="rotate(-90 14 {top + size / 2})">actual, percent</text>'
    )
    body = "\n".join([frame, ideal, *dots, *ticks, names])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + size + 20} '
        f'{top + size + 50}" font-family="sans-serif" font-size="12">\n'
        f'<rect width="100%" height="100%" fill="#fff"/>\n{body}\n</svg>\n'
    )


def _opening(training: Training) -> str:
    manifest, scenario = training.manifest, training.scenario
    return f"""# The trial model

Rendered by `make model`; do not edit.

**Training data.** The simulator of `learning/`: {scenario.trials} trials whose signups
spread over {scenario.signup_span:.0f} days, seed {scenario.seed}. The simulator is a test bench
with planted effects. Its data is not evidence about real customers. Before the model scores a real
company's trials, retrain it on at least 60 to 90 days of that company's history.

| | |
|---|---|
| version | `{manifest.version}` |
| calibration | {training.chosen.name} |
| training table | `{manifest.data_sha256[:16]}…`, {len(training.earlier)} rows of \
{training.earlier.trials()} trials |
| tested on | {len(training.later)} rows of {training.later.trials()} later trials |
| libraries | {", ".join(f"{name} {version}" for name, version in manifest.libraries.items())} |

The same library versions on the same machine type give the same bytes. `python -m
desireline_learning.train --check` compares the committed files with a new training."""


def _candidates(training: Training) -> str:
    head = "| candidate | " + " | ".join(LABELS.values()) + " |"
    lines = [head, "|---" * (len(LABELS) + 1) + "|"]
    for candidate in training.candidates:
        numbers = " | ".join(f"{candidate.metrics[key]:.4f}" for key in LABELS)
        name = f"**{candidate.name}**" if candidate is training.chosen else candidate.name
        lines.append(f"| {name} | {numbers} |")
    base = training.chosen.metrics["brier_base_rate"]
    table = "\n".join(lines)
    return f"""## Candidates, tested on later trials

{table}

The base rate ({training.chosen.metrics["base_rate"]:.1%}) as prediction has a Brier score of
{base:.4f}. The trial's true chance, which depends on its future behaviour too, has one of
{training.oracle_brier:.4f}.
ECE is over ten bins of equal count. Brier scores closer than 0.001 count as equal; then the
calibration error decides, then sigmoid. Logistic regression is the baseline. If no candidate beats
it, training stops and packages no model.

The live system computes a score after an event, not on fixed days. A silent trial keeps the score
of its latest event until a check computes a new one. With the scores that are stored on the
decision days, the chosen model has a Brier score of {training.as_scored["brier"]:.4f} and an ECE of
{training.as_scored["ece"]:.4f}."""


def _by_day(training: Training) -> str:
    lines = ["| decision day | rows | AUC | Brier | ECE |", "|---|---|---|---|---|"]
    for day in DECISION_DAYS:
        numbers = training.by_day[day]
        lines.append(
            f"| {day} | {numbers['rows']:.0f} | {numbers['auc']:.3f} | {numbers['brier']:.4f} "
            f"| {numbers['ece']:.3f} |"
        )
    return "## By decision day\n\n" + "\n".join(lines)


def _bands(training: Training) -> str:
    lines = [
        "| score | trials | predicted | actual | 95 % interval | |",
        "|---|---|---|---|---|---|",
    ]
    for band in training.bands:
        shares = (
            f"{band.predicted:.1%} | {band.actual:.1%} | {band.low:.1%} to {band.high:.1%}"
            if band.trials
            else "- | - | -"
        )
        note = "too few" if band.too_few else ""
        lines.append(f"| {band.label} | {band.trials} | {shares} | {note} |")
    table = "\n".join(lines)
    return f"""## Score bands on day {BAND_DAY}

The table has one row per trial, so the Wilson intervals are valid. Fewer than 30 trials allow no
conclusion.

{table}

![Predicted against actual share, all decision days](model-calibration.svg)"""


def _effects(training: Training) -> str:
    effects = training.scenario.effects
    lines = ["| planted effect | log-odds |", "|---|---|"]
    for name, value in vars(effects).items():
        lines.append(f"| {name.replace('_', ' ')} | {value:+.1f} |")
    table = "\n".join(lines)
    return f"""## Planted effects of the simulator

{table}

With these effects {training.share_above:.1%} of the trials have a true chance above 0.9."""


def _features() -> str:
    lines = ["| feature | unit |", "|---|---|"]
    lines += [f"| {feature.name} | {feature.unit} |" for feature in FEATURES]
    return "## Features\n\n" + "\n".join(lines)
