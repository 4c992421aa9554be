"""Parse requests to the quarantine API, and load the corrected plan in them."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import orjson
import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from desireline.plan.tracking_plan import TrackingPlan, load_plan
from desireline.recover.quarantine.cases import Cursor, Filters, State
from desireline.recover.quarantine.index_quarantine import DAY
from desireline.resources import TRACKING_PLAN

SHOWN = 50
"""Cases of one answer, if the request does not set a limit."""
MOST = 500
"""The most cases of one request, which bounds the answer's size and time."""
DEFAULT_DAYS = 7
PLAN_FILES = 200
"""The most files of a corrected plan; Lambda limits their size to 6 MB."""

UNKNOWN_CASE = "unknown_case"
"""The reason of an answer to ids without a case."""

_SEVERAL = ("source", "component", "reason", "event", "ids")
_FILE = re.compile(r"(plan|events/[a-z0-9_]+|senders/[a-z0-9_]+)\.yaml")


class InvalidPlanError(ValueError):
    """The corrected plan is not a valid plan; the message says where."""


class UnknownCaseError(LookupError):
    """No case has these ids, which the message lists."""


class InvalidRequestError(ValueError):
    """The query or body cannot be read; the message names the field, without its value."""


def _cursor(value: object) -> object:
    return Cursor.parse(value) if isinstance(value, str) else value


class QuarantineRequest(BaseModel):
    """A request to the quarantine API. ids: case ids; if empty, the filters select cases. since,
    until: wall time of the arrival, epoch ms; by default the last seven days. after: the field
    `next` of the page before. plan: the changed files of the tracking plan, by their path in it.
    replay: the id of the replay that this request continues."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ids: tuple[str, ...] = Field(default=(), max_length=MOST)
    source: frozenset[str] | None = None
    component: frozenset[str] | None = None
    reason: frozenset[str] | None = None
    event: frozenset[str] | None = None
    state: State | None = None
    since: int | None = None
    until: int | None = None
    limit: int = Field(default=SHOWN, ge=1, le=MOST)
    after: Annotated[Cursor | None, BeforeValidator(_cursor)] = None
    replay: str | None = Field(default=None, pattern=r"^repair-[0-9a-f]{12}$")
    plan: dict[str, str] = Field(default={}, max_length=PLAN_FILES)

    def filters(self, now: int) -> Filters:
        """Make the filters of the request. now: wall time, epoch ms."""
        until = now + 1 if self.until is None else self.until
        return Filters(
            sources=self.source,
            components=self.component,
            reasons=self.reason,
            events=self.event,
            state=self.state,
            since=until - DEFAULT_DAYS * DAY if self.since is None else self.since,
            until=until,
        )


def from_query(parameters: Mapping[str, str] | None) -> QuarantineRequest:
    """Parse a query's parameters. Several values of a parameter are a JSON array, or are separated
    by commas.

    Raises InvalidRequestError."""
    return _request(
        {
            name: _values(name, value) if name in _SEVERAL else value
            for name, value in (parameters or {}).items()
        }
    )


def _values(name: str, value: str) -> Any:
    if not value.startswith("["):
        return value.split(",")
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise InvalidRequestError(f"{name}: write a JSON array, or values with commas") from error


def from_body(body: str | None) -> QuarantineRequest:
    """Parse a JSON body. Raises InvalidRequestError."""
    try:
        return _request(orjson.loads(body or "{}"))
    except orjson.JSONDecodeError as error:
        raise InvalidRequestError("the body must be JSON") from error


def _request(fields: Any) -> QuarantineRequest:
    try:
        return QuarantineRequest.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidRequestError(f"{where}: {first['msg']}") from error


def corrected(files: Mapping[str, str], deployed: Path = TRACKING_PLAN) -> TrackingPlan:
    """Load the deployed plan with these files instead of its own. Raises InvalidPlanError."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "plan"
        shutil.copytree(deployed, folder)
        for path, text in files.items():
            if not _FILE.fullmatch(path):
                raise InvalidPlanError(
                    f"{path[:100]!r} is not a file of the plan. "
                    "Use plan.yaml, events/<name>.yaml or senders/<name>.yaml."
                )
            folder.joinpath(path).write_text(text)
        return read_plan(folder)


def read_plan(folder: Path) -> TrackingPlan:
    """Load the plan in a folder and compile its expressions. Raises InvalidPlanError."""
    try:
        plan = load_plan(folder)
        for words in plan.senders.values():
            for mapping in words.mappings:
                _ = mapping.condition, mapping.paths
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidPlanError(f"{where}: {first['msg']}") from error
    except (OSError, yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidPlanError(f"{type(error).__name__}: {error}") from error
    return plan
