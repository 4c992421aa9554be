"""Models of playbooks: trigger, steps with branches and actions, and goal.

`load` reads and validates the YAML files in `desireline.resources.PLAYBOOKS`.
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
"""A name: lower-case letters, digits and underscores, because names are parts of keys."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Severity(StrEnum):
    """The urgency of an alert. Subscribers filter by it."""

    INFO = "info"
    WARNING = "warning"
    HIGH = "high"
    CRITICAL = "critical"


class _Action(_Part):
    """An action. not_after: the latest time to decide and send it, after the step's due time."""

    name: Name
    not_after: Duration
    channel: str


class AlertAction(_Action):
    """An alert to the account's customer success team."""

    severity: Severity
    title: Text = Field(min_length=1)
    body: Text = Field(min_length=1)


class MessageAction(_Action):
    """A message to a person or to a team's chat."""

    title: Text = Field(min_length=1)
    body: Text = Field(min_length=1)


class CrmOperation(StrEnum):
    """The operations on a contact in the CRM."""

    SET_PROPERTY = "set_property"
    ADD_TO_LIST = "add_to_list"
    CREATE_TASK = "create_task"


class CrmAction(_Action):
    """A change in the CRM. target: the property, the list, or the task's title.

    YAML names the target `what`, because published playbooks must not change."""

    operation: CrmOperation
    target: Text = Field(alias="what", min_length=1)
    value: Text = ""

    @model_validator(mode="after")
    def _has_value(self) -> Self:
        if (self.operation is CrmOperation.SET_PROPERTY) != bool(self.value):
            raise ValueError("write `value` with set_property, and with no other operation")
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
    """A branch of a step. when: its condition; the last branch has none. leave: it ends the run."""

    name: Name
    when: Condition | None = None
    actions: tuple[Action, ...] = ()
    leave: bool = False


class EarlierBranch(_Part):
    """Holds if an earlier step took one of these branches."""

    step: Name
    took: tuple[Name, ...] = Field(min_length=1)


class Step(_Part):
    """A step that is due at entry + `after`. It has either actions or branches."""

    name: Name
    after: Duration
    only_if: EarlierBranch | None = None
    actions: tuple[Action, ...] = ()
    branches: tuple[Branch, ...] = ()

    @model_validator(mode="after")
    def _is_decidable(self) -> Self:
        if bool(self.actions) == bool(self.branches):
            raise ValueError("give the step either `actions` or `branches`")
        if self.branches and self.branches[-1].when is not None:
            raise ValueError("the last branch must have no `when`, so that one branch always holds")
        if any(branch.when is None for branch in self.branches[:-1]):
            raise ValueError(
                "a branch without `when` must be the last, because no later one is reached"
            )
        _unique("branch", (branch.name for branch in self.branches))
        _unique("action", (action.name for action in self.all_actions()))
        return self

    def all_branches(self) -> tuple[Branch, ...]:
        """Return the branches. Actions without branches are one branch, named 'always'."""
        return self.branches or (Branch(name="always", actions=self.actions),)

    def all_actions(self) -> Iterator[Action]:
        """Yield the actions of all branches."""
        for branch in self.all_branches():
            yield from branch.actions


class Trigger(_Part):
    """The trigger of a playbook: an event, a crossing up to a tier, or a change to a stage."""

    event: str | None = None
    tier: Tier | None = None
    stage: Stage | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if sum(value is not None for value in (self.event, self.tier, self.stage)) != 1:
            raise ValueError("write exactly one of event, tier, stage")
        return self


class Audience(StrEnum):
    """The subjects of a playbook: those who have not paid yet, or everyone."""

    PROSPECTS = "prospects"
    EVERYONE = "everyone"


