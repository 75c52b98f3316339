"""The workers: claims deployments, carries them out, and keeps their leases."""

import logging
import threading
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta

from reconciler.domain.deployment import DeploymentId
from reconciler.domain.errors import ClaimLost, HandedOver, Interrupted
from reconciler.log import correlated, fields, log_fields
from reconciler.pipeline.rollout import Rollout
from reconciler.pipeline.rollout.journal import Journal
from reconciler.ports import UNMETERED, Claim, Metering, Store

log = logging.getLogger(__name__)

#: Shares of a lease.
_EXTEND_AFTER = 0.25
_LET_GO_AFTER = 0.75


@dataclass(slots=True)
class _Active:
    """A deployment that a worker carries out."""

    claim: Claim
    journal: Journal
    kept_at: float  #: monotonic, when its lease was asked for last with success
    cancel: threading.Event = field(default_factory=threading.Event)


class Deployments:
    """Claims deployments and carries them out, several at once; keeps their leases."""

    def __init__(
        self,
        store: Store,
        rollout: Rollout,
        *,
        owner: str,
        at_once: int,
        lease: timedelta = timedelta(minutes=1),
    ) -> None:
        self._store = store
        self._rollout = rollout
        self.clock = rollout.clock
        self._owner = owner
        self._at_once = at_once
        self._lease = lease
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="deployment")
        self._lock = threading.Condition()
        self._active: dict[DeploymentId, _Active] = {}
        self.metering: Metering = UNMETERED
        #: Called when a place is free again.
        self.on_free: Callable[[], None] = lambda: None
        #: Called when something that outlives us goes on with a deployment, and when one has ended.
        self.on_handed_over: Callable[[DeploymentId], None] = lambda _: None
        self.on_ended: Callable[[DeploymentId], None] = lambda _: None

    def claim(self) -> None:
        """Claim and start whatever there is room for."""
        while self._free():
            began = self.clock.monotonic()
            claim = self._store.claim_next(
                self._owner, self.clock.now(), lease=self._lease, held=self._held()
            )
            if claim is None:
                return
            active = _Active(claim, self._rollout.journal(claim), began)
            with self._lock:
                self._active[claim.deployment.id] = active
            self._pool.submit(self._carry_out, active)

    def keep_leases(self) -> None:
        """Extend the leases that are a quarter over, and write what was said meanwhile."""
        with self._lock:
            every = list(self._active.values())
        for active in every:
            began = self.clock.monotonic()
            if began - active.kept_at >= self._lease.total_seconds() * _EXTEND_AFTER:
                try:
                    self._store.extend(active.claim, lease=self._lease)
                    active.kept_at = began
                except ClaimLost:
                    self._lose(active)
        for active in every:
            active.journal.flush()
        self._stop_withdrawn()

    def _stop_withdrawn(self) -> None:
        """Stop the workers of what a person withdrew: none has changed anything, or will."""
        if not (held := self._held()):
            return
        withdrawn = self._store.find_withdrawn(held)
        with self._lock:
            for number in withdrawn:
                if active := self._active.get(number):
                    active.cancel.set()

    def let_go(self) -> None:
        """Stop each worker whose lease could not be extended in time: another may have it soon.

        It asks nobody, so that no store that hangs can keep it from doing so.
        """
        now = self.clock.monotonic()
        with self._lock:
            for active in self._active.values():
                if now - active.kept_at > self._lease.total_seconds() * _LET_GO_AFTER:
                    self._lose(active)

    def _lose(self, active: _Active) -> None:
        """Stop the worker of a deployment that may be another's; once, however often it is said."""
        if not active.cancel.is_set():
            self.metering.lost_claim()
        active.cancel.set()

    def drain(self, grace: timedelta) -> bool:
        """Wait for what runs; stop what takes longer. The next life goes on from there.

        Returns whether all of it ended by itself.
        """
        ended = self._idle(grace)
        with self._lock:
            for active in self._active.values():
                active.cancel.set()
        self._idle(timedelta(seconds=15))
        self._pool.shutdown(wait=False, cancel_futures=True)
        return ended

    def _idle(self, within: timedelta) -> bool:
        with self._lock:
            return self._lock.wait_for(lambda: not self._active, within.total_seconds())

    def _free(self) -> bool:
        with self._lock:
            return len(self._active) < self._at_once

    def _held(self) -> Collection[DeploymentId]:
        with self._lock:
            return set(self._active)

    def _carry_out(self, active: _Active) -> None:
        deployment = active.claim.deployment
        with (
            log_fields(project=deployment.project, deployment=deployment.id),
            correlated(deployment.correlation),
        ):
            self._run(active)

    def _run(self, active: _Active) -> None:
        deployment = active.claim.deployment
        name = f"deployment {deployment.id} of {deployment.project}"
        try:
            self._rollout.run(active.claim, active.journal, active.cancel)
            self.on_ended(deployment.id)
        except HandedOver as handed_over:
            self.on_handed_over(deployment.id)
            log.info("%s: %s", name, handed_over.message)
        except Interrupted as interrupted:
            code = interrupted.code
            log.warning(
                "%s was interrupted: %s", name, interrupted.message, extra=fields(code=code)
            )
        except ClaimLost:
            self._lose(active)
            log.warning("%s is carried on by another worker", name)
        except Exception:
            # Its lease runs out, and it is taken up again; the third time a person is asked.
            self.metering.failed("deployment", "internal-error")
            log.exception("%s failed unexpectedly", name)
        finally:
            with self._lock:
                self._active.pop(deployment.id, None)
                self._lock.notify_all()
            self.on_free()
