"""What follows in the store from a deployment's way, whatever brought it there.

Each is called in the transaction that it belongs to, before the audit log's entry.
"""

from sqlalchemy import Connection

from reconciler.domain.deployment import Deployment
from reconciler.ports import Sealer
from reconciler.store.database import Database
from reconciler.store.deployment_rows import get_deployment


class Aftermath:
    """Writes what others are told of, and the receipt."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    def queued(self, connection: Connection, deployment: int) -> None:
        """See to what follows from its being admitted."""

    def begun(self, connection: Connection, deployment: Deployment) -> None:
        """See to what follows from a worker's taking it up, at first or again."""

    def put_back(self, connection: Connection, deployment: int) -> None:
        """See to what follows from its waiting for another attempt."""

    def ended(self, connection: Connection, deployment: int) -> None:
        """See to what follows from its end; its row has the final status."""
        get_deployment(connection, deployment)
