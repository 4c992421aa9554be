"""How `desireline explain` tells a story."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from desireline.adapters.memory import MemoryStore
from desireline.identity.aliases import Fragments
from desireline.rows import DecisionRow, Outcome, Put
from desireline.show.timeline import PHASES, PastEvent
from desireline_operate.cli import explain as command
from desireline_operate.cli.main import app

SUBJECT = "s-1"
FRAGMENTS = Fragments(b"any")


def decision(phase: str, outcome: Outcome, *, step: str = "-", action: str = "-") -> DecisionRow:
    return DecisionRow(
        subject=SUBJECT,
        playbook="hot_lead",
        playbook_version=1,
        enrolment="e-1",
        slot="-",
        step=step,
        action=action,
        phase=phase,
        outcome=outcome,
        reason="passed",
        at=5_000,
    )


class Past:
    """Events as the warehouse has them."""

    def __init__(self, *events: PastEvent) -> None:
        self._events = events

    def events(self, fragments: Sequence[str], accounts: Sequence[str]) -> list[PastEvent]:
        return list(self._events)


@pytest.fixture
def explain(monkeypatch: pytest.MonkeyPatch):
    """The command, on a store and a history of ours."""

    def run(
        subject: str, store: MemoryStore, *events: PastEvent, no_warehouse: bool = False
    ) -> tuple[int, str]:
        deployment = SimpleNamespace(
            store=lambda: store,
            fragments=lambda: FRAGMENTS,
            history=lambda: nullcontext(Past(*events)),
            connect=None if no_warehouse else object,
        )
        monkeypatch.setattr(command, "the_deployment", lambda _: deployment)
        done = CliRunner().invoke(app, ["explain", subject], env={"COLUMNS": "120"})
        return done.exit_code, done.output

    return run


@pytest.fixture
def store() -> MemoryStore:
    """A hot lead's decisions, all of one moment."""
    made = MemoryStore()
    made.write(
        Put(decision("end", Outcome.COMPLETED)),
        Put(decision("delivery", Outcome.SENT, step="alert", action="hot_lead_alert")),
        Put(decision("gate", Outcome.CLAIMED, step="alert", action="hot_lead_alert")),
        Put(decision("branch", Outcome.BRANCHED, step="alert")),
        Put(decision("start", Outcome.ENROLLED)),
    )
    return made


def test_decisions_of_one_moment_are_told_in_the_order_in_which_they_came(explain, store):
    """Given a playbook that was entered, sent its alert and ended at one time, when explained, then
    nothing ends before it began."""
    event = PastEvent(5_000, "trial_signup", "segment", "user", "f", "{}")
    code, said = explain(SUBJECT, store, event)

    assert code == 0, said
    told = ("trial_signup", "enrolled", "branched", "claimed", "sent", "completed")
    assert [said.index(word) for word in told] == sorted(said.index(word) for word in told)
    assert len(PHASES) == 5


def test_what_others_wrote_is_printed_letter_by_letter(explain, store):
    """Given a property that looks like markup, like an emoji, and like a command to the terminal,
    when explained, then it is shown as it is, and commands nothing."""
    event = PastEvent(
        1, "task_created", "segment", "user", "f", '{"name":"[/red] :smile: \x1b[31m"}'
    )
    code, said = explain(SUBJECT, store, event)

    assert code == 0, said
    assert '"[/red] :smile: �[31m"' in said
    assert "\x1b" not in said


@pytest.mark.parametrize("asked", ["nobody", "user:nobody", "group:nobody", "user:", "[/x]"])
def test_who_is_not_known_is_named_as_asked_for(explain, asked):
    code, said = explain(asked, MemoryStore())

    assert code == 2
    assert f"no data about '{asked}'. Write user:ID" in said
