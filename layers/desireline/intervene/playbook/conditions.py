"""Conditions of playbooks, as trees of data.

    happened: integration_connected          an event, ever
    happened: integration_connected, by: 4h  at or before that offset from the entry
    score_at_least: 70   score_below: 70     the score as of the due time
    all: [...]   any: [...]   not: ...

`happened` includes the subject's events of all accounts. So an event under another account is not
taken for an absence (delivery rule 12).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from desireline.intervene.playbook.durations import Duration, format_duration
from desireline.journey.state import JourneyState


class _Node(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Happened(_Node):
    """Holds if an event of this name occurred. by: the latest time, as an offset from the entry."""

    happened: str
    by: Duration | None = None


class ScoreAtLeast(_Node):
    """Holds if there is a score, at or above this level."""

    score_at_least: int = Field(ge=0, le=100)


class ScoreBelow(_Node):
    """Holds if there is a score, below this level."""

    score_below: int = Field(ge=0, le=100)


class AllOf(_Node):
    """Holds if all of these conditions hold."""

    all: tuple[Condition, ...] = Field(min_length=1)


class AnyOf(_Node):
    """Holds if at least one of these conditions holds."""

    any: tuple[Condition, ...] = Field(min_length=1)


class Not(_Node):
    """Holds if the condition does not hold."""

    no: Condition = Field(alias="not")


_KINDS: Mapping[str, str] = {
    "happened": "happened",
    "score_at_least": "score_at_least",
    "score_below": "score_below",
    "all": "all",
    "any": "any",
    "not": "not",
    "no": "not",
}


def _kind(value: Any) -> str | None:
    keys = value if isinstance(value, dict) else getattr(type(value), "model_fields", {})
    return next((_KINDS[key] for key in keys if key in _KINDS), None)


Condition = Annotated[
    Annotated[Happened, Tag("happened")]
    | Annotated[ScoreAtLeast, Tag("score_at_least")]
    | Annotated[ScoreBelow, Tag("score_below")]
    | Annotated[AllOf, Tag("all")]
    | Annotated[AnyOf, Tag("any")]
    | Annotated[Not, Tag("not")],
    Discriminator(
        _kind,
        custom_error_type="condition",
        custom_error_message="write one of: " + ", ".join(dict.fromkeys(_KINDS.values())),
    ),
]
"""A node of the tree."""

for _model in (AllOf, AnyOf, Not):
    _model.model_rebuild()


@dataclass(frozen=True, slots=True)
class Circumstances:
    """The facts that conditions need. state: of the subject's events, of all accounts. score: as of
    the due time; None before a trial. entry_at: the time of the entry, epoch ms."""

    state: JourneyState
    score: int | None
    entry_at: int


@dataclass(frozen=True, slots=True)
class Judgement:
    """The result of a condition. evidence: for each event of the condition, the time of its first
    occurrence in epoch ms, or None; for 'score', the score. on_absence: an event did not occur."""

    holds: bool
    evidence: Mapping[str, int | None] = field(default_factory=dict)

    @property
    def on_absence(self) -> bool:
        return any(value is None for name, value in self.evidence.items() if name != "score")


def judge(condition: Condition, of: Circumstances) -> Judgement:
    """Evaluate all nodes of the tree, so that the evidence is complete."""
    match condition:
        case Happened():
            return _judge_event(condition, of)
        case ScoreAtLeast(score_at_least=level):
            holds = of.score is not None and of.score >= level
            return Judgement(holds, {"score": of.score})
        case ScoreBelow(score_below=level):
            holds = of.score is not None and of.score < level
            return Judgement(holds, {"score": of.score})
        case AllOf(all=parts):
            judged = [judge(part, of) for part in parts]
            return Judgement(all(part.holds for part in judged), _merged_evidence(judged))
        case AnyOf(any=parts):
            judged = [judge(part, of) for part in parts]
            return Judgement(any(part.holds for part in judged), _merged_evidence(judged))
        case Not(no=part):
            inner = judge(part, of)
            return Judgement(not inner.holds, inner.evidence)


def event_names(condition: Condition) -> Iterator[str]:
    """Yield the names of the events in the tree."""
    match condition:
        case Happened(happened=name):
            yield name
        case AllOf(all=parts) | AnyOf(any=parts):
            for part in parts:
                yield from event_names(part)
        case Not(no=part):
            yield from event_names(part)
        case _:
            return


def describe(condition: Condition) -> str:
    """Write the condition as text, for the docs and for `explain`."""
    match condition:
        case Happened(happened=name, by=by):
            return f"`{name}`" + (f" by {format_duration(by)}" if by is not None else "")
        case ScoreAtLeast(score_at_least=level):
            return f"score {level} or more"
        case ScoreBelow(score_below=level):
            return f"score below {level}"
        case AllOf(all=parts):
            return " and ".join(_bracketed(part) for part in parts)
        case AnyOf(any=parts):
            return " or ".join(_bracketed(part) for part in parts)
        case Not(no=part):
            return f"not {_bracketed(part)}"


def _judge_event(condition: Happened, of: Circumstances) -> Judgement:
    until = None if condition.by is None else of.entry_at + condition.by
    holds = of.state.happened(condition.happened, by=until)
    first = of.state.first[condition.happened][0] if holds else None
    return Judgement(holds, {condition.happened: first})


def _merged_evidence(judged: list[Judgement]) -> dict[str, int | None]:
    return {name: value for part in judged for name, value in part.evidence.items()}


def _bracketed(condition: Condition) -> str:
    text = describe(condition)
    return f"({text})" if isinstance(condition, AllOf | AnyOf) else text
