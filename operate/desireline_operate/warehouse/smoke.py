"""Check that a Snowflake account has the migrated tables, and that its pipes load. It only reads.

Run `python -m desireline_operate.warehouse.smoke` with the environment of `AccountSettings`. It
exits with 1 if it finds a problem. It has not yet run against a real account.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from contextlib import closing
from typing import Any

from desireline.contracts import Topic
from desireline_operate.warehouse.connection import connect_account, rows
from desireline_operate.warehouse.funnel import reference_funnel
from desireline_operate.warehouse.settings import AccountSettings

WINDOW_DAYS = 14

log = logging.getLogger(__name__)


def check(connection: Any, database: str) -> list[str]:
    """Check pipes, loads and tables. Returns one sentence per problem."""
    problems = []
    for topic in Topic:
        table = topic.replace(".", "_")
        state = json.loads(
            rows(connection, "select system$pipe_status(%s)", (f"{database}.RAW.{table}_pipe",))[0][
                0
            ]
        )
        if state.get("executionState") != "RUNNING":
            problems.append(f"the pipe of {topic} is {state.get('executionState')}: {state}")
        failed = rows(
            connection,
            "select file_name, first_error_message from table(information_schema.copy_history("
            "table_name => %s, start_time => dateadd('hour', -24, current_timestamp())))"
            " where status in ('Load failed', 'Partially loaded') limit 10",
            (f"RAW.{table}",),
        )
        problems += [f"{topic}: {file}: {error}" for file, error in failed]
        count, latest = rows(connection, f"select count(*), max(loaded_at) from raw.{table}")[0]
        log.info("%s: %s rows, the latest loaded at %s", topic, count, latest)
    funnel = reference_funnel(connection, window_days=WINDOW_DAYS, as_of=round(time.time() * 1000))
    log.info("reference funnel, %d days: %s", WINDOW_DAYS, funnel)
    return problems


def main() -> int:
    """Run the check, log its result, and return the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    settings = AccountSettings()
    with closing(connect_account(settings)) as connection:
        problems = check(connection, settings.database)
    for sentence in problems:
        log.error(sentence)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
