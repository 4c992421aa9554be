"""Parse CREATE PIPE statements with sqlglot, and translate their COPY into an INSERT."""

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
    """A pipe. stage: names the keys that it loads. skip_file: whether a bad line skips the file."""

    name: str
    table: str
    columns: tuple[str, ...]
    select: tuple[exp.Expression, ...]
    stage: str
    skip_file: bool

    def insert(self, source: str, key: str) -> str:
        """Build the INSERT from a table `source` of (line number _n, line _v), for file `key`."""
        chosen = ", ".join(
            column.transform(_read_from, key).sql("snowflake") for column in self.select
        )
        return f"insert into {self.table} ({', '.join(self.columns)}) select {chosen} from {source}"


def pipes(script: Path, variables: dict[str, str]) -> list[Pipe]:
    """Parse the pipes of a migration script."""
    text = jinja2.Template(script.read_text()).render(variables)
    text = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    return [_pipe(statement) for statement in text.split(";") if _PIPE.search(statement)]


def _pipe(statement: str) -> Pipe:
    match = _PIPE.search(statement)
    assert match is not None
    copy = sqlglot.parse_one(match[3].strip(), read="snowflake")
    target = copy.this
    select = copy.args["files"][0].this
    options = {option.this.name.upper(): option for option in copy.args.get("params", ())}
    return Pipe(
        name=match[1].upper(),
        table=target.this.sql("snowflake"),
        columns=tuple(column.name for column in target.expressions),
        select=tuple(select.expressions),
        stage=select.args["from_"].this.this.this.lstrip("@").lower(),
        skip_file=options["ON_ERROR"].expression.name.upper() == "SKIP_FILE",
    )


def _read_from(node: Any, key: str) -> Any:
    """Replace $1 and the METADATA$ columns, which the stand-in's COPY does not support."""
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
