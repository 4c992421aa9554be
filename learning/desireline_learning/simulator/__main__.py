"""Write a company's deliveries as JSON lines, and the truth behind them as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from desireline_learning.simulator import Company, Delivery, Scenario


def main(
    out: Annotated[
        Path, typer.Option(help="File for deliveries, one JSON object per line, by arrival.")
    ],
    trials: Annotated[int, typer.Option(min=1)] = 30,
    days: Annotated[float, typer.Option(min=2.0, help="Length of the stream in days.")] = 14.0,
    seed: Annotated[int, typer.Option(min=0)] = 7,
    truth: Annotated[
        Path | None, typer.Option(help="File for the trials' true chances and outcomes, as JSON.")
    ] = None,
) -> None:
    """Simulate a B2B SaaS company: a test bench, never evidence about real customers."""
    company = Company(Scenario(trials=trials, days=days, seed=seed))
    with out.open("w", encoding="utf-8") as file:
        file.writelines(_line(delivery) for delivery in company.deliveries)
    if truth is not None:
        facts = [asdict(trial) for trial in company.truth.trials]
        persons = [sorted(person) for person in company.truth.persons]
        text = json.dumps({"trials": facts, "persons": persons}, indent=2)
        truth.write_text(text + "\n", encoding="utf-8")
    typer.echo(f"{len(company.deliveries)} deliveries of {len(company.touches)} events in {out}")


def _line(delivery: Delivery) -> str:
    return json.dumps(asdict(delivery) | {"body": delivery.body.decode()}) + "\n"


if __name__ == "__main__":
    typer.run(main)
