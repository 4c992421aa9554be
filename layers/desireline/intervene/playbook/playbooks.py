"""Playbooks as data: what starts one, its timed steps with branches, what each does, its goal.

The shipped ones are YAML files in `desireline.resources.PLAYBOOKS`; `load` reads and validates.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, Union

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationError,
    model_validator,
)

from desireline.contracts import PLAYBOOK_NAME_LIMIT
from desireline.errors import InvalidPlaybookError
from desireline.events import Stage, Tier
from desireline.intervene.channels import PLAYBOOK_CHANNELS, ActionKind
from desireline.intervene.playbook.conditions import Condition
from desireline.intervene.playbook.durations import Duration
from desireline.intervene.playbook.templates import Text
from desireline.resources import PLAYBOOKS

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
"""Names are parts of keys: lower case, digits and underscores."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Severity(StrEnum):
    """How urgent an alert is: subscribers filter by it."""

    INFO = "info"
    WARNING = "warning"
    HIGH = "high"
    CRITICAL = "critical"


class _Action(_Part):
    """not_after: offset from the step's due time; later it is neither decided nor sent."""

    name: Name
    not_after: Duration
    channel: str


class AlertAction(_Action):
    """An alert to the team that looks after the account."""

    severity: Severity
    title: Text = Field(min_length=1)
    body: Text = Field(min_length=1)


class MessageAction(_Action):
    """A message to the customer, or to a team's room."""

    title: Text = Field(min_length=1)
    body: Text = Field(min_length=1)


class CrmOperation(StrEnum):
    """What is done to the contact in the CRM."""

    SET_PROPERTY = "set_property"
    ADD_TO_LIST = "add_to_list"
    CREATE_TASK = "create_task"


class CrmAction(_Action):
    """A change in the CRM: `what` is the property, the list or the task's title."""

    operation: CrmOperation
    what: Text = Field(min_length=1)
    value: Text = ""

    @model_validator(mode="after")
    def _has_value(self) -> Self:
        if (self.operation is CrmOperation.SET_PROPERTY) != bool(self.value):
            raise ValueError("`value` goes with set_property, and only with it")
        return self


_MODELS: dict[ActionKind, type[_Action]] = {
    ActionKind.ALERT: AlertAction,
    ActionKind.MESSAGE: MessageAction,
    ActionKind.RECORD_CHANGE: CrmAction,
}


def _channel(action: object) -> str | None:
    """Find the name that selects the action's model, or None."""
    value = action.get("channel") if isinstance(action, dict) else getattr(action, "channel", None)
    return value if isinstance(value, str) else None


_CHANNELS = dict(sorted(PLAYBOOK_CHANNELS.items()))

if TYPE_CHECKING:
    Action = AlertAction | MessageAction | CrmAction
else:
    Action = Annotated[
        Union[  # noqa: UP007 — the members are known only when the registry is loaded
            tuple(Annotated[_MODELS[spec.action], Tag(name)] for name, spec in _CHANNELS.items())
        ],
        Discriminator(
            _channel,
            custom_error_type="unknown_channel",
            custom_error_message=f"`channel` must be one of {', '.join(map(repr, _CHANNELS))}",
        ),
    ]


class Branch(_Part):
    """One way on. Without `when` it is taken if no branch before it was; `leave` ends the run."""

    name: Name
    when: Condition | None = None
    actions: tuple[Action, ...] = ()
    leave: bool = False


class Taken(_Part):
    """An earlier step took one of these branches."""

    step: Name
    took: tuple[Name, ...] = Field(min_length=1)


class Step(_Part):
    """A checkpoint at entry + `after`: either plain actions or branches."""

    name: Name
    after: Duration
    only_if: Taken | None = None
    actions: tuple[Action, ...] = ()
    branches: tuple[Branch, ...] = ()

    @model_validator(mode="after")
    def _is_decidable(self) -> Self:
        if bool(self.actions) == bool(self.branches):
            raise ValueError("give the step either `actions` or `branches`")
        if self.branches and self.branches[-1].when is not None:
            raise ValueError("the last branch must have no `when`: it is what happens otherwise")
        if any(branch.when is None for branch in self.branches[:-1]):
            raise ValueError("a branch without `when` must be the last: none after it is reached")
        _unique("branch", (branch.name for branch in self.branches))
        _unique("action", (action.name for action in self.all_actions()))
        return self

    def ways(self) -> tuple[Branch, ...]:
        """The branches; plain actions are one branch, named 'always'."""
        return self.branches or (Branch(name="always", actions=self.actions),)

    def all_actions(self) -> Iterator[Action]:
        """The actions of all branches."""
        for branch in self.ways():
            yield from branch.actions


class Trigger(_Part):
    """What starts it: an event, a crossing up to a tier, or a change to a stage."""

    event: str | None = None
    tier: Tier | None = None
    stage: Stage | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if sum(value is not None for value in (self.event, self.tier, self.stage)) != 1:
            raise ValueError("write exactly one of event, tier, stage")
        return self


