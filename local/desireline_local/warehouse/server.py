"""fakesnow as a server on loopback, one database for all sessions, with what we need changed.

`python -m desireline_local.warehouse.server PORT`
"""

from __future__ import annotations

import collections
import importlib
import json
import sys
from typing import Any

import fakesnow.arrow
import pyarrow as pa
import pyarrow.compute as pc
import uvicorn
from fakesnow.instance import FakeSnow
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

_BEFORE = r"^(?:\s|--[^\n]*(?:\n|$)|/\*(?:.|\n)*?\*/)*"
"""White space and comments, which a script may have before a statement."""

NOT_MODELLED = [
    _BEFORE + r"(create|alter|drop|desc|describe)\s+(or\s+replace\s+)?(warehouse|role|user|pipe|"
    r"storage\s+integration|integration|notification\s+integration|resource\s+monitor|stream|task|"
    r"masking\s+policy|row\s+access\s+policy|network\s+(rule|policy))\b",
    _BEFORE + r"(grant|revoke)\b",
    _BEFORE + r"use\s+(role|warehouse|secondary)\b",
    _BEFORE + r"alter\s+session\s+(set|unset)\s+query_tag",
]
"""Statements about objects of an account: accepted, and nothing happens."""

RESULTS_KEPT = 64
MESSAGE_LIMIT = 2_000
QUERY = "/queries/v1/query-request"

server: Any = importlib.import_module("fakesnow.server")


class Results(collections.OrderedDict[str, Any]):
    """The cache of results, bounded: stock keeps them all."""

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        while len(self) > RESULTS_KEPT:
            self.popitem(last=False)


def build() -> Any:
    """The application. Everything is patched that its contract tests name."""
    _keep_null_times()
    snow: Any = FakeSnow(nop_regexes=NOT_MODELLED)
    snow.results_cache = Results()
    server.shared_fs = snow
    _errors_as_errors()
    return server.app


def _keep_null_times() -> None:
    """NULL timestamps stay NULL; stock drops the mask, and clients read 1970."""
    arrow: Any = fakesnow.arrow
    stock = arrow.timestamp_to_sf_struct

    def struct(times: Any) -> Any:
        if isinstance(times, pa.ChunkedArray):
            times = pa.concat_arrays(times.chunks) if times.num_chunks != 1 else times.chunk(0)
        made = stock(times)
        if times.null_count == 0:
            return made
        fields = [made.type.field(i) for i in range(made.type.num_fields)]
        parts = [pc.fill_null(made.field(i), 0) for i in range(made.type.num_fields)]
        return pa.StructArray.from_arrays(parts, fields=fields, mask=pc.is_null(times))

    arrow.timestamp_to_sf_struct = struct


def _errors_as_errors() -> None:
    """An unhandled error is Snowflake's error; stock answers 500, which connectors retry for ten
    minutes."""
    stock = server.query_request

    async def query(request: Request) -> Response:
        answer: Response = await stock(request)
        if answer.status_code != 500:
            return answer
        message = json.loads(bytes(answer.body))["message"][:MESSAGE_LIMIT]
        return JSONResponse(
            {
                "data": {"errorCode": "261000", "sqlState": "XX000"},
                "code": "261000",
                "message": message,
                "success": False,
            }
        )

    routes = server.app.router.routes
    (place,) = [i for i, route in enumerate(routes) if getattr(route, "path", "") == QUERY]
    routes[place] = Route(QUERY, query, methods=["POST"])


if __name__ == "__main__":
    uvicorn.run(build(), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
