"""A table as the contracts describe it, and the statements for using it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from enum import StrEnum

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

from desireline.contracts import TTL_ATTRIBUTE, Table
from desireline.rows import ANNOUNCED_TABLES, ROW_TYPES, Row
from infra.building_blocks.stack_key import key_use
from infra.deployment import DeploymentStack

KEY_STACK = "tables"
"""The stack of all tables, whose key encrypts them."""


class Operation(StrEnum):
    """What a store does with rows. CHECK is the condition of a transaction on a row it does not
    write; whoever puts and checks in transactions needs no right to transactions as such."""

    GET = "dynamodb:GetItem"
    BATCH_GET = "dynamodb:BatchGetItem"
    QUERY = "dynamodb:Query"
    PUT = "dynamodb:PutItem"
    CHECK = "dynamodb:ConditionCheckItem"


WRITES = frozenset({Operation.PUT, Operation.CHECK})


class VersionedTable(dynamodb.Table):
    """pk and sk, encrypted, restorable to any second, with a stream if it is announced."""

    def __init__(self, stack: DeploymentStack, table: Table, *, key: kms.IKey) -> None:
        announced = table in ANNOUNCED_TABLES
        super().__init__(
            stack,
            table.value.title(),
            table_name=stack.deployment.table_name(table),
            partition_key=dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="sk", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED,
            encryption_key=key,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=stack.deployment.settings.retain_data,
            removal_policy=stack.deployment.removal,
            stream=dynamodb.StreamViewType.NEW_AND_OLD_IMAGES if announced else None,
            time_to_live_attribute=TTL_ATTRIBUTE,
        )
        if announced:
            assert self.table_stream_arn is not None
            stack.publish("tables", table, "stream", value=self.table_stream_arn)


def rows_of(table: Table) -> tuple[type[Row], ...]:
    """Return all row types of a table."""
    return tuple(row for row in ROW_TYPES.values() if row.table is table)


def use_rows(
    stack: DeploymentStack, *operations: Operation, rows: Iterable[type[Row]]
) -> list[iam.PolicyStatement]:
    """Make the statements for these operations on rows of these types, which are in one table."""
    types = tuple(rows)
    (table,) = {row.table for row in types}
    keys = sorted({f"{row.prefix}*" for row in types})
    return [
        iam.PolicyStatement(
            actions=sorted(operations),
            resources=[stack.deployment.table_arn(stack, table)],
            conditions={"ForAllValues:StringLike": {"dynamodb:LeadingKeys": keys}},
        ),
        key_use(
            stack,
            stack.learn(KEY_STACK, "key"),
            service="dynamodb",
            write=not WRITES.isdisjoint(operations),
        ),
    ]


def table_environment(stack: DeploymentStack, *tables: Table) -> dict[str, str]:
    """Build the variable TABLES: the deployed names by table, as JSON."""
    names = {table: stack.deployment.table_name(table) for table in sorted(tables)}
    return {"TABLES": json.dumps(names)}