class Audience(StrEnum):
    """Whom it is for: those who have not paid yet, or everyone."""

    PROSPECTS = "prospects"
    EVERYONE = "everyone"


class Playbook(_Part):
    """entry_age_limit: an older trigger starts nothing. reentry: 'never', or the length of the
    windows of which each admits a subject once. goal: when it holds, the run ends."""

    name: Annotated[Name, StringConstraints(max_length=PLAYBOOK_NAME_LIMIT)]
    version: int = Field(ge=1)
    title: str
    trigger: Trigger
    audience: Audience = Audience.PROSPECTS
    entry_age_limit: Duration
    reentry: Literal["never"] | Duration
    goal: Condition
    steps: tuple[Step, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        _unique("step", (step.name for step in self.steps))
        if [step.after for step in self.steps] != sorted(step.after for step in self.steps):
            raise ValueError("put the steps in the order of `after`")
        if self.reentry == 0:
            raise ValueError("a re-entry window needs a length; write `never` for once only")
        before: dict[str, set[str]] = {}
        for step in self.steps:
            _refers_back(step, before)
            before[step.name] = {branch.name for branch in step.ways()}
        return self

    def slot(self, entry_at: int) -> str:
        """The slot of an entry at that time: a subject is admitted once into each."""
        return "once" if self.reentry == "never" else f"w{entry_at // self.reentry}"


def parse(text: str, source: str = "playbook") -> Playbook:
    """The playbook in a YAML text. Raises InvalidPlaybookError: where it is wrong, what to do."""
    try:
        return Playbook.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise InvalidPlaybookError("invalid_playbook", f"{source}: not YAML: {error}") from error
    except ValidationError as error:
        lines = [f"{source}: {_where(one['loc'])}: {_say(one)}" for one in error.errors()]
        raise InvalidPlaybookError("invalid_playbook", "\n".join(lines)) from error


class Library:
    """Playbooks by name and version: the newest one starts, a running one keeps its own."""

    def __init__(self, playbooks: Iterable[Playbook]) -> None:
        """Raises InvalidPlaybookError when two have the same name and version."""
        self._by_version: dict[tuple[str, int], Playbook] = {}
        for playbook in playbooks:
            key = (playbook.name, playbook.version)
            if key in self._by_version:
                detail = f"two files hold {key[0]} version {key[1]}: raise the version of one"
                raise InvalidPlaybookError("duplicate_playbook", detail)
            self._by_version[key] = playbook

    def current(self) -> list[Playbook]:
        """The newest version of each, by name."""
        newest = {name: self._by_version[name, v] for name, v in sorted(self._by_version)}
        return list(newest.values())

    def at(self, name: str, version: int) -> Playbook:
        """That version. Raises InvalidPlaybookError when it is not shipped any more."""
        playbook = self._by_version.get((name, version))
        if playbook is None:
            detail = f"ship {name}.v{version}.yaml until the enrolments in it have ended"
            raise InvalidPlaybookError("unknown_playbook_version", detail)
        return playbook


def load(folder: Path = PLAYBOOKS) -> Library:
    """The playbooks of a folder: `name.yaml`, and `name.v3.yaml` for a version that still runs.

    Raises InvalidPlaybookError."""
    found = []
    for path in sorted(folder.glob("*.yaml")):
        playbook = parse(path.read_text(encoding="utf-8"), path.name)
        if path.stem not in (playbook.name, f"{playbook.name}.v{playbook.version}"):
            detail = f"{path.name}: name: call the file {playbook.name}.yaml, or the playbook so"
            raise InvalidPlaybookError("invalid_playbook", detail)
        found.append(playbook)
    return Library(found)


def _refers_back(step: Step, before: dict[str, set[str]]) -> None:
    if step.only_if is None:
        return
    known = before.get(step.only_if.step)
    if known is None:
        raise ValueError(f"step {step.name}: only_if names {step.only_if.step}, no earlier step")
    for branch in step.only_if.took:
        if branch not in known:
            ways = ", ".join(sorted(known))
            raise ValueError(f"step {step.name}: {step.only_if.step} has no {branch}, but {ways}")


def _unique(what: str, names: Iterator[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"two {what}s are called {name}: give each its own name")
        seen.add(name)


def _where(loc: tuple[int | str, ...]) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    return path.lstrip(".") or "playbook"


def _say(error: Any) -> str:
    match error["type"]:
        case "missing":
            return "is missing: add it"
        case "extra_forbidden":
            return "is no field of this part: remove it, or look for a misspelling"
        case "string_pattern_mismatch":
            return "use lower-case letters, digits and underscores, a letter first"
        case _:
            return re.sub(r"^Value error, ", "", error["msg"])
