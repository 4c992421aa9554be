"""The rules of a valid plan, one function each: they find parts that break or never work."""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from desireline.plan.tracking_plan import (
    TEXT_LIMIT,
    Ignored,
    MessagePattern,
    Parameter,
    SenderMapping,
    SenderWords,
)
from desireline.receive.senders.sender import Sender
from desireline_operate.plan.conditions import constant, hides, mistakes, unfit
from desireline_operate.plan.draft import Draft, DraftSender, LocatedPart, did_you_mean
from desireline_operate.plan.locations import Problem, Spot, with_article
from desireline_operate.plan.versions import Version

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_NUMERIC = frozenset({"integer", "number"})


class _Choice(NamedTuple):
    """A mapping or an entry of `ignored`, which is tried on a message. label: its name in the
    text of a problem."""

    rule: MessagePattern
    spot: Spot
    label: str


def problems(draft: Draft, senders: Mapping[str, Sender]) -> Iterator[Problem]:
    """Yield the problems of the parts that could be read. senders: those with a module."""
    yield from _version(draft)
    yield from _names(draft)
    for event in draft.events.values():
        for name, parameter in event.part.parameters.items():
            spot = event.spot.at("parameters", name)
            yield from (spot.problem(f"{name} {text}") for text in _parameter(name, parameter))
    for sender in draft.senders.values():
        for mapping in sender.mappings:
            yield from _mapping(draft, sender, mapping, senders)
        for ignored in _ignored(sender):
            yield from _condition(ignored.part, ignored.spot)
        yield from _unreachable(sender)
        yield from _message_paths(sender)
    yield from _senders(draft, senders)
    yield from _unreported(draft)


def _version(draft: Draft) -> Iterator[Problem]:
    if draft.version and Version.parse(draft.version) is None:
        yield draft.version_spot.problem(
            f"version {draft.version!r} is invalid: write major.minor.patch, as 1.4.0"
        )


def _names(draft: Draft) -> Iterator[Problem]:
    for name, spot in draft.names.items():
        if not _NAME.fullmatch(name):
            yield spot.problem(f"{name}: name events in lower_case_with_underscores")


def _parameter(name: str, parameter: Parameter) -> Iterator[str]:
    """Yield the problems of a parameter, without its name."""
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        yield "is an invalid name: use lower_case_with_underscores, and no keyword of Python"
    low, high, type_ = parameter.minimum, parameter.maximum, with_article(parameter.type)
    if parameter.type not in _NUMERIC:
        for field, value in (("a minimum", low), ("a maximum", high), ("a unit", parameter.unit)):
            if value is not None:
                yield f"is {type_} and has {field}: only numbers have one, so remove it"
        if parameter.sum:
            yield f"is {type_} and cannot be summed up: remove `sum`"
    limits = [limit for limit in (low, high) if limit is not None]
    if not all(map(math.isfinite, limits)):
        yield "has a limit that is not a finite number: leave it out"
    elif low is not None and high is not None and low > high:
        yield f"has the minimum {low:g} above its maximum {high:g}: correct one of them"
    elif parameter.type == "integer" and not all(limit.is_integer() for limit in limits):
        yield "is an integer: its minimum and maximum must be whole numbers"
    if parameter.values is not None:
        yield from _values(parameter, parameter.values)


def _values(parameter: Parameter, values: tuple[str, ...]) -> Iterator[str]:
    if parameter.type != "string":
        yield f"is {with_article(parameter.type)} and has `values`: only strings have them"
    if not values:
        yield "has an empty list of values: add values, or remove the list"
    if len(set(values)) < len(values):
        yield "has a value twice: keep one"
    if any(len(value) > TEXT_LIMIT for value in values):
        yield f"has a value of more than {TEXT_LIMIT} characters: shorten it, longer texts are cut"


def _mapping(
    draft: Draft,
    sender: DraftSender,
    located: LocatedPart[SenderMapping],
    senders: Mapping[str, Sender],
) -> Iterator[Problem]:
    mapping, spot = located.part, located.spot
    yield from _expressions(mapping, spot)
    ours = mapping.becomes
    if ours not in draft.names:
        yield spot.at("as").problem(
            f"becomes {ours}, which the plan does not have{draft.guess(ours)}: "
            "add it to a file in events/, or name another event"
        )
    event = draft.events.get(ours)
    if event is None:
        return
    planned = event.part.parameters
    for name in mapping.properties.keys() - planned.keys():
        yield spot.at("properties", name).problem(
            f"fills {name}, which {ours} does not have{did_you_mean(name, planned)}: "
            f"add it to the event's parameters in {event.spot.document.file}, or remove it here"
        )
    for name, path in mapping.properties.items():
        if name in planned and not mistakes(path) and (text := unfit(path, name, planned[name])):
            yield spot.at("properties", name).problem(f"{name}: {path!r} {text}")
    if not _gives_properties(sender.content, senders):
        for name, parameter in planned.items():
            if parameter.required and name not in mapping.properties:
                yield spot.problem(
                    f"{ours} requires {name}, and no mapping fills it: every event would go "
                    f"to quarantine. Add `properties: {{{name}: …}}` here, or make it optional"
                )


