"""The Store port on DynamoDB.

An item has the attributes `pk`, `sk`, `kind` (the row's class) and `version`. Scalar fields are
native attributes, bytes are binary, and a nested field is one JSON text. Reads are consistent, and
writes are conditional.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import TypeAdapter

from desireline.adapters.aws import error_of
from desireline.contracts import Table
from desireline.errors import (
    ConflictError,
    DeniedError,
    Failure,
    RetryableError,
    TerminalError,
    ThrottledError,
    UnknownSchemaError,
)
from desireline.rows import ROW_TYPES, Check, Put, Ref, Row

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

R = TypeVar("R", bound=Row)
Item = Mapping[str, Mapping[str, Any]]

BATCH_GET_LIMIT = 100
TRANSACTION_LIMIT = 100
WRITERS = 8
"""Threads that write in parallel. A client has 16 connections."""
_CONFLICTS = frozenset(
    {
        "ConditionalCheckFailedException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
_A_ROWS_FAULT = frozenset(
    {
        "ItemCollectionSizeLimitExceededException",
        "TransactionCanceledException",
        "ValidationException",
    }
)
"""Refusals that depend on the row, such as an item that is too large. Any row gets the others."""

_OWN = ("pk", "sk", "kind")


class DynamoStore:
    """The store. tables: the deployed name of each table that the function may access.

    The client may repeat a call. If the answer to a successful write is lost, its repetition gets a
    conflict. Use cases read again after a conflict, and find their own write.
    """

    def __init__(self, client: DynamoDBClient, tables: Mapping[Table, str]) -> None:
        self._client: Any = client
        self._tables = tables
        self.reads = 0
        self.writes = 0

    def get(self, ref: Ref[R]) -> R | None:
        self.reads += 1
        answer = _called(
            lambda: self._client.get_item(
                TableName=self._tables[ref.type.table], Key=_key(ref), ConsistentRead=True
            )
        )
        item = answer.get("Item")
        return _typed(ref, row_of(item)) if item else None

    def get_all(self, refs: Sequence[Ref[R]]) -> dict[Ref[R], R]:
        found: dict[Ref[R], R] = {}
        distinct = list(dict.fromkeys(refs))
        self.reads += len(distinct)
        for start in range(0, len(distinct), BATCH_GET_LIMIT):
            found.update(self._batch(distinct[start : start + BATCH_GET_LIMIT]))
        return found

    def _batch(self, refs: Sequence[Ref[R]]) -> dict[Ref[R], R]:
        by_key = {(self._tables[ref.type.table], ref.pk, ref.sk): ref for ref in refs}
        wanted: dict[str, Any] = {}
        for ref in refs:
            table = wanted.setdefault(
                self._tables[ref.type.table], {"Keys": [], "ConsistentRead": True}
            )
            table["Keys"].append(_key(ref))
        found: dict[Ref[R], R] = {}
        for attempt in range(8):
            answer = _called(partial(self._client.batch_get_item, RequestItems=wanted))
            for table, items in answer["Responses"].items():
                for item in items:
                    ref = by_key[table, item["pk"]["S"], item["sk"]["S"]]
                    row = _typed(ref, row_of(item))
                    if row is not None:
                        found[ref] = row
            wanted = dict(answer.get("UnprocessedKeys") or {})
            if not wanted:
                return found
            time.sleep(random.uniform(0, 0.02 * 2**attempt))
        raise ThrottledError("BatchGetItem left keys unprocessed after 8 attempts")

    def query(self, row_type: type[R], pk: str) -> list[R]:
        rows: list[R] = []
        start: Mapping[str, Any] = {}
        while True:
            answer = _called(
                partial(
                    self._client.query,
                    TableName=self._tables[row_type.table],
                    KeyConditionExpression="pk = :pk",
                    ExpressionAttributeValues={":pk": {"S": pk}},
                    ConsistentRead=True,
                    **start,
                )
            )
            self.reads += max(1, len(answer["Items"]))
            found = (row_of(item) for item in answer["Items"])
            rows.extend(row for row in found if isinstance(row, row_type))
            if "LastEvaluatedKey" not in answer:
                return rows
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def write(self, *writes: Put | Check) -> None:
        self._accept(writes)
        self._send(writes)

    def write_each(self, transactions: Sequence[Sequence[Put | Check]]) -> list[Failure | None]:
        for writes in transactions:
            self._accept(writes)
        if len(transactions) < 2:
            return [self._failure(writes) for writes in transactions]
        writing = [self._writers.submit(self._failure, writes) for writes in transactions]
        wait(writing)
        return [write.result() for write in writing]

    @cached_property
    def _writers(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(WRITERS, thread_name_prefix="write")

    def _accept(self, writes: Sequence[Put | Check]) -> None:
        rows = {write.row.ref for write in writes}
        if len(writes) > TRANSACTION_LIMIT or len(rows) < len(writes):
            raise ValueError("a transaction writes at most 100 rows, each once")
        self.writes += sum(isinstance(write, Put) for write in writes)

    def _failure(self, writes: Sequence[Put | Check]) -> Failure | None:
        """Write, and return the error instead of raising it."""
        try:
            self._send(writes)
        except (RetryableError, TerminalError) as error:
            return error
        return None

    def _send(self, writes: Sequence[Put | Check]) -> None:
        if not writes:
            return
        if len(writes) == 1 and isinstance(writes[0], Put):
            put = self._put(writes[0].row)
            _called(lambda: self._client.put_item(**put))
            return
        operations = [
            {"Put": self._put(write.row)}
            if isinstance(write, Put)
            else {"ConditionCheck": self._check(write.row)}
            for write in writes
        ]
        _called(lambda: self._client.transact_write_items(TransactItems=operations))

    def _put(self, row: Row) -> dict[str, Any]:
        return {
            "TableName": self._tables[row.table],
            "Item": item_of(row.but(version=row.version + 1)),
            **_condition(row),
        }

    def _check(self, row: Row) -> dict[str, Any]:
        return {"TableName": self._tables[row.table], "Key": _key(row.ref), **_condition(row)}


def item_of(row: Row) -> dict[str, Any]:
    """Convert a row to an item, with the row's own version."""
    item: dict[str, Any] = {
        "pk": {"S": row.pk},
        "sk": {"S": row.sk},
        "kind": {"S": type(row).__name__},
    }
    for name, value in row:
        attribute = _attribute(type(row), name, value)
        if attribute is not None:
            item[name] = attribute
    return item


