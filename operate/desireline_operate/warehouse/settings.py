"""A Snowflake account, read from the environment."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict


class AccountSettings(BaseSettings):
    """A Snowflake account and its user with a key pair. The variables start with SNOWFLAKE_.

    private_key_file: PKCS 8, unencrypted unless private_key_file_pwd is set.
    """

    model_config = SettingsConfigDict(env_prefix="snowflake_")
    account: str
    user: str
    private_key_file: Path
    private_key_file_pwd: str | None = None
    role: str = "SYSADMIN"
    warehouse: str
    database: str = "DESIRELINE"


def account_settings() -> AccountSettings | None:
    """Read the account; None without SNOWFLAKE_ACCOUNT. Raises ValueError if it is incomplete."""
    return AccountSettings() if "SNOWFLAKE_ACCOUNT" in os.environ else None
