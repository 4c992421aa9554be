"""The tracking plan: which events there are, what they carry, how senders' words become ours.

Read once from YAML: `plan.yaml`, `events/` with one file a category, `senders/` with one file a
sender. A mapping's conditions and properties are JMESPath over the sender's message; a property
that no mapping names is taken from the message's `properties` under its own name.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from desireline.errors import IgnoredEventError, InvalidEventError
from desireline.events import AliasType
from desireline.plan.jmespath_functions import Search, compiled
from desireline.resources import TRACKING_PLAN

TEXT_LIMIT = 1_000
"""Characters of a text parameter that are kept; no plan needs more, and rows have limits."""


LARGEST = 2**53
"""Numbers beyond are not exact in every language that reads them."""

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's where there is one: a tenth of the time, and a function's start waits for it."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))


class Parameter(_Part):
    """One parameter. `sum`: state keeps the sum over events, rounded to integers."""

    type: Literal["string", "integer", "number", "boolean"]
    unit: str | None = None
    required: bool = False
    minimum: float | None = None
    maximum: float | None = None
    values: tuple[str, ...] | None = None
    sum: bool = False

    @cached_property
    def plain(self) -> bool:
        """Whether every short text is a value of it: most parameters."""
        return self.type == "string" and self.values is None

    def checked(self, name: str, value: Any) -> Any:
        """The value as the plan has it. Raises InvalidEventError."""
        if self.plain and type(value) is str and len(value) <= TEXT_LIMIT:
            return value
        value = self._typed(name, value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            low, high = self.minimum, self.maximum
            if abs(value) > LARGEST:
                raise InvalidEventError("parameter_range", f"{name} is too large")
            if (low is not None and value < low) or (high is not None and value > high):
                raise InvalidEventError("parameter_range", f"{name} is not in {low}..{high}")
        if self.values is not None and value not in self.values:
            raise InvalidEventError("parameter_value", f"{name} is none of {self.values}")
        return value

    def _typed(self, name: str, value: Any) -> Any:
        match self.type, value:
            case "string", str():
                return value[:TEXT_LIMIT]
            case "string", bool() | int() | float():
                return str(value)
            case (("integer" | "number"), bool()):
                pass
            case "integer", int():
                return value
            case "integer", float() if value.is_integer():
                return int(value)
            case "number", int() | float() if math.isfinite(value):
                return value
            case "boolean", bool():
                return value
        raise InvalidEventError("parameter_type", f"{name} is no {self.type}")


class Words(_Part):
    """What a sender says: its call or type, the event's name there, a condition."""

    call: str
    event: str | None = None
    where: str | None = None

    @cached_property
    def condition(self) -> Search | None:
        """`where`, compiled."""
        return compiled(self.where) if self.where else None

    def matches(self, message: Mapping[str, Any]) -> bool:
        """Whether the condition holds of the message."""
        return self.condition is None or self.condition(message) is True


class SenderMapping(Words):
    """How a sender reports an event: in which words, what it is as ours, and where the parameters
    are."""

    becomes: str = Field(alias="as")
    properties: Mapping[str, str] = {}

    @cached_property
    def paths(self) -> tuple[tuple[str, Search], ...]:
        """`properties`, compiled."""
        return tuple((name, compiled(path)) for name, path in self.properties.items())


class Ignored(Words):
    """What a sender says that is no event of the plan, on purpose: counted, not set aside. why: for
    whoever wonders."""

    why: str