class Playbook(_Part):
    """A playbook. entry_age_limit: an older trigger starts no run. reentry: 'never', or the length
    of a window, in which a subject can enter once. goal: a run ends if it holds."""

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
            raise ValueError("a re-entry window needs a length: write `never` to allow one entry")
        before: dict[str, set[str]] = {}
        for step in self.steps:
            _refers_back(step, before)
            before[step.name] = {branch.name for branch in step.all_branches()}
        return self

    def slot(self, entry_at: int) -> str:
        """Return the slot of an entry at a time (epoch ms). A subject can enter each slot once."""
        return "once" if self.reentry == "never" else f"w{entry_at // self.reentry}"


def parse(text: str, source: str = "playbook") -> Playbook:
    """Read a playbook from YAML. source: its name in errors.

    Raises InvalidPlaybookError. Its detail lists the location and the correction of each error."""
    try:
        return Playbook.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise InvalidPlaybookError(
            "invalid_playbook", f"{source} is not valid YAML: {error}"
        ) from error
    except ValidationError as error:
        lines = [
            f"{source}: {_path(detail['loc'])}: {_advice(detail)}" for detail in error.errors()
        ]
        raise InvalidPlaybookError("invalid_playbook", "\n".join(lines)) from error


class Library:
    """Playbooks by name and version. A run keeps the version that was the newest at its start."""

    def __init__(self, playbooks: Iterable[Playbook]) -> None:
        """Raises InvalidPlaybookError if two have the same name and version."""
        self._by_version: dict[tuple[str, int], Playbook] = {}
        for playbook in playbooks:
            key = (playbook.name, playbook.version)
            if key in self._by_version:
                detail = f"two files have {key[0]} version {key[1]}: raise the version of one"
                raise InvalidPlaybookError("duplicate_playbook", detail)
            self._by_version[key] = playbook

    def current(self) -> list[Playbook]:
        """Return the newest version of each playbook, in the order of names."""
        newest = {name: self._by_version[name, v] for name, v in sorted(self._by_version)}
        return list(newest.values())

    def at(self, name: str, version: int) -> Playbook:
        """Return a version of a playbook. Raises InvalidPlaybookError if its file is missing."""
        playbook = self._by_version.get((name, version))
        if playbook is None:
            detail = f"add {name}.v{version}.yaml again until all its enrolments have ended"
            raise InvalidPlaybookError("unknown_playbook_version", detail)
        return playbook


def load(folder: Path = PLAYBOOKS) -> Library:
    """Read the playbooks of a folder: `name.yaml`, and `name.v3.yaml` of an older version.

    Raises InvalidPlaybookError."""
    playbooks = []
    for path in sorted(folder.glob("*.yaml")):
        playbook = parse(path.read_text(encoding="utf-8"), path.name)
        if path.stem not in (playbook.name, f"{playbook.name}.v{playbook.version}"):
            detail = f"{path.name}: name: rename the file to {playbook.name}.yaml, or the playbook"
            raise InvalidPlaybookError("invalid_playbook", detail)
        playbooks.append(playbook)
    return Library(playbooks)


def _refers_back(step: Step, before: dict[str, set[str]]) -> None:
    if step.only_if is None:
        return
    branches = before.get(step.only_if.step)
    if branches is None:
        raise ValueError(
            f"step {step.name}: only_if names {step.only_if.step}, which must be an earlier step"
        )
    for branch in step.only_if.took:
        if branch not in branches:
            raise ValueError(
                f"step {step.name}: {step.only_if.step} has no branch {branch}: "
                f"use one of {', '.join(sorted(branches))}"
            )


def _unique(kind: str, names: Iterator[str]) -> None:
    earlier: set[str] = set()
    for name in names:
        if name in earlier:
            raise ValueError(f"two {kind}s have the name {name}: rename one")
        earlier.add(name)


def _path(loc: tuple[int | str, ...]) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    return path.lstrip(".") or "playbook"


def _advice(error: Any) -> str:
    match error["type"]:
        case "missing":
            return "is missing: add it"
        case "extra_forbidden":
            return "is not a field of this part: remove it, or correct its spelling"
        case "string_pattern_mismatch":
            return "use lower-case letters, digits and underscores, a letter first"
        case _:
            return re.sub(r"^Value error, ", "", error["msg"])
