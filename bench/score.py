"""Figures of the score stage: the numpy runtime against scikit-learn, on the same model.

The model is fitted here, with the settings of the packaged one, on a smaller simulated history, so
that scikit-learn has an object to compare with: the package holds arrays only.
"""

from __future__ import annotations

import atexit
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from bench.company_pipeline import Pipeline
from desireline.score.features import FEATURE_NAMES
from desireline.score.models.package import Model, load_model
from desireline_learning.simulator import Company, Scenario
from desireline_learning.simulator.canonical import arrivals, canonical
from desireline_learning.training import export
from desireline_learning.training.fit import calibrated
from desireline_learning.training.replay import Table, replay

Row = dict[str, Any]
ROUNDS = 7
ITEMS = {"reads_per_event": 8.5, "reads_per_event.batch10": 4.5}
"""At most so many, by figure."""
HISTORY = Scenario(trials=700, days=44.0, signup_days=29.0, seed=20260105, visitors=0.0)

_OURS = """
import sys
from pathlib import Path
import numpy as np
from desireline.score.features import FEATURE_NAMES
from desireline.score.models.package import load_model
model = load_model(Path(sys.argv[1]), features=FEATURE_NAMES)
model.probabilities(np.zeros((1, len(FEATURE_NAMES))))
"""
# Both name the features: a function that serves with scikit-learn has to compute them too.
_THEIRS = """
import pickle, sys
import numpy as np
from desireline.score.features import FEATURE_NAMES
with open(sys.argv[1] + "/model.pickle", "rb") as file:
    model = pickle.load(file)
model.predict_proba(np.zeros((1, len(FEATURE_NAMES))))
"""


# Not getrusage: its peak begins with that of the process which started this one.
_PEAK = """
with open("/proc/self/status") as file:
    (peak,) = [line.split()[1] for line in file if line.startswith("VmHWM")]
sys.stdout.write(peak)
"""


@dataclass(frozen=True)
class Rivals:
    """The same model twice, and rows to score. The folder goes when the process does."""

    ours: Model
    theirs: Any
    rows: NDArray[np.float64]
    folder: Path
    scratch: tempfile.TemporaryDirectory[str]


@cache
def rivals() -> Rivals:
    """Fit, export and load once for all figures of this process."""
    table: Table = replay(canonical(Company(HISTORY)), end=HISTORY.end)
    with threadpool_limits(1):
        theirs = calibrated("sigmoid", table)
        theirs.fit(table.rows, table.paid)
    scratch = tempfile.TemporaryDirectory(prefix="desireline-bench-")
    atexit.register(scratch.cleanup)
    folder = Path(scratch.name)
    export.write(
        folder,
        export.export(theirs),
        golden={
            "rows": table.rows[:50],
            "probability": theirs.predict_proba(table.rows[:50])[:, 1],
        },
        name="bench",
        features=FEATURE_NAMES,
        data="bench",
        data_sha256=table.sha256,
        metrics={},
    )
    (folder / "model.pickle").write_bytes(pickle.dumps(theirs))
    ours = load_model(folder, features=FEATURE_NAMES)
    return Rivals(ours, theirs, table.rows, folder, scratch)


def single_p50() -> Row:
    """One row, warm, in turn with scikit-learn."""
    found = rivals()
    one = found.rows[:1]
    ours, theirs = _in_turn(
        lambda: found.ours.probabilities(one), lambda: found.theirs.predict_proba(one), calls=200
    )
    return {
        "name": "score.single_p50",
        "value": ours * 1e6,
        "unit": "µs",
        "peer": "scikit-learn predict_proba",
        "peer_value": theirs * 1e6,
        "target": "8 times faster",
        "met": theirs >= 8 * ours,
    }


def batch500() -> Row:
    """Five hundred rows at once."""
    found = rivals()
    many = found.rows[:500]
    ours, theirs = _in_turn(
        lambda: found.ours.probabilities(many), lambda: found.theirs.predict_proba(many), calls=30
    )
    return {
        "name": "score.batch500",
        "value": ours * 1e3,
        "unit": "ms",
        "peer": "scikit-learn predict_proba",
        "peer_value": theirs * 1e3,
        "target": "no slower",
        "met": ours <= theirs,
    }


