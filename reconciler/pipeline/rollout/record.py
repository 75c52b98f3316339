"""What a worker writes of the deployment that it claimed: stages, what was prepared, the end."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from reconciler.domain.deployment import (
    Deployment,
    DeploymentId,
    PreparedRevision,
    Stage,
    Status,
    TargetStatus,
)
from reconciler.domain.errors import ClaimLost, Interrupted, ReconcilerError, Recovery, StoreError
from reconciler.domain.failure import Failure
from reconciler.domain.gate import Reason
from reconciler.domain.host import HostName
from reconciler.pipeline.rollout.journal import Journal
from reconciler.ports import Claim, Clock, DeploymentStore

_log = logging.getLogger(__name__)

#: Ends that need nobody's attention.
_CALM = frozenset({Status.DEPLOYED, Status.SUPERSEDED, Status.WITHDRAWN})


class NotStarted(Exception):
    """A brake holds the deployment before it changed anything: an answer, not an error."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.text)
        self.failure = Failure(reason.code, reason.text, Recovery.OPERATOR)


class Record:
    """The record of one claimed deployment.

    Every method raises ``ClaimLost`` once another worker has it, and ``Interrupted`` where it was
    told to stop before a store that is out of reach took what happened.
    """

    def __init__(
        self,
        store: DeploymentStore,
        clock: Clock,
        claim: Claim,
        journal: Journal,
        cancel: threading.Event,
    ) -> None:
        self._store = store
        self._clock = clock
        self._claim = claim
        self._journal = journal
        self._cancel = cancel

    def read(self) -> Deployment:
        """Return the deployment as it is recorded now."""
        return self._store.get_deployment(self._claim.deployment.id)

    def failure_of(self, error: ReconcilerError) -> Failure:
        """Return what ``error`` says, as it may be kept and shown."""
        return self._journal.without_secrets(Failure.of(error))

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        """Record that ``stage`` begins, and how it ends."""
        self._journal.flush()
        self._journal.stage = stage
        self._insist(lambda: self._store.begin_stage(self._claim, stage, self._clock.now()))
        outcome = "internal-error"
        try:
            yield
            outcome = "ok"
        except NotStarted as held:
            outcome = held.failure.code
            raise
        except ReconcilerError as error:
            outcome = error.code
            raise
        finally:
            _log.info("%s: %s", stage, outcome)
            self._end_stage(stage, outcome)

    def target(self, host: HostName, status: TargetStatus, failure: Failure | None = None) -> None:
        """Record how far it got on one host."""
        now = self._clock.now()
        self._insist(
            lambda: self._store.record_target(self._claim, host, status, now, error=failure)
        )

    def prepared(self, prepared: PreparedRevision) -> None:
        """Keep what applying needs."""
        self._insist(lambda: self._store.record_prepared(self._claim, prepared))

    def retry(self, wait: timedelta, failure: Failure) -> None:
        """Put it back into the queue for another attempt."""
        not_before = self._clock.now() + wait
        self._insist(lambda: self._store.retry_later(self._claim, not_before, failure))

    def finish(
        self,
        status: Status,
        failure: Failure | None = None,
        *,
        rolled_back_to: DeploymentId | None = None,
        quarantine: str = "",
    ) -> None:
        """End it."""
        self._insist(
            lambda: self._store.finish(
                self._claim,
                status,
                self._clock.now(),
                error=failure,
                rolled_back_to=rolled_back_to,
                quarantine=quarantine,
            )
        )
        level = logging.INFO if status in _CALM else logging.WARNING
        _log.log(level, "%s%s", status, f": {failure.message}" if failure else "")

    def _end_stage(self, stage: Stage, outcome: str) -> None:
        self._insist(lambda: self._store.end_stage(self._claim, stage, outcome, self._clock.now()))

    def _insist(self, write: Callable[[], None]) -> None:
        """Write, again and again while the store is out of reach: what happened must be known."""
        while True:
            try:
                write()
            except ClaimLost:
                raise
            except StoreError as error:
                if self._clock.wait(self._cancel, 1.0):
                    text = "stopped before what happened could be recorded"
                    raise Interrupted(text) from error
            else:
                return
