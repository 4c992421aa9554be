"""Connect to the stand-in for Snowflake."""

from __future__ import annotations

from typing import Any

from desireline_operate.warehouse import connection
from desireline_operate.warehouse.connection import DATABASE, SCHEMA


def connect(port: int) -> Any:
    """Return a connection to the stand-in on loopback. Raises UnavailableError."""
    return connection.connect(**parameters(port))


def parameters(port: int) -> dict[str, Any]:
    """Return the parameters of a connection to the stand-in."""
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
