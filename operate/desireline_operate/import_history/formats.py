"""How a row becomes a report: for each format, and for whatever a mapping file says."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import orjson
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from desireline.plan.tracking_plan import SenderWords, TrackingPlan
from desireline.receive.mapping.by_paths import report_by_paths
from desireline.receive.mapping.times import epoch_any
from desireline.receive.senders import mixpanel_export, segment
from desireline.receive.senders.sender import SenderReport
from desireline_operate.import_history import ga4, segment_tables
from desireline_operate.import_history.files import Format
from desireline_operate.import_history.rows import TEXT

Report = Callable[[Any], SenderReport]


class MappingError(Exception):
    """The mapping file cannot be used; the message says why."""


class FileWords(BaseModel):
    """What a mapping file says of the file besides: how times are written (strptime), in which zone
    those without one are, what parts cells."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    time_format: str | None = None
    time_zone: str = "UTC"
    delimiter: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSpec:
    """What a worker needs to know of a source; it travels to other processes.

    words: a mapping file's, else None. zone: Mixpanel's project's. account_property: what holds an
    account's key there and in GA4. left_out: events that are not wanted, by their name there.
    """

    format: Format
    words: Mapping[str, Any] | None = None
    file: FileWords = FileWords()
    zone: str = "UTC"
    account_property: str = ""
    left_out: frozenset[str] = frozenset()
    table: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """name: what the events say they are from. mapped_as: whose mappings hold."""

    name: str
    mapped_as: str
    report: Report
    left_out: frozenset[str]


def read_mapping(path: Path, plan: TrackingPlan) -> tuple[Mapping[str, Any], FileWords]:
    """A mapping file: a sender of the plan with `message`, and `file` besides. Raises
    MappingError."""
    try:
        content = yaml.safe_load(path.read_text())
        if not isinstance(content, dict):
            raise MappingError(f"{path} is no mapping of names")
        file = FileWords(**content.pop("file", {}))
        words = SenderWords(**content)
        time_zone(file.time_zone)
    except OSError as error:
        raise MappingError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, ValidationError, TypeError) as error:
        raise MappingError(f"{path}: {error}") from error
    if words.message is None:
        raise MappingError(f"{path} has no `message`: it says where things are in a row")
    unknown = sorted({m.becomes for m in words.mappings} - plan.events.keys())
    if unknown:
        raise MappingError(f"{path} maps to {', '.join(unknown)}, which the plan does not have")
    return content, file


def with_words(plan: TrackingPlan, spec: SourceSpec) -> TrackingPlan:
    """The plan and the mapping file's sender."""
    if spec.words is None:
        return plan
    words = SenderWords(**spec.words)
    fields = {name: getattr(plan, name) for name in TrackingPlan.model_fields}
    return TrackingPlan(**{**fields, "senders": {**plan.senders, words.sender: words}})


def source_of(spec: SourceSpec, plan: TrackingPlan) -> Source:
    """The source, ready to report rows."""
    match spec.format:
        case Format.SEGMENT:
            return Source("segment", "segment", segment.to_report, spec.left_out)
        case Format.SEGMENT_WAREHOUSE:
            call = partial(segment_tables.call, table=spec.table)
            return Source(
                "segment", "segment", lambda row: segment.to_report(call(row)), spec.left_out
            )
        case Format.MIXPANEL:
            export = partial(
                mixpanel_export.to_report,
                zone=time_zone(spec.zone),
                account_property=spec.account_property,
            )
            return Source("mixpanel_export", "mixpanel_export", export, spec.left_out)
        case Format.GA4:
            report = _by_paths(plan.senders[ga4.NAME], FileWords())
            flat = partial(ga4.message, account_property=spec.account_property)
            return Source(ga4.NAME, ga4.NAME, lambda row: report(flat(row)), spec.left_out)
        case Format.MAPPED:
            words = SenderWords(**(spec.words or {}))
            return Source(words.sender, words.sender, _by_paths(words, spec.file), spec.left_out)


def _by_paths(words: SenderWords, file: FileWords) -> Report:
    """Report rows by the paths of a sender. Identifiers are read as text if the file has text. A
    row without an identifier gets a hash of its content."""
    assert words.message is not None
    paths, times = words.message, _times(file)

    def report(row: Mapping[str, Any]) -> SenderReport:
        texts = row.get(TEXT, row)
        made = report_by_paths(paths, row, texts=texts, times=times)
        return made if made.id else made._replace(id=_content_hash(texts))

    return report


def _content_hash(row: Mapping[str, Any]) -> str:
    """Hash a row; the order of its columns does not matter."""
    filled = {name: value for name, value in row.items() if value not in (None, "")}
    written = orjson.dumps(filled, default=str, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(written).hexdigest()


def _times(file: FileWords) -> Callable[[Any], int | None]:
    """How this file's times are read."""
    zone, form = time_zone(file.time_zone), file.time_format
    if form is None and file.time_zone == "UTC":
        return epoch_any

    def read(value: Any) -> int | None:
        if not isinstance(value, str):
            return epoch_any(value) if form is None else None
        try:
            found = datetime.strptime(value, form) if form else datetime.fromisoformat(value)
        except ValueError:
            return None
        return epoch_any((found if found.tzinfo else found.replace(tzinfo=zone)).isoformat())

    return read


def time_zone(name: str) -> ZoneInfo:
    """Raises MappingError."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise MappingError(f"no time zone '{name}': write Europe/Berlin") from error
