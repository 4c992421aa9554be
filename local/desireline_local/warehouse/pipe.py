"""A CREATE PIPE statement, read by sqlglot, and the INSERT that its COPY amounts to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import sqlglot
from sqlglot import exp

_PIPE = re.compile(
    r"create\s+pipe\s+(?:if\s+not\s+exists\s+)?([\w.]+)(.*?)\bas\s+(copy\s+into.*)", re.I | re.S
)


@dataclass(frozen=True, slots=True)
class Pipe:
    """name; prefix: of the keys that it loads; skip_file: whether one bad line skips the file."""

    name: str
    table: str
    columns: tuple[str, ...]
    select: tuple[exp.Expression, ...]
    stage: str
    skip_file: bool

    def insert(self, source: str, key: str) -> str:
        """The INSERT from a table `source` of (line number _n, line _v), for the file `key`."""
        chosen = ", ".join(
            column.transform(_read_from, key).sql("snowflake") for column in self.select
        )
        return f"insert into {self.table} ({', '.join(self.columns)}) select {chosen} from {source}"


def pipes(script: Path, variables: dict[str, str]) -> list[Pipe]:
    """The pipes of a migration script, in its own words."""
    text = jinja2.Template(script.read_text()).render(variables)
    text = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    return [_pipe(one) for one in text.split(";") if _PIPE.search(one)]


def _pipe(statement: str) -> Pipe:
    found = _PIPE.search(statement)
    assert found is not None
    copy = sqlglot.parse_one(found[3].strip(), read="snowflake")
    target = copy.this
    select = copy.args["files"][0].this
    options = {option.this.name.upper(): option for option in copy.args.get("params", ())}
    return Pipe(
        name=found[1].upper(),
        table=target.this.sql("snowflake"),
        columns=tuple(column.name for column in target.expressions),
        select=tuple(select.expressions),
        stage=select.args["from_"].this.this.this.lstrip("@").lower(),
        skip_file=options["ON_ERROR"].expression.name.upper() == "SKIP_FILE",
    )


def _read_from(node: Any, key: str) -> Any:
    """$1 and the METADATA$ columns, which the stand-in's COPY does not have."""
    if isinstance(node, exp.Parameter) and node.name == "1":
        return exp.column("_v")
    if isinstance(node, exp.Column):
        match node.name.upper():
            case "METADATA$FILENAME":
                return exp.Literal.string(key)
            case "METADATA$FILE_ROW_NUMBER":
                return exp.column("_n")
            case "METADATA$START_SCAN_TIME":
                return sqlglot.parse_one("sysdate()", read="snowflake")
    return node
