"""Retrain the trial model from the simulator and package it: `make model`.

Deterministic: the same library versions on the same machine type give the same bytes.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from desireline.adapters.packaged_models import ROOT
from desireline.journey.state import JourneyState
from desireline.score.models.package import ARRAYS, GOLDEN, MANIFEST, load_model
from desireline.score.models.registry import JOURNEY_MODEL
from desireline_learning.simulator import Company, Scenario
from desireline_learning.simulator.canonical import canonical
from desireline_learning.training import export
from desireline_learning.training.fit import BASELINE, Candidate, candidates, choose, split_by_time
from desireline_learning.training.measures import bands, brier, summary
from desireline_learning.training.replay import DECISION_DAYS, Table, replay
from desireline_learning.training.report import BAND_DAY, Training, calibration_plot, render

GOLDEN_ROWS = 50
HISTORY = Scenario(trials=3000, days=76.0, signup_days=60.0, seed=20260105, visitors=0.0)
"""Two months of signups, and the days until the last trial's 14 days are over."""


def main(
    folder: Annotated[Path | None, typer.Option(help="Folder for the model.")] = None,
    docs: Annotated[Path, typer.Option(help="Folder for model.md and its plot.")] = Path("docs"),
    check: Annotated[
        bool, typer.Option("--check", help="Only compare the result with the committed model.")
    ] = False,
) -> None:
    """Train the model: replay simulated history, fit candidates, test them on later trials."""
    committed = ROOT / JOURNEY_MODEL.name
    if check:
        with tempfile.TemporaryDirectory() as scratch:
            train(Path(scratch), None)
            names = (ARRAYS, GOLDEN, MANIFEST)
            same = [
                (committed / name).read_bytes() == (Path(scratch) / name).read_bytes()
                for name in names
            ]
        for name, equal in zip(names, same, strict=True):
            typer.echo(f"{name}: {'reproduced' if equal else 'DIFFERS'}")
        raise typer.Exit(0 if all(same) else 1)
    train(folder or committed, docs)


def train(folder: Path, docs: Path | None) -> None:
    """Write the model to `folder`, and its report to `docs` unless that is None.

    Raises RuntimeError if no candidate beats the baseline; it then packages no model.
    """
    company = Company(HISTORY)
    typer.echo(f"Replaying {HISTORY.trials} simulated trials")
    history = list(canonical(company))
    table = replay(history, end=HISTORY.end)
    earlier, later = split_by_time(table)
    typer.echo(f"Fitting on {len(earlier)} rows, judging on {len(later)} later ones")
    # With several threads, sums of gradients differ in their last bits from run to run.
    with threadpool_limits(1):
        fitted = candidates(earlier, later)
    chosen = choose(fitted)
    for candidate in fitted:
        numbers = candidate.metrics
        typer.echo(f"  {candidate.name}: Brier {numbers['brier']:.4f}, ECE {numbers['ece']:.4f}")
    baseline = next(candidate for candidate in fitted if candidate.name == BASELINE)
    if chosen.metrics["brier"] >= baseline.metrics["brier"]:
        raise RuntimeError(
            "no candidate beats logistic regression: no model is packaged. Check features and data"
        )
    manifest = export.write(
        folder,
        export.export(chosen.model),
        golden=_golden(chosen, later),
        name=JOURNEY_MODEL.name,
        features=JOURNEY_MODEL.features,
        data=f"simulator, {HISTORY.trials} trials, seed {HISTORY.seed}",
        data_sha256=earlier.sha256,
        metrics={key: round(value, 6) for key, value in chosen.metrics.items()},
    )
    load_model(folder, features=JOURNEY_MODEL.features)
    typer.echo(f"Packaged {manifest.version} ({chosen.name}) in {folder}")
    if docs is not None:
        live = replay(history, end=HISTORY.end, now_of=_latest)
        training = Training(
            scenario=HISTORY,
            manifest=manifest,
            earlier=earlier,
            later=later,
            candidates=fitted,
            chosen=chosen,
            bands=bands(*_of_day(chosen, later, BAND_DAY)),
            by_day={day: summary(*_of_day(chosen, later, day)) for day in DECISION_DAYS},
            as_scored=_as_scored(chosen, live, later),
            oracle_brier=_oracle(company, later),
            share_above=float(np.mean([trial.chance > 0.9 for trial in company.truth.trials])),
        )
        docs.mkdir(exist_ok=True)
        (docs / "model.md").write_text(render(training), encoding="utf-8")
        plot = calibration_plot(chosen.probability, later.paid)
        (docs / "model-calibration.svg").write_text(plot, encoding="utf-8")
        typer.echo(f"Wrote {docs / 'model.md'}")


def _latest(state: JourneyState, _due: int) -> int:
    return state.latest


def _golden(chosen: Candidate, later: Table) -> export.Arrays:
    """Select rows over the whole range of scores, with scikit-learn's probabilities."""
    order = np.argsort(chosen.probability, kind="stable")
    picked = order[np.linspace(0, len(order) - 1, GOLDEN_ROWS).astype(int)]
    return {"rows": later.rows[picked], "probability": chosen.probability[picked]}


def _of_day(
    chosen: Candidate, later: Table, day: int
) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], np.ndarray[tuple[int], np.dtype[np.int8]]]:
    rows = later.day == day
    return chosen.probability[rows], later.paid[rows]


def _as_scored(chosen: Candidate, live: Table, later: Table) -> dict[str, float]:
    rows = live.where(live.signup >= later.signup.min())
    return dict(summary(chosen.model.predict_proba(rows.rows)[:, 1], rows.paid))


def _oracle(company: Company, later: Table) -> float:
    chance = {trial.account: trial.chance for trial in company.truth.trials}
    return brier(np.array([chance[subject] for subject in later.subject.tolist()]), later.paid)


if __name__ == "__main__":
    typer.run(main)
