"""Run the warehouse's migrations on the stand-in: schemachange with the stand-in's address.

`python -m desireline_local.warehouse.migrate PORT ARRIVALS_TOPIC ARCHIVE_URL`
"""

from __future__ import annotations

import json
import sys
from typing import Any

import snowflake.connector
from schemachange.cli import main as schemachange

from desireline_local.warehouse.connection import parameters
from desireline_operate.paths import PROJECT
from desireline_operate.warehouse.connection import DATABASE

MIGRATIONS = PROJECT / "warehouse" / "migrations"


def variables(arrivals_topic: str, archive_url: str) -> dict[str, str]:
    """Return the scripts' variables: names that depend on the deployment."""
    return {
        "database": DATABASE,
        "arrivals_topic": arrivals_topic,
        "archive_url": archive_url,
        "storage_integration": "desireline_archive",
        "error_integration": "desireline_pipe_errors",
    }


def main() -> None:
    """Create the database, then run schemachange, which exits."""
    port, arrivals_topic, archive_url = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    connector: Any = snowflake.connector
    stock = connector.connect

    def connect(**options: Any) -> Any:
        return stock(**{**options, **parameters(port)})

    connector.connect = connect
    with connect() as connection:
        connection.cursor().execute(f"create database if not exists {DATABASE}")
    sys.argv[1:] = [
        "deploy",
        *("--root-folder", str(MIGRATIONS)),
        *("--snowflake-account", "local", "--snowflake-user", "desireline"),
        *("--snowflake-database", DATABASE),
        *("--change-history-table", f"{DATABASE}.SCHEMACHANGE.CHANGE_HISTORY"),
        "--create-change-history-table",
        *("--vars", json.dumps(variables(arrivals_topic, archive_url))),
    ]
    deploy: Any = schemachange
    deploy()


if __name__ == "__main__":
    main()
