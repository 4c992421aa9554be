"""The tracking plan: the events, their parameters, and the mappings from senders' messages.

`load_plan` reads it from YAML: `plan.yaml`, `events/` with one file per category, and `senders/`
with one file per sender. Conditions and properties of a mapping are JMESPath over the sender's
message. A parameter that the mapping omits comes from the message's property of the same name.
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
"""Characters of a text parameter. The plan cuts longer texts, because rows have a size limit."""


LARGEST = 2**53
"""Larger integers are not exact in every language that reads them."""

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Uses libyaml if it is installed: it takes a tenth of the time, which shortens a cold start."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))


class Parameter(_Part):
    """A parameter of an event. sum: the journey's state adds the values up, as integers."""

    type: Literal["string", "integer", "number", "boolean"]
    unit: str | None = None
    required: bool = False
    minimum: float | None = None
    maximum: float | None = None
    values: tuple[str, ...] | None = None
    sum: bool = False

    @cached_property
    def plain(self) -> bool:
        """Whether the parameter accepts every text, as most parameters do."""
        return self.type == "string" and self.values is None

    def checked(self, name: str, value: Any) -> Any:
        """Convert a value to the parameter's type and check its limits.

        Raises InvalidEventError, whose detail begins with the parameter's name."""
        if self.plain and type(value) is str and len(value) <= TEXT_LIMIT:
            return value
        value = self._typed(name, value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            low, high = self.minimum, self.maximum
            if abs(value) > LARGEST:
                raise InvalidEventError("parameter_range", f"{name} must be in -2**53..2**53")
            if (low is not None and value < low) or (high is not None and value > high):
                raise InvalidEventError("parameter_range", f"{name} must be in {low}..{high}")
        if self.values is not None and value not in self.values:
            raise InvalidEventError("parameter_value", f"{name} must be one of {self.values}")
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
        raise InvalidEventError("parameter_type", f"{name} must be of type {self.type}")


class MessagePattern(_Part):
    """Selects messages of a sender. call: the message's type at the sender. event: the event's name
    at the sender. where: a JMESPath condition."""

    call: str
    event: str | None = None
    where: str | None = None

    @cached_property
    def condition(self) -> Search | None:
        """`where`, compiled."""
        return compiled(self.where) if self.where else None

    def matches(self, message: Mapping[str, Any]) -> bool:
        """Tell whether the message meets the condition."""
        return self.condition is None or self.condition(message) is True


class SenderMapping(MessagePattern):
    """Maps selected messages of a sender to an event of the plan. becomes: the event's name in the
    plan. properties: a JMESPath expression for each parameter."""

    becomes: str = Field(alias="as")
    properties: Mapping[str, str] = {}

    @cached_property
    def paths(self) -> tuple[tuple[str, Search], ...]:
        """`properties`, compiled."""
        return tuple((name, compiled(path)) for name, path in self.properties.items())


class Ignored(MessagePattern):
    """Selects messages that the plan ignores on purpose: receive counts them and quarantines none.
    why: the reason, for readers of the plan."""

    why: str


class PlannedEvent(_Part):
    """An event of the plan. owns_account: the person of this event owns the account it names."""

    name: str
    category: str
    description: str
    conversion: Literal["macro", "micro"] | None = None
    high_intent: bool = False
    owns_account: bool = False
    parameters: Mapping[str, Parameter] = {}

    def properties(
        self, mapping: SenderMapping, message: Mapping[str, Any], own: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Read the event's parameters from a message, and omit everything else.

        own: the message's properties, for parameters without a path. Raises InvalidEventError.
        """
        mapped = {name: path(message) for name, path in mapping.paths} if mapping.paths else own
        values: dict[str, Any] = {}
        for name, parameter in self.parameters.items():
            value = mapped.get(name)
            if value is None:
                value = own.get(name)
            if value is not None:
                values[name] = parameter.checked(name, value)
            elif parameter.required:
                raise InvalidEventError("parameter_missing", name)
        return values

    def measures(self, properties: Mapping[str, Any]) -> dict[str, int]:
        """Return the values to add up, by 'event.parameter'."""
        return {key: round(properties[name]) for name, key in self.summed if name in properties}

    @cached_property
    def summed(self) -> tuple[tuple[str, str], ...]:
        """The parameters to add up, each with the name of its sum."""
        return tuple((name, f"{self.name}.{name}") for name, p in self.parameters.items() if p.sum)


class Traits(_Part):
    """The traits to store: the sender's name of a trait -> the plan's name."""

    person: Mapping[str, str]
    account: Mapping[str, str]


class MessagePaths(_Part):
    """JMESPath expressions that find the parts of a message, for a source without code, such as a
    company's topic.

    call, event: the keys by which mappings select a message. id: the message's identifier. time:
    ISO 8601, or seconds or milliseconds since the epoch. aliases: one expression per alias type.
    account: the account's key. role: 'owner' or 'member'. properties, traits and consent: objects.

    The message of a topic also has the field `"$record"`: topic, partition, offset and timestamp.
    headers: the record headers to add to `"$record"`. key: whether to add the record's key.
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
    """The file of one sender in `tracking_plan/senders`: its mappings, in the sender's own names.

    verified_email: the sender's email addresses identify persons; otherwise they are only traits.
    ignored: patterns to try after the mappings. message: the paths for a source without code.

    scheme: the signature scheme of a webhook without code. Such a file has two more fields:
    secret describes the sender's secret, and deadline is the time it waits, in seconds."""

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
        """The mappings by call and event: those with a condition first, then in file order."""
        index: dict[tuple[str, str | None], list[SenderMapping]] = {}
        for mapping in self.mappings:
            index.setdefault((mapping.call, mapping.event), []).append(mapping)
        for choices in index.values():
            choices.sort(key=lambda mapping: mapping.where is None)
        return index


class TrackingPlan(_Part):
    """The whole plan. needed_consent: receive withholds events of persons who refused this consent
    category. None: consent has no effect."""

    version: str
    needed_consent: str | None = None
    traits: Traits
    events: Mapping[str, PlannedEvent]
    senders: Mapping[str, SenderWords]

    @cached_property
    def verified_email(self) -> frozenset[str]:
        """The senders whose email addresses identify persons."""
        return frozenset(words.sender for words in self.senders.values() if words.verified_email)

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
            for pattern in words.ignored:
                ignored.setdefault((name, pattern.call, pattern.event), []).append(pattern)
        return ignored

    def find(
        self, source: str, call: str, event: str | None, message: Mapping[str, Any]
    ) -> tuple[SenderMapping, PlannedEvent]:
        """Return the mapping and the event of a message. Mappings with a condition come first.

        Raises IgnoredEventError if the plan ignores the message, and InvalidEventError if neither a
        mapping nor an ignored pattern selects it."""
        for mapping, planned in self._index.get((source, call, event), ()):
            if mapping.matches(message):
                return mapping, planned
        for pattern in self._ignored.get((source, call, event), ()):
            if pattern.matches(message):
                raise IgnoredEventError("ignored", pattern.why)
        raise InvalidEventError("unmapped", f"{source} {call} {event or ''}".strip()[:200])

    def mappings_to(self, event: str) -> Iterator[tuple[str, SenderMapping]]:
        """Yield the senders that report an event, each with its mapping."""
        for words in self.senders.values():
            for mapping in words.mappings:
                if mapping.becomes == event:
                    yield words.sender, mapping


def load_plan(folder: Path = TRACKING_PLAN) -> TrackingPlan:
    """Read the plan from a folder. Raises pydantic.ValidationError or yaml.YAMLError.

    Raises ValueError if two files define one event, if a mapping names an event that the plan
    lacks, or if a file's name differs from its sender."""
    head = _read(folder / "plan.yaml")
    events: dict[str, PlannedEvent] = {}
    for event in _events(folder):
        if event.name in events:
            raise ValueError(f"The plan defines {event.name} twice. Remove one definition.")
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
        raise ValueError(
            f"{file.name} has the mappings of {words.sender}. Rename it to {words.sender}.yaml."
        )
    return words


def _senders(folder: Path, events: Container[str]) -> Iterator[SenderWords]:
    for file in sorted((folder / "senders").glob("*.yaml")):
        words = sender_words(file)
        for mapping in words.mappings:
            if mapping.becomes not in events:
                raise ValueError(
                    f"{file.name} maps to {mapping.becomes}, which is not in the plan. "
                    "Add the event to tracking_plan/events."
                )
        yield words


def _read(file: Path) -> Any:
    return yaml.load(file.read_text(), _LOADER)
