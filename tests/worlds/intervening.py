"""A stage for the intervene use cases: a store with subjects, clocks, and fakes of the ports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from desireline.adapters.memory import MemoryStore
from desireline.events import Assessment, ClaimReference, Lifecycle, Stage, Stamps, Tier
from desireline.intervene.check_playbook import CheckPlaybook, Readiness
from desireline.intervene.deliver_action import DeliverAction
from desireline.intervene.playbook.playbooks import Library, load
from desireline.journey.state import Fact, JourneyState
from desireline.ports import Alert
from desireline.rows import (
    Check,
    ClaimRow,
    DecisionRow,
    EnrolmentRow,
    Put,
    Row,
    SlotRow,
    StateRow,
    SubjectRow,
)
from desireline.score.models.package import Model

HOUR = 3_600_000
DAY = 24 * HOUR
ENTRY = 20_000 * DAY
TIMEOUT = 30_000
READ_TIMEOUT = 5_000


class StepStore(MemoryStore):
    """A store in which something else may happen just before the next write, or fail at it."""

    def __init__(self) -> None:
        super().__init__()
        self.before_write: list[Callable[[], None]] = []
        self.after_write: list[Callable[[], None]] = []

    def write(self, *writes: Put | Check) -> None:
        if self.before_write:
            self.before_write.pop(0)()
        super().write(*writes)
        if self.after_write:
            self.after_write.pop(0)()


class SettableClock:
    def __init__(self, at: int) -> None:
        self.at = at

    def now(self) -> int:
        return self.at


class Workflows:
    """Executions by name; a second start of a name changes nothing, as with Step Functions."""

    def __init__(self) -> None:
        self.started: dict[str, Mapping[str, Any]] = {}
        self.calls = 0
        self.failing: Exception | None = None

    def start(self, *, name: str, payload: Mapping[str, Any]) -> None:
        self.calls += 1
        if self.failing is not None:
            raise self.failing
        self.started.setdefault(name, payload)


class SettableSwitches:
    def __init__(self) -> None:
        self.mode = "live"
        self.allowlist: set[str] = set()
        self.off: set[str] = set()

    def send_mode(self) -> str:
        return self.mode

    def allowed(self, recipient: str) -> bool:
        return recipient in self.allowlist

    def killed(self, *, playbook: str, channel: str) -> bool:
        return bool({"all", playbook, channel} & self.off)


class Provider:
    """Takes alerts; `answers` are raised in turn, before or after the alert is accepted."""

    def __init__(self) -> None:
        self.accepted: list[Alert] = []
        self.calls = 0
        self.answers: list[tuple[bool, Exception]] = []
        self.meanwhile: Callable[[], None] = lambda: None

    def send(self, alert: Alert) -> str:
        self.calls += 1
        accepts, error = self.answers.pop(0) if self.answers else (True, None)
        if accepts:
            self.accepted.append(alert)
        self.meanwhile()
        if error is not None:
            raise error
        return f"m{self.calls}"


class Counters:
    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def count(self, name: str, value: int = 1, **dimensions: str) -> None:
        self.counts[name] += value


class FixedModel:
    """Gives every trial the same probability."""

    version = "test"

    def __init__(self, probability: float) -> None:
        self.probability = probability
        self.seen: list[NDArray[np.float64]] = []

    def probabilities(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        self.seen.append(rows)
        return np.full(len(rows), self.probability)

    def contributions(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        effects = np.zeros_like(rows)
        effects[:, -1] = 0.5
        return effects


class Scene:
    """One store, and the use cases on it."""

    def __init__(self, *, probability: float = 0.5, holdout_percent: int = 0) -> None:
        self.store = StepStore()
        self.clock = SettableClock(ENTRY)
        self.wall = SettableClock(7_000_000)
        self.workflow = Workflows()
        self.switches = SettableSwitches()
        self.provider = Provider()
        self.metrics = Counters()
        self.model = FixedModel(probability)
        self.playbooks: Library = load()
        self.holdout_percent = holdout_percent

    def check(self, enrolment: str, readiness: Readiness | None = None) -> Any:
        return CheckPlaybook(
            store=self.store,
            model=cast(Model, self.model),
            playbooks=self.playbooks,
            switches=self.switches,
            clock=self.clock,
            wall=self.wall,
            metrics=self.metrics,
            holdout_percent=self.holdout_percent,
            readiness=readiness,
        )(enrolment)

    def deliver(self, claim: ClaimRow, remaining_ms: int = TIMEOUT) -> Any:
        reference = ClaimReference.model_validate(claim.model_dump())
        return DeliverAction(
            store=self.store,
            senders={"csm_alert": self.provider},
            switches=self.switches,
            clock=self.clock,
            wall=self.wall,
            metrics=self.metrics,
            read_timeout_ms=READ_TIMEOUT,
            function_timeout_ms=TIMEOUT,
        )(reference, lambda: remaining_ms)

    # --- what is there

    def put(self, *rows: Row) -> None:
        self.store.write(*(Put(row) for row in rows))

    def subject(self, name: str, *accounts: str, **fields: Any) -> None:
        """A subject whose only person is its namesake, without a person's row."""
        self.put(SubjectRow(subject=name, persons=(name,), accounts=accounts, **fields))

    def merge(self, loser: str, winner: str) -> None:
        """What resolve writes when two subjects turn out to be one."""
        lost, won = self.row(SubjectRow.ref_to(loser)), self.row(SubjectRow.ref_to(winner))
        joined = won.but(
            persons=(*won.persons, *lost.persons),
            absorbed=(*won.absorbed, *lost.absorbed, loser),
            holdout=None
            if won.holdout is None and lost.holdout is None
            else bool(won.holdout or lost.holdout),
        )
        MemoryStore.write(self.store, Put(joined), Put(lost.but(merged_into=winner)))

    def happened(self, fragment: str, account: str = "-", **hours: float) -> None:
        """Events by name, at that many hours after the entry; and who they are."""
        marks = {name: (int(ENTRY + hour * HOUR), name) for name, hour in hours.items()}
        marks.setdefault("trial_signup", (ENTRY, "signup"))
        traits = {"name": "Ada", "email": "ada@example.com", "account_name": "Analytical"}
        state = JourneyState(
            counts=dict.fromkeys(marks, 1),
            first=marks,
            last=marks,
            traits={name: Fact(value, ENTRY, "e") for name, value in traits.items()},
            latest=max(at for at, _ in marks.values()),
        )
        old = self.store.get(StateRow.ref_to(fragment, account))
        row = StateRow(fragment=fragment, account=account, state=state)
        MemoryStore.write(self.store, Put(row.but(version=old.version if old else 0)))

    def enrol(
        self, subject: str, name: str = "e1", playbook: str = "integration_first"
    ) -> EnrolmentRow:
        """A running enrolment with its slot."""
        names = {"subject": subject, "playbook": playbook}
        slot = self.playbooks.at(playbook, 1).slot(ENTRY)
        row = EnrolmentRow(
            **names,
            enrolment=name,
            playbook_version=1,
            slot=slot,
            entry_id="signup",
            entry_at=ENTRY,
            stamps=Stamps(received=1, resolved=2),
        )
        self.put(row, SlotRow(**names, slot=slot, enrolment=name))
        return row

    # --- what has become of it

    def row(self, ref: Any) -> Any:
        found = self.store.get(ref)
        assert found is not None, ref
        return found

    def rows(self, kind: type[Row]) -> list[Any]:
        return [row for row in self.store.rows.values() if isinstance(row, kind)]

    def ledger(self, phase: str) -> dict[tuple[str, str], tuple[str, str | None, str]]:
        """(step, action) -> (outcome, gate, reason)."""
        return {
            (row.step, row.action): (str(row.outcome), row.gate, row.reason)
            for row in self.rows(DecisionRow)
            if row.phase == phase
        }

    def claims(self) -> dict[str, ClaimRow]:
        return {row.action: row for row in self.rows(ClaimRow)}


def assessed(tier: Tier | None, *, as_of: int = ENTRY, stage: Stage = Stage.HABIT) -> Assessment:
    """An assessment of that tier."""
    score = None if tier is None else {"hot": 95, "warm": 75, "nurture": 50, "at_risk": 10}[tier]
    return Assessment(
        as_of=as_of,
        score=score,
        probability=None if score is None else score / 100,
        tier=tier,
        stage=stage,
        lifecycle=Lifecycle.TRIAL,
        model_version="test",
    )
