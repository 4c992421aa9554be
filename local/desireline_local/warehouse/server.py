"""Run fakesnow as a server on loopback, with one database for all sessions and some patches.

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
"""White space and comments before a statement."""

NOT_MODELLED = [
    _BEFORE + r"(create|alter|drop|desc|describe)\s+(or\s+replace\s+)?(warehouse|role|user|pipe|"
    r"storage\s+integration|integration|notification\s+integration|resource\s+monitor|stream|task|"
    r"masking\s+policy|row\s+access\s+policy|network\s+(rule|policy))\b",
    _BEFORE + r"(grant|revoke)\b",
    _BEFORE + r"use\s+(role|warehouse|secondary)\b",
    _BEFORE + r"alter\s+session\s+(set|unset)\s+query_tag",
]
"""Statements about objects of an account, which the server accepts and ignores."""

RESULTS_KEPT = 64
MESSAGE_LIMIT = 2_000
QUERY = "/queries/v1/query-request"

server: Any = importlib.import_module("fakesnow.server")


class Results(collections.OrderedDict[str, Any]):
    """A bounded cache of results; fakesnow's own cache grows without limit."""

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        while len(self) > RESULTS_KEPT:
            self.popitem(last=False)


def build() -> Any:
    """Build the application. The contract tests cover each patch."""
    _keep_null_times()
    snow: Any = FakeSnow(nop_regexes=NOT_MODELLED)
    snow.results_cache = Results()
    server.shared_fs = snow
    _errors_as_errors()
    return server.app


def _keep_null_times() -> None:
    """Keep NULL timestamps. fakesnow drops the mask, and clients would read 1970."""
    arrow: Any = fakesnow.arrow
    stock = arrow.timestamp_to_sf_struct

    def struct(times: Any) -> Any:
        if isinstance(times, pa.ChunkedArray):
            times = pa.concat_arrays(times.chunks) if times.num_chunks != 1 else times.chunk(0)
        result = stock(times)
        if times.null_count == 0:
            return result
        fields = [result.type.field(i) for i in range(result.type.num_fields)]
        parts = [pc.fill_null(result.field(i), 0) for i in range(result.type.num_fields)]
        return pa.StructArray.from_arrays(parts, fields=fields, mask=pc.is_null(times))

    arrow.timestamp_to_sf_struct = struct


def _errors_as_errors() -> None:
    """Answer unhandled errors as Snowflake does. fakesnow answers 500, which connectors retry for
    ten minutes."""
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
    (index,) = [i for i, route in enumerate(routes) if getattr(route, "path", "") == QUERY]
    routes[index] = Route(QUERY, query, methods=["POST"])


if __name__ == "__main__":
    uvicorn.run(build(), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