def row_of(item: Item) -> Row:
    """Convert an item, or the image of a stream record, to its row.

    Raises UnknownSchemaError if no row type of this code has the item's kind.
    """
    kind = item["kind"]["S"]
    row_type = ROW_TYPES.get(kind)
    if row_type is None:
        raise UnknownSchemaError("unknown_row", kind)
    values = {
        name: _value(row_type, name, attribute)
        for name, attribute in item.items()
        if name not in _OWN and name in row_type.model_fields
    }
    return row_type.model_validate(values)


def _attribute(row_type: type[Row], name: str, value: Any) -> dict[str, Any] | None:
    match value:
        case None:
            return None
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case str():
            return {"S": str(value)}
        case bytes():
            return {"B": value}
        case _:
            nested = _adapter(row_type, name).dump_json(value, exclude_none=False)
            return {"S": nested.decode()}


def _value(row_type: type[Row], name: str, attribute: Mapping[str, Any]) -> Any:
    (kind, value), *_ = attribute.items()
    match kind:
        case "N":
            return int(value)
        case "B":
            return bytes(value)
        case "S" if _is_nested(row_type, name):
            return _adapter(row_type, name).validate_json(value)
        case _:
            return value


@cache
def _adapter(row_type: type[Row], name: str) -> TypeAdapter[Any]:
    annotation: Any = row_type.model_fields[name].annotation
    return TypeAdapter(annotation)


@cache
def _is_nested(row_type: type[Row], name: str) -> bool:
    """Tell whether a field is stored as JSON text: its schema is an object or an array."""
    schema = _adapter(row_type, name).json_schema()
    choices = schema.get("anyOf", [schema])
    resolved = [_resolved(choice, schema) for choice in choices]
    return any(choice.get("type") in ("object", "array") for choice in resolved)


def _resolved(choice: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    name = str(choice.get("$ref", "")).rpartition("/")[2]
    definition: Mapping[str, Any] = schema.get("$defs", {}).get(name, choice)
    return definition


def _condition(row: Row) -> dict[str, Any]:
    if row.version == 0:
        return {"ConditionExpression": "attribute_not_exists(pk)"}
    return {
        "ConditionExpression": "version = :read",
        "ExpressionAttributeValues": {":read": {"N": str(row.version)}},
    }


def _key(ref: Ref[Any]) -> dict[str, Any]:
    return {"pk": {"S": ref.pk}, "sk": {"S": ref.sk}}


def _typed(ref: Ref[R], row: Row) -> R | None:
    return row if isinstance(row, ref.type) else None


def _called(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except ClientError as error:
        raise _conflict(error) or _refusal(error) from error
    except BotoCoreError as error:
        raise error_of(error) from error


def _refusal(error: ClientError) -> Exception:
    refusal = error_of(error)
    if isinstance(refusal, TerminalError) and refusal.reason not in _A_ROWS_FAULT:
        return DeniedError(refusal.reason)
    return refusal


def _conflict(error: ClientError) -> Exception | None:
    code = error.response["Error"].get("Code", "")
    if code != "TransactionCanceledException":
        return ConflictError(code) if code in _CONFLICTS else None
    reasons = {
        str(reason.get("Code")) for reason in error.response.get("CancellationReasons", [])
    } - {"None"}
    if reasons & {"ThrottlingError", "ProvisionedThroughputExceeded"}:
        return ThrottledError(f"transaction cancelled: {sorted(reasons)}")
    if reasons & {"ConditionalCheckFailed", "TransactionConflict"}:
        return ConflictError(f"transaction cancelled: {sorted(reasons)}")
    return None
