"""What would break, or could never work, in a plan: one rule a function."""

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
from desireline_operate.plan.draft import Draft, DraftSender, Found, meant
from desireline_operate.plan.locations import Problem, Spot, an
from desireline_operate.plan.versions import Version

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_NUMERIC = frozenset({"integer", "number"})


class _Tried(NamedTuple):
    """What is tried on a message. said: what to call it."""

    words: MessagePattern
    spot: Spot
    said: str


def problems(draft: Draft, senders: Mapping[str, Sender]) -> Iterator[Problem]:
    """All that is wrong with what could be read. senders: those that there are modules of."""
    yield from _version(draft)
    yield from _names(draft)
    for event in draft.events.values():
        for name, parameter in event.part.parameters.items():
            spot = event.spot.at("parameters", name)
            yield from (spot.problem(f"{name} {said}") for said in _parameter(name, parameter))
    for sender in draft.senders.values():
        for mapping in sender.mappings:
            yield from _mapping(draft, sender, mapping, senders)
        for ignored in _ignored(sender):
            yield from _condition(ignored.part, ignored.spot)
        yield from _unreachable(sender)
        yield from _places(sender)
    yield from _senders(draft, senders)
    yield from _unreported(draft)


def _version(draft: Draft) -> Iterator[Problem]:
    if draft.version and Version.parse(draft.version) is None:
        yield draft.version_spot.problem(
            f"version {draft.version!r} is none: write major.minor.patch, as 1.4.0"
        )


def _names(draft: Draft) -> Iterator[Problem]:
    for name, spot in draft.names.items():
        if not _NAME.fullmatch(name):
            yield spot.problem(f"{name}: name events in lower_case_with_underscores")


def _parameter(name: str, one: Parameter) -> Iterator[str]:
    """What is wrong with a parameter, after its name."""
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        yield "is no name for a parameter: use lower_case_with_underscores, no word of Python"
    low, high = one.minimum, one.maximum
    if one.type not in _NUMERIC:
        for word, given in (("a minimum", low), ("a maximum", high), ("a unit", one.unit)):
            if given is not None:
                yield f"is {an(one.type)} and has {word}: only numbers have one"
        if one.sum:
            yield f"is {an(one.type)} and cannot be summed up: take `sum` away"
    limits = [limit for limit in (low, high) if limit is not None]
    if not all(map(math.isfinite, limits)):
        yield "has a limit that is no finite number: leave it out"
    elif low is not None and high is not None and low > high:
        yield f"has the minimum {low:g} above its maximum {high:g}: no value can be both"
    elif one.type == "integer" and not all(limit.is_integer() for limit in limits):
        yield "is an integer: its minimum and maximum must be whole numbers"
    if one.values is not None:
        yield from _values(one, one.values)


def _values(one: Parameter, values: tuple[str, ...]) -> Iterator[str]:
    if one.type != "string":
        yield f"is {an(one.type)} and has `values`: only strings do"
    if not values:
        yield "has an empty list of values: no event could have one"
    if len(set(values)) < len(values):
        yield "has a value twice: keep one"
    if any(len(value) > TEXT_LIMIT for value in values):
        yield f"has a value of more than {TEXT_LIMIT} characters: texts are cut there"


def _mapping(
    draft: Draft,
    sender: DraftSender,
    found: Found[SenderMapping],
    senders: Mapping[str, Sender],
) -> Iterator[Problem]:
    mapping, spot = found.part, found.spot
    yield from _expressions(mapping, spot)
    ours = mapping.becomes
    if ours not in draft.names:
        yield spot.at("as").problem(
            f"becomes {ours}, which the plan does not have{draft.guess(ours)}: "
            "add it to a file in events/, or name another"
        )
    event = draft.events.get(ours)
    if event is None:
        return
    planned = event.part.parameters
    for name in mapping.properties.keys() - planned.keys():
        yield spot.at("properties", name).problem(
            f"fills {name}, which {ours} does not have{meant(name, planned)}: "
            f"add it to the event's parameters in {event.spot.document.file}, or take it away here"
        )
    for name, path in mapping.properties.items():
        if name in planned and not mistakes(path) and (said := unfit(path, name, planned[name])):
            yield spot.at("properties", name).problem(f"{name}: {path!r} {said}")
    if not _gives_properties(sender.words, senders):
        for name, one in planned.items():
            if one.required and name not in mapping.properties:
                yield spot.problem(
                    f"{ours} requires {name}, and nothing fills it: every event would "
                    f"go to quarantine. Add `properties: {{{name}: …}}` here, or make it optional"
                )


