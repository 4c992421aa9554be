"""Connections to the warehouse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

DATABASE = "DESIRELINE"
SCHEMA = "RAW"


def connect(port: int) -> Any:
    """A connection to the stand-in on loopback."""
    # Half a second, which commands that ask no warehouse need not wait for.
    from snowflake import connector  # noqa: PLC0415

    return connector.connect(
        **parameters(port), session_parameters={"CLIENT_OUT_OF_BAND_TELEMETRY_ENABLED": False}
    )


def parameters(port: int) -> dict[str, Any]:
    """What a client needs to find the stand-in."""
    return {
        "account": "local",
        "host": "127.0.0.1",
        "port": port,
        "protocol": "http",
        "user": "desireline",
        "password": "local",
        "role": "SYSADMIN",
        "warehouse": "LOCAL",
        "database": DATABASE,
        "schema": SCHEMA,
        "network_timeout": 60,
    }


def rows(connection: Any, sql: str, binds: Mapping[str, Any] | Sequence[Any] = ()) -> list[Any]:
    """The rows of a query."""
    found: list[Any] = connection.cursor().execute(sql, binds or None).fetchall()
    return found