def _expressions(mapping: SenderMapping, spot: Spot) -> Iterator[Problem]:
    yield from _condition(mapping, spot)
    for name, path in mapping.properties.items():
        for text in mistakes(path):
            yield spot.at("properties", name).problem(f"{name}: {path!r} {text}")


def _condition(rule: MessagePattern, spot: Spot) -> Iterator[Problem]:
    if rule.where is None:
        return
    errors = mistakes(rule.where)
    if not errors and (text := constant(rule.where)):
        errors = [text]
    yield from (spot.at("where").problem(f"the condition {error}") for error in errors)


def _ignored(sender: DraftSender) -> Iterator[LocatedPart[Ignored]]:
    document = sender.spot.document
    for index, entry in enumerate(sender.content.ignored):
        yield LocatedPart(entry, document.at("ignored", index))


def _unreachable(sender: DraftSender) -> Iterator[Problem]:
    """Yield a problem for each mapping or `ignored` entry that an earlier one makes unreachable.

    Of the mappings of one call and event, those with a condition are tried first, in the file's
    order. The `ignored` entries follow."""
    mappings = sorted(sender.mappings, key=lambda mapping: mapping.part.where is None)
    choices = [_Choice(m.part, m.spot, f"mapping to {m.part.becomes}") for m in mappings]
    choices += [_Choice(m.part, m.spot, "entry of `ignored`") for m in _ignored(sender)]
    by_call: dict[tuple[str, str | None], list[_Choice]] = {}
    for choice in choices:
        if choice.rule.where is not None and mistakes(choice.rule.where):
            continue
        before = by_call.setdefault((choice.rule.call, choice.rule.event), [])
        if earlier := next((it for it in before if _takes_all(it.rule, choice.rule)), None):
            yield choice.spot.problem(
                f"this {choice.label} is never reached: the {earlier.label} in line "
                f"{earlier.spot.line} matches all its messages. Remove one, narrow the other's "
                "`where`, or put this one first"
            )
        before.append(choice)


def _takes_all(earlier: MessagePattern, later: MessagePattern) -> bool:
    if earlier.where is None or later.where is None:
        return earlier.where is None
    return hides(earlier.where, later.where)


def _senders(draft: Draft, senders: Mapping[str, Sender]) -> Iterator[Problem]:
    mapped = {sender.mapped_as for sender in senders.values()}
    for name, sender in draft.senders.items():
        if name not in mapped and not _without_code(sender.content):
            yield sender.spot.problem(
                f"the sender {name} has no module{did_you_mean(name, senders)}: write "
                f"desireline/receive/senders/{name}.py, or remove this file"
            )
    for name in sorted(mapped - draft.senders.keys()):
        yield Problem(
            f"senders/{name}.yaml",
            0,
            f"is missing: all reports of the sender {name} would go to quarantine. Write its "
            "mappings",
        )


def _unreported(draft: Draft) -> Iterator[Problem]:
    mapped = {it.part.becomes for sender in draft.senders.values() for it in sender.mappings}
    for name, spot in draft.names.items():
        if name not in mapped:
            yield spot.problem(
                f"no sender reports {name}: map it in a file in senders/, or remove the event"
            )


def _gives_properties(content: SenderWords, senders: Mapping[str, Sender]) -> bool:
    """Return whether the sender's reports may have parameters that no mapping names."""
    if content.message is not None:
        return content.message.properties is not None
    using = [sender for sender in senders.values() if sender.mapped_as == content.sender]
    return not using or any(sender.gives_properties for sender in using)


def _without_code(content: SenderWords) -> bool:
    """Return whether the file describes the messages itself, so that the sender needs no module."""
    return content.message is not None


def _message_paths(sender: DraftSender) -> Iterator[Problem]:
    """Yield the problems of the paths in a sender's `message`."""
    message, document = sender.content.message, sender.spot.document
    if message is None:
        if sender.content.scheme:
            yield document.at("scheme").problem(
                "has a scheme and no `message`: add `message` with the paths of the fields"
            )
        return
    aliases = {f"aliases.{name}": path for name, path in message.aliases.items()}
    for name, path in {**message.paths, **aliases}.items():
        spot = document.at("message", *name.split("."))
        yield from (spot.problem(f"message.{name}: {path!r} {text}") for text in mistakes(path))
