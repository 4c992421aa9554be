"""Tables: all rows, and the key that encrypts them. No function is here."""

from __future__ import annotations

from constructs import Construct

from desireline.contracts import Table
from infra.building_blocks.stack_key import StackKey
from infra.building_blocks.table import KEY_STACK, VersionedTable
from infra.deployment import Deployment, DeploymentStack


class TablesStack(DeploymentStack):
    """Every table of the contracts, with its stream if its rows are announced."""

    def __init__(self, scope: Construct, *, deployment: Deployment) -> None:
        super().__init__(scope, KEY_STACK, deployment=deployment)
        self.key = StackKey(self, KEY_STACK)
        self.tables = {table: VersionedTable(self, table, key=self.key) for table in Table}