def _expressions(mapping: SenderMapping, spot: Spot) -> Iterator[Problem]:
    yield from _condition(mapping, spot)
    for name, path in mapping.properties.items():
        for said in mistakes(path):
            yield spot.at("properties", name).problem(f"{name}: {path!r} {said}")


def _condition(words: MessagePattern, spot: Spot) -> Iterator[Problem]:
    if words.where is None:
        return
    wrong = mistakes(words.where)
    if not wrong and (said := constant(words.where)):
        wrong = [said]
    yield from (spot.at("where").problem(f"the condition {said}") for said in wrong)


def _ignored(sender: DraftSender) -> Iterator[Found[Ignored]]:
    document = sender.spot.document
    for index, one in enumerate(sender.words.ignored):
        yield Found(one, document.at("ignored", index))


def _unreachable(sender: DraftSender) -> Iterator[Problem]:
    """Of mappings of one call and event, those with a condition are tried first, in the file's
    order; after them what is ignored."""
    mappings = sorted(sender.mappings, key=lambda one: one.part.where is None)
    tried = [_Tried(m.part, m.spot, f"mapping to {m.part.becomes}") for m in mappings]
    tried += [_Tried(m.part, m.spot, "entry of what is ignored") for m in _ignored(sender)]
    choices: dict[tuple[str, str | None], list[_Tried]] = {}
    for one in tried:
        if one.words.where is not None and mistakes(one.words.where):
            continue
        before = choices.setdefault((one.words.call, one.words.event), [])
        if earlier := next((it for it in before if _takes_all(it.words, one.words)), None):
            yield one.spot.problem(
                f"this {one.said} is never reached: the {earlier.said} in line {earlier.spot.line} "
                "takes all that it would. Take one away, narrow the other's `where`, or put this "
                "one first"
            )
        before.append(one)


def _takes_all(earlier: MessagePattern, later: MessagePattern) -> bool:
    if earlier.where is None or later.where is None:
        return earlier.where is None
    return hides(earlier.where, later.where)


def _senders(draft: Draft, senders: Mapping[str, Sender]) -> Iterator[Problem]:
    mapped = {sender.mapped_as for sender in senders.values()}
    for name, sender in draft.senders.items():
        if name not in mapped and not _without_code(sender.words):
            yield sender.spot.problem(
                f"there is no sender {name}{meant(name, senders)}: write "
                f"desireline/receive/senders/{name}.py, or take the file away"
            )
    for name in sorted(mapped - draft.senders.keys()):
        yield Problem(
            f"senders/{name}.yaml",
            0,
            f"is missing: the sender {name} is there, and all that it reports would go to "
            "quarantine. Write its mappings",
        )


def _unreported(draft: Draft) -> Iterator[Problem]:
    reported = {one.part.becomes for sender in draft.senders.values() for one in sender.mappings}
    for name, spot in draft.names.items():
        if name not in reported:
            yield spot.problem(
                f"no sender reports {name}: map it in a file in senders/, or take the event away"
            )


def _gives_properties(words: SenderWords, senders: Mapping[str, Sender]) -> bool:
    """Whether a sender with these mappings may bring parameters that no mapping names."""
    if words.message is not None:
        return words.message.properties is not None
    using = [sender for sender in senders.values() if sender.mapped_as == words.sender]
    return not using or any(sender.gives_properties for sender in using)


def _without_code(words: SenderWords) -> bool:
    """Whether the file itself says where things are in the messages."""
    return words.message is not None


def _places(sender: DraftSender) -> Iterator[Problem]:
    """What is wrong with where a source's file says that things are."""
    places, document = sender.words.message, sender.spot.document
    if places is None:
        if sender.words.scheme:
            yield document.at("scheme").problem(
                "has a scheme and no `message`: write where things are in its messages"
            )
        return
    aliases = {f"aliases.{name}": path for name, path in places.aliases.items()}
    for name, path in {**places.paths, **aliases}.items():
        spot = document.at("message", *name.split("."))
        yield from (spot.problem(f"message.{name}: {path!r} {said}") for said in mistakes(path))