def reasons_p50() -> Row:
    """Exact Shapley values of one row; only crossings ask for them."""
    found = rivals()
    one = found.rows[:1]
    found.ours.contributions(one)
    ours = _median(lambda: found.ours.contributions(one), calls=20)
    return {"name": "score.reasons_p50", "value": ours * 1e3, "unit": "ms"}


def cold_and_memory() -> list[Row]:
    """A fresh process up to its first score: wall time and peak resident memory."""
    folder = str(rivals().folder)
    times: dict[str, list[float]] = {_OURS: [], _THEIRS: []}
    memory: dict[str, list[float]] = {_OURS: [], _THEIRS: []}
    for _ in range(ROUNDS):
        for script in (_OURS, _THEIRS):
            start = time.perf_counter()
            answer = subprocess.run(
                [sys.executable, "-c", script + _PEAK, folder],
                check=True,
                capture_output=True,
            )
            times[script].append(time.perf_counter() - start)
            memory[script].append(int(answer.stdout) / 1024)
    cold, peer_cold = (statistics.median(times[script]) for script in (_OURS, _THEIRS))
    used, peer_used = (statistics.median(memory[script]) for script in (_OURS, _THEIRS))
    return [
        {
            "name": "score.cold",
            "value": cold,
            "unit": "s",
            "peer": "scikit-learn, pickled",
            "peer_value": peer_cold,
            "target": "≤ 1/5",
            "met": cold <= peer_cold / 5,
        },
        {
            "name": "score.memory",
            "value": used,
            "unit": "MB",
            "peer": "scikit-learn, pickled",
            "peer_value": peer_used,
            "target": "≤ 1/3",
            "met": used <= peer_used / 3,
        },
    ]


def max_difference() -> Row:
    """The largest difference of a probability, rows with many missing values included."""
    found = rivals()
    holes = found.rows.copy()
    holes[np.random.default_rng(1).random(holes.shape) < 0.3] = np.nan
    rows = np.concatenate([found.rows, holes])
    gap = np.abs(found.ours.probabilities(rows) - found.theirs.predict_proba(rows)[:, 1]).max()
    return {
        "name": "score.max_difference",
        "value": float(gap),
        "unit": "",
        "peer": "scikit-learn predict_proba",
        "target": "≤ 1e-12",
        "met": bool(gap <= 1e-12),
    }


def operations() -> list[Row]:
    """Items read and written to score, an event on average, over a company's stream: one event a
    batch, as at a trickle; ten, as of a webhook; and twenty, as under load."""
    events = [event for event, _ in arrivals(Company(Scenario()))]
    rows: list[Row] = []
    for batch, suffix in ((1, ""), (10, ".batch10"), (20, ".batch20")):
        pipeline = Pipeline()
        pipeline.run(events, batch=batch)
        for name, items in (("reads", pipeline.reads), ("writes", pipeline.writes)):
            figure = f"{name}_per_event{suffix}"
            value, limit = items / pipeline.events, ITEMS.get(figure)
            row: Row = {"name": f"score.{figure}", "value": value, "unit": "items"}
            if limit is not None:
                row |= {"target": f"≤ {limit:g}", "met": value <= limit}
            rows.append(row)
    return rows


def measure() -> list[Row]:
    """All figures of the group."""
    with _one_thread():
        warm = [single_p50(), batch500(), reasons_p50(), max_difference()]
    return [*warm, *cold_and_memory(), *operations()]


def _in_turn(
    ours: Callable[[], Any], theirs: Callable[[], Any], *, calls: int
) -> tuple[float, float]:
    """Median seconds of each, measured in alternating rounds."""
    pairs = [(_median(ours, calls=calls), _median(theirs, calls=calls)) for _ in range(ROUNDS)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def _median(call: Callable[[], Any], *, calls: int) -> float:
    times = []
    for _ in range(calls):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


@contextmanager
def _one_thread() -> Iterator[None]:
    """A Lambda of this size has one core at most: neither side may use more."""
    with threadpool_limits(1):
        yield
