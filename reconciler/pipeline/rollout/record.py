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
from reconciler.domain.evidence import Evidence, Verification, evidence_of
from reconciler.domain.failure import Failure
from reconciler.domain.gate import Reason
from reconciler.domain.host import HostName
from reconciler.domain.migration import MigrationState
from reconciler.log import fields
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
        self._lock = threading.Lock()
        self._under_way: Stage | None = None

    def read(self) -> Deployment:
        """Return the deployment as it is recorded now."""
        return self._store.get_deployment(self._claim.deployment.id)

    def failure_of(self, error: ReconcilerError) -> Failure:
        """Return what ``error`` says, as it may be kept and shown."""
        return self._journal.without_secrets(Failure.of(error, self._claim.deployment.project))

    def evidence_of(self, verification: Verification) -> Evidence:
        """Return what was seen, as it may be kept and shown."""
        return self._journal.evidence_without_secrets(evidence_of(verification))

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        """Record that ``stage`` begins, and how it ends, or the one that it gave way to."""
        self._begin_stage(stage)
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
            self._end_stage(outcome)

    def enter(self, stage: Stage) -> None:
        """Record that the stage under way gave way to ``stage``; no effect where it did before.

        Several hosts may say so at once: the first one's word counts for all.
        """
        with self._lock:
            if self._under_way is not stage:
                self._end_stage("ok")
                self._begin_stage(stage)

    def target(
        self,
        host: HostName,
        status: TargetStatus,
        failure: Failure | None = None,
        evidence: Evidence | None = None,
    ) -> None:
        """Record how far it got on one host, and what was read back there."""
        now = self._clock.now()
        self._insist(
            lambda: self._store.record_target(
                self._claim, host, status, now, error=failure, evidence=evidence
            )
        )

    def migration(self, host: HostName, state: MigrationState) -> None:
        """Record how far the migration got on one host."""
        now = self._clock.now()
        self._insist(lambda: self._store.record_migration(self._claim, host, state, now))

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
        _log.log(
            level,
            "%s%s",
            status,
            f": {failure.message}" if failure else "",
            extra=fields(code=failure.code if failure else None),
        )

    def _begin_stage(self, stage: Stage) -> None:
        self._journal.flush()
        self._journal.stage = stage
        self._insist(lambda: self._store.begin_stage(self._claim, stage, self._clock.now()))
        self._under_way = stage

    def _end_stage(self, outcome: str) -> None:
        stage = self._under_way
        if stage is None:
            return
        _log.info("%s: %s", stage, outcome)
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
