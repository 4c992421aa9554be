"""What a request asks of quarantine, out of its query or its body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import ValidationError

from desireline.recover.quarantine.request import Asked

SEVERAL = ("source", "stage", "reason", "event", "ids")


class InvalidRequestError(ValueError):
    """What was asked is not understood; the message says where."""


def asked_in_query(given: Mapping[str, str] | None) -> Asked:
    """Out of the query's parameters. Raises InvalidRequestError."""
    return _asked(
        {
            name: value.split(",") if name in SEVERAL else value
            for name, value in (given or {}).items()
        }
    )


def asked_in_body(body: str | None) -> Asked:
    """Out of a JSON body. Raises InvalidRequestError."""
    try:
        return _asked(orjson.loads(body or "{}"))
    except orjson.JSONDecodeError as error:
        raise InvalidRequestError("not JSON") from error


def _asked(given: Any) -> Asked:
    """Where it is wrong is told without the values."""
    try:
        return Asked.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidRequestError(f"{where}: {first['msg']}") from error
