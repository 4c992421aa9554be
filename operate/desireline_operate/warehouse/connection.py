"""Connections to the warehouse, and the rows of a query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from desireline.errors import UnavailableError
from desireline_operate.warehouse.settings import AccountSettings

DATABASE = "DESIRELINE"
SCHEMA = "RAW"


def connect(**parameters: Any) -> Any:
    """Return a connection of Snowflake's client. Raises UnavailableError."""
    # The import takes half a second. Commands that do not use the warehouse avoid it.
    from snowflake import connector  # noqa: PLC0415

    try:
        return connector.connect(
            **parameters, session_parameters={"CLIENT_OUT_OF_BAND_TELEMETRY_ENABLED": False}
        )
    except connector.errors.Error as error:
        raise UnavailableError(f"the warehouse: {error}") from error


def connect_account(account: AccountSettings) -> Any:
    """Return a connection to a Snowflake account, by key pair. Raises UnavailableError."""
    return connect(
        account=account.account,
        user=account.user,
        authenticator="SNOWFLAKE_JWT",
        private_key_file=str(account.private_key_file),
        private_key_file_pwd=account.private_key_file_pwd,
        role=account.role,
        warehouse=account.warehouse,
        database=account.database,
        schema=SCHEMA,
    )


def rows(connection: Any, sql: str, binds: Mapping[str, Any] | Sequence[Any] = ()) -> list[Any]:
    """Return the rows of a query."""
    result: list[Any] = connection.cursor().execute(sql, binds or None).fetchall()
    return result