class PlannedEvent(_Part):
    """One event of the plan. owns_account: who does it owns the account that it names."""

    name: str
    category: str
    description: str
    conversion: Literal["macro", "micro"] | None = None
    high_intent: bool = False
    owns_account: bool = False
    parameters: Mapping[str, Parameter] = {}

    def properties(
        self, mapping: SenderMapping, message: Mapping[str, Any], given: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The event's parameters out of a message; what the plan does not name is left behind.

        given: the message's own properties. Raises InvalidEventError.
        """
        mapped = {name: path(message) for name, path in mapping.paths} if mapping.paths else given
        found: dict[str, Any] = {}
        for name, parameter in self.parameters.items():
            value = mapped.get(name)
            if value is None:
                value = given.get(name)
            if value is not None:
                found[name] = parameter.checked(name, value)
            elif parameter.required:
                raise InvalidEventError("parameter_missing", name)
        return found

    def measures(self, properties: Mapping[str, Any]) -> dict[str, int]:
        """What is summed up, by 'event.parameter'."""
        return {key: round(properties[name]) for name, key in self.summed if name in properties}

    @cached_property
    def summed(self) -> tuple[tuple[str, str], ...]:
        """Parameters that are summed up, and the names of their sums."""
        return tuple((name, f"{self.name}.{name}") for name, p in self.parameters.items() if p.sum)


class Traits(_Part):
    """Traits that are kept, by their name at the sender -> ours."""

    person: Mapping[str, str]
    account: Mapping[str, str]


class MessagePaths(_Part):
    """Where things are in the messages of a source that has no code of its own, such as a topic of
    the company's: JMESPath over one message.

    call, event: what mappings look a message up by. id: its identifier. time: ISO 8601, or a number
    of seconds or milliseconds since the epoch. aliases: by type. account: the key of its account;
    role: 'owner' or 'member'. properties, traits and consent: objects. Besides its own fields a
    message has `"$record"`: topic, partition, offset, timestamp; those of the record's headers that
    `headers` names; its key if `key` says so.
    """

    call: str
    event: str | None = None
    id: str | None = None
    time: str | None = None
    aliases: Mapping[AliasType, str]
    account: str | None = None
    role: str | None = None
    properties: str | None = None
    person_traits: str | None = None
    account_traits: str | None = None
    consent: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    headers: tuple[str, ...] = ()
    key: bool = False

    @property
    def paths(self) -> dict[str, str]:
        """The expressions by name, without those of aliases."""
        return self.model_dump(exclude={"aliases", "headers", "key"}, exclude_none=True)

    @cached_property
    def search(self) -> Mapping[str, Search]:
        """`paths`, compiled."""
        return {name: compiled(path) for name, path in self.paths.items()}

    @cached_property
    def alias_search(self) -> tuple[tuple[AliasType, Search], ...]:
        """`aliases`, compiled, strongest first."""
        ordered = sorted(self.aliases.items(), key=lambda alias: alias[0].strength)
        return tuple((alias_type, compiled(path)) for alias_type, path in ordered)


class SenderWords(_Part):
    """What one sender reports, in its words. verified_email: an address in its word identifies a
    person; in another's it is a trait. ignored: tried after the mappings. message: for a source
    without code, where things are.

    scheme: what such a source signs by, if it is a webhook; then secret says what its secret is,
    and deadline how many seconds it waits."""

    sender: str
    verified_email: bool = False
    message: MessagePaths | None = None
    scheme: Literal["standard_webhooks"] | None = None
    secret: str | None = None
    deadline: float = Field(default=5.0, gt=0)
    mappings: tuple[SenderMapping, ...]
    ignored: tuple[Ignored, ...] = ()

    @cached_property
    def index(self) -> dict[tuple[str, str | None], list[SenderMapping]]:
        """By call and event, conditional mappings first, else in the order of the file."""
        index: dict[tuple[str, str | None], list[SenderMapping]] = {}
        for mapping in self.mappings:
            index.setdefault((mapping.call, mapping.event), []).append(mapping)
        for choices in index.values():
            choices.sort(key=lambda mapping: mapping.where is None)
        return index


class TrackingPlan(_Part):
    """The whole plan. needed_consent: the category that a person must not have refused, where a
    sender tells consent; None: nothing is withheld for its want."""

    version: str
    needed_consent: str | None = None
    traits: Traits
    events: Mapping[str, PlannedEvent]
    senders: Mapping[str, SenderWords]

    @cached_property
    def verified_email(self) -> frozenset[str]:
        """Senders whose word makes an address identify a person."""
        return frozenset(one.sender for one in self.senders.values() if one.verified_email)

    @cached_property
    def _index(
        self,
    ) -> dict[tuple[str, str, str | None], list[tuple[SenderMapping, PlannedEvent]]]:
        return {
            (name, *key): [(mapping, self.events[mapping.becomes]) for mapping in choices]
            for name, words in self.senders.items()
            for key, choices in words.index.items()
        }

    @cached_property
    def _ignored(self) -> dict[tuple[str, str, str | None], list[Ignored]]:
        ignored: dict[tuple[str, str, str | None], list[Ignored]] = {}
        for name, words in self.senders.items():
            for one in words.ignored:
                ignored.setdefault((name, one.call, one.event), []).append(one)
        return ignored

    def find(
        self, source: str, call: str, event: str | None, message: Mapping[str, Any]
    ) -> tuple[SenderMapping, PlannedEvent]:
        """The event that a message is, conditional mappings first. Raises IgnoredEventError where
        it is none, as the plan says, else InvalidEventError."""
        for mapping, planned in self._index.get((source, call, event), ()):
            if mapping.matches(message):
                return mapping, planned
        for one in self._ignored.get((source, call, event), ()):
            if one.matches(message):
                raise IgnoredEventError("ignored", one.why)
        raise InvalidEventError("unmapped", f"{source} {call} {event or ''}".strip()[:200])

    def mappings_to(self, event: str) -> Iterator[tuple[str, SenderMapping]]:
        """Who reports the event, and how."""
        for words in self.senders.values():
            for mapping in words.mappings:
                if mapping.becomes == event:
                    yield words.sender, mapping


def load_plan(folder: Path = TRACKING_PLAN) -> TrackingPlan:
    """Read the plan. Raises pydantic.ValidationError, yaml.YAMLError, or ValueError when two files
    define one event, a mapping's event is not in the plan or a sender's file has another name."""
    head = _read(folder / "plan.yaml")
    events: dict[str, PlannedEvent] = {}
    for event in _events(folder):
        if event.name in events:
            raise ValueError(f"the plan defines {event.name} twice")
        events[event.name] = event
    senders = {words.sender: words for words in _senders(folder, events)}
    return TrackingPlan(**head, events=events, senders=senders)


def _events(folder: Path) -> Iterator[PlannedEvent]:
    for file in sorted((folder / "events").glob("*.yaml")):
        content = _read(file)
        for name, event in content["events"].items():
            yield PlannedEvent(name=name, category=content["category"], **event)


def sender_words(file: Path) -> SenderWords:
    """Read a sender's file. Raises as `load_plan` does."""
    words = SenderWords(**_read(file))
    if words.sender != file.stem:
        raise ValueError(f"{file.name} has the mappings of {words.sender}")
    return words


def _senders(folder: Path, events: Container[str]) -> Iterator[SenderWords]:
    for file in sorted((folder / "senders").glob("*.yaml")):
        words = sender_words(file)
        for mapping in words.mappings:
            if mapping.becomes not in events:
                raise ValueError(f"{file.name} maps to {mapping.becomes}, which is not planned")
        yield words


def _read(file: Path) -> Any:
    return yaml.load(file.read_text(), _LOADER)
