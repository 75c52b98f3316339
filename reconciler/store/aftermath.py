"""What follows in the store from a deployment's way, whatever brought it there.

Each is called in the transaction that it belongs to, before the audit log's entry. None keeps it
from being committed: what became of a deployment is worth more than who hears of it.
"""

from collections.abc import Callable
from datetime import datetime
from functools import partial

from sqlalchemy import Connection

from reconciler.domain.deployment import Deployment
from reconciler.ports import UNMETERED, Metering, Sealer
from reconciler.store.aside import done_aside
from reconciler.store.database import Database
from reconciler.store.notices import tell_of_end, tell_of_retry
from reconciler.store.receipts import prepare_receipts
from reconciler.store.standings import stand
from reconciler.store.statuses import put_status

_Teller = Callable[[Connection, Deployment, datetime], None]
_Counter = Callable[[Deployment], None]


class Aftermath:
    """Writes what others are told of, and the receipt."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer
        self.receipts = prepare_receipts(database, sealer)
        #: Counts in this process; a commit that fails after it is counted again by the next try.
        self.metering: Metering = UNMETERED

    def queued(self, connection: Connection, deployment: Deployment) -> None:
        """See to what follows from its being admitted."""
        self._tell(connection, deployment, put_status)

    def begun(self, connection: Connection, deployment: Deployment) -> None:
        """See to what follows from a worker's taking it up, at first or again."""
        self._tell(connection, deployment, put_status)
        self._count(connection, deployment, self.metering.begun)

    def put_back(self, connection: Connection, deployment: Deployment) -> None:
        """See to what follows from its waiting for another attempt."""
        self._tell(connection, deployment, put_status)
        self._tell(connection, deployment, tell_of_retry)
        self._count(connection, deployment, self.metering.put_back)

    def ended(self, connection: Connection, deployment: Deployment) -> None:
        """See to what follows from its end, with its final status."""
        self._tell(connection, deployment, stand)
        self._tell(connection, deployment, put_status)
        self._tell(connection, deployment, tell_of_end)
        self.receipts.write(connection, deployment)
        self._count(connection, deployment, self.metering.ended)

    def _tell(self, connection: Connection, deployment: Deployment, tell: _Teller) -> None:
        work = partial(tell, connection, deployment, self._database.now())
        done_aside(connection, f"telling others of deployment {deployment.id}", work)

    def _count(self, connection: Connection, deployment: Deployment, count: _Counter) -> None:
        done_aside(connection, f"counting deployment {deployment.id}", partial(count, deployment))
