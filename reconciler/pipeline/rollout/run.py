"""One deployment from its claim to its end: gate, prepare, gate again, apply, verify, or roll back.

Each stage is recorded before it begins. A worker that dies leaves its deployment running in the
store; whoever claims it next goes on from the recorded stage:

========== =========================================================================
died in    the next worker
========== =========================================================================
prepare    prepares again: nothing was changed
gate       prepares again: nothing was changed
apply      applies again: applying what is half applied ends in the same place
verify     verifies: what runs decides, not what was remembered
roll-back  rolls back again
========== =========================================================================
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from reconciler.domain.deployment import (
    Deployment,
    PreparedRevision,
    Stage,
    Status,
    TargetStatus,
)
from reconciler.domain.errors import (
    ClaimLost,
    Interrupted,
    ReconcilerError,
    Recovery,
    Refused,
    StoreError,
    TargetUnreachable,
)
from reconciler.domain.failure import Failure
from reconciler.domain.gate import Reason, ReasonCode, reasons_to_hold, reasons_to_refuse
from reconciler.domain.host import HostName
from reconciler.domain.polling import time_until_next_attempt
from reconciler.domain.target import Target, TargetStrategy
from reconciler.domain.verification import Window
from reconciler.log import log_fields
from reconciler.pipeline.rollout.journal import Journal, Redaction
from reconciler.pipeline.rollout.record import NotStarted, Record
from reconciler.pipeline.rollout.recovery import find_too_many_deaths, recorded_failure
from reconciler.pipeline.rollout.retention import forget_old_ones
from reconciler.pipeline.rollout.targets import RolloutTargets
from reconciler.pipeline.rollout.work import WorkOrders
from reconciler.pipeline.trigger import Brakes
from reconciler.ports import Claim, Clock, Prober, Store, Strategy


@dataclass(frozen=True, slots=True)
class Limits:
    """How patient a rollout is."""

    window: Window = field(default_factory=Window)
    attempts: int = 5  #: of what a person asked for and fails for passing reasons
    #: The same of what nobody waits for: it outlasts a registry that is away for a day.
    automatic_attempts: int = 100
    resumptions: int = 3  #: after as many workers died of it, a person has to look
    kept_revisions: int = 5


@dataclass(frozen=True, slots=True)
class Rollout:
    """Carries deployments out; one object serves all workers."""

    store: Store
    clock: Clock
    strategies: Mapping[TargetStrategy, Strategy]
    prober: Prober
    brakes: Brakes
    redaction: Redaction
    limits: Limits
    random: Callable[[], float]

    def journal(self, claim: Claim) -> Journal:
        """Return a new journal for the claimed deployment."""
        return Journal(self.store, self.clock, self.redaction, claim.deployment.id)

    def run(self, claim: Claim, journal: Journal, cancel: threading.Event) -> None:
        """Carry the claimed deployment to its end, or as far as it gets before ``cancel``.

        Raises:
            ClaimLost: another worker has it now; nothing more was written.
            Interrupted: ``cancel`` was set, or the store is out of reach; the next worker goes on.
        """
        with log_fields(project=claim.deployment.project, deployment=claim.deployment.id):
            try:
                _Run(self, claim, journal, cancel).to_the_end()
            except ClaimLost:
                raise
            except StoreError as error:  # no fault of the revision: nothing is rolled back for it
                raise Interrupted(f"what is recorded can't be read: {error.message}") from error
            finally:
                journal.flush()


class _Run:
    """One claimed deployment under way."""

    def __init__(
        self, rollout: Rollout, claim: Claim, journal: Journal, cancel: threading.Event
    ) -> None:
        self._store = rollout.store
        self._rollout = rollout
        self._limits = rollout.limits
        self._claim = claim
        self._deployment = claim.deployment
        self._record = Record(rollout.store, rollout.clock, claim, journal, cancel)
        self._say = journal.say
        self._project = rollout.store.get_project(claim.deployment.project)
        self._live = rollout.store.get_state(claim.deployment.project).live
        orders = WorkOrders(self._store, rollout.redaction, claim, self._project, cancel)
        self._targets = RolloutTargets(
            strategies=rollout.strategies,
            prober=rollout.prober,
            clock=rollout.clock,
            window=rollout.limits.window,
            record=self._record,
            project=self._project,
            deployment=claim.deployment,
            every=self._where_it_goes(),
            order=orders.order,
            log=journal.say,
            cancel=cancel,
        )

    # ── The story ─────────────────────────────────────────────────────────────────────────────

    def to_the_end(self) -> None:
        """Go through the stages that are still to come, and record how it ended."""
        if deaths := find_too_many_deaths(self._claim, self._limits.resumptions):
            self._record.finish(Status.NEEDS_OPERATOR, deaths)
            return
        resumed_at = self._deployment.stage if self._claim.resumed else Stage.PREPARE
        try:
            if resumed_at is Stage.ROLL_BACK:
                self._roll_back(recorded_failure(self._deployment))
                return
            prepared = self._deployment.prepared
            if prepared is None or not resumed_at.changes_target:
                prepared = self._prepare_and_pass_gate()
            self._carry_out(prepared, applied=resumed_at is Stage.VERIFY)
        except NotStarted as held:
            self._record.finish(Status.WITHDRAWN, held.failure)
        except (StoreError, Interrupted):
            raise
        except ReconcilerError as error:
            self._fail(error)
        else:
            self._finish(prepared)

    def _prepare_and_pass_gate(self) -> PreparedRevision:
        self._pass_gate()
        with self._record.stage(Stage.PREPARE):
            prepared = self._prepare()
            self._record.prepared(self._with_the_other_hosts(prepared))
        with self._record.stage(Stage.GATE):
            self._pass_gate(prepared)
        return prepared

    def _prepare(self) -> PreparedRevision:
        if self._deployment.restores is None:
            # What an earlier attempt resolved stays: some hosts may run it already.
            revision = self._deployment.target_revision
            return self._targets.prepare(revision, all_or_none=self._project.one_by_one)
        wanted, every = self._deployment.restores, self._store.list_restorable(self._project.name)
        kept = next((one.prepared for one in every if one.id == wanted), None)
        if kept is None:
            raise Refused(ReasonCode.NOTHING_TO_RESTORE, f"deployment {wanted} is not kept")
        if not any(kept.find(one.host) for one in self._targets.every):
            # There would be nothing to do, and so nothing that failed.
            text = f"deployment {wanted} has nothing for the hosts of {self._project.name}"
            raise Refused(ReasonCode.NOTHING_TO_RESTORE, text)
        return kept

    def _pass_gate(self, prepared: PreparedRevision | None = None) -> None:
        """Ask all brakes once more, as they stand now.

        Raises:
            NotStarted: one holds; nothing was changed.
        """
        project = self._store.get_project(self._project.name)
        reasons = reasons_to_refuse(project)
        # Read anew: a person may have asked for the same revision since it was claimed.
        if self._record.read().automatic:
            reasons += reasons_to_hold(project, self._rollout.brakes(self._store.get_switch()))
        if prepared and not self._deployment.forced and self._deployment.restores is None:
            reasons += self._quarantined(prepared)
        if reasons:
            raise NotStarted(reasons[0])

    def _quarantined(self, prepared: PreparedRevision) -> tuple[Reason, ...]:
        known, wanted = self._store.get_state(self._project.name), prepared.revision.fingerprint
        stories = (one.story for one in known.quarantined if one.fingerprint == wanted)
        return tuple(Reason(ReasonCode.QUARANTINED, story) for story in stories)

    def _carry_out(self, prepared: PreparedRevision, *, applied: bool) -> None:
        """Change and verify all hosts at once, or one after another up to the first failure."""
        targets = self._targets
        reached = [
            one
            for one in targets.every
            if prepared.find(one.host)
            # What this very attempt has seen to already needs no second look.
            and not (self._claim.resumed and targets.status(one) is TargetStatus.VERIFIED)
        ]
        waves = [[one] for one in reached] if self._project.one_by_one else [reached]
        for wave in filter(None, waves):
            changed = {TargetStatus.VERIFIED, *([TargetStatus.APPLIED] if applied else [])}
            if to_change := [one for one in wave if targets.status(one) not in changed]:
                with self._record.stage(Stage.APPLY):
                    targets.apply(prepared, to_change)
            with self._record.stage(Stage.VERIFY):
                targets.verify(prepared, wave)

    def _finish(self, prepared: PreparedRevision) -> None:
        if away := [one.host for one in self._targets.unreachable]:
            self._try_the_others_later(away)
            return
        self._say(f"deployed: {prepared.revision}")
        self._record.finish(Status.DEPLOYED)
        forget_old_ones(
            self._store,
            self._rollout.strategies,
            self._project,
            keep=self._limits.kept_revisions,
        )

    def _try_the_others_later(self, away: Sequence[HostName]) -> None:
        """Leave alone the hosts that run it; what they run is not all that was asked for."""
        there = ", ".join(one.host for one in self._targets.touched)
        text = f"{', '.join(away)} can't be reached; verified on {there}"
        self._say(text)
        failure = Failure(TargetUnreachable.code, text, Recovery.RETRY)
        if self._deployment.attempt < self._most_attempts():
            self._retry(failure)
        else:
            self._record.finish(Status.FAILED, failure)

    # ── When it goes wrong ────────────────────────────────────────────────────────────────────

    def _fail(self, error: ReconcilerError) -> None:
        self._say(f"failed: {error.message}")
        failure = self._record.failure_of(error)
        if self._record.read().stage.changes_target:
            self._roll_back(failure)
        elif (
            failure.recovery is Recovery.RETRY and self._deployment.attempt < self._most_attempts()
        ):
            self._retry(failure)
        elif self._targets.touched:  # in an earlier attempt
            self._roll_back(failure)
        else:
            self._record.finish(Status.FAILED, failure)

    def _retry(self, failure: Failure) -> None:
        attempt = self._deployment.attempt
        wait = time_until_next_attempt(attempt, self._rollout.random())
        self._say(f"attempt {attempt}; the next in {wait.total_seconds():.0f} s")
        self._record.retry(wait, failure)

    def _most_attempts(self) -> int:
        automatic = self._record.read().automatic
        return self._limits.automatic_attempts if automatic else self._limits.attempts

    def _roll_back(self, failure: Failure) -> None:
        """Go back to the last good revision where something changed, and prove that it runs."""
        live = self._live
        earlier = live.prepared if live else None
        touched = self._targets.touched
        back = [one for one in touched if earlier and earlier.find(one.host)]
        for one in touched:
            if one not in back:
                where = f" on {one.host}" if len(touched) > 1 else ""
                text = f"there is no earlier revision to go back to{where}; "
                self._say(f"{text}what runs was left as it is")
        if live is None or earlier is None or not back:
            self._record.finish(Status.FAILED, failure, quarantine=failure.message)
            return
        self._say(f"rolling back to deployment {live.id}: {earlier.revision}")
        try:
            with self._record.stage(Stage.ROLL_BACK):
                self._targets.go_back(earlier, back)
        except (StoreError, Interrupted):
            raise
        except ReconcilerError as second:
            self._give_up(failure, live, second)
        else:
            self._say(f"rolled back to deployment {live.id}")
            blame = self._blame(live, failure)
            self._record.finish(
                Status.ROLLED_BACK, failure, rolled_back_to=live.id, quarantine=blame
            )

    def _give_up(self, failure: Failure, live: Deployment, second: ReconcilerError) -> None:
        self._say(f"the rollback failed too: {second.message}")
        why = self._record.failure_of(second).message
        text = f"{failure.message}; going back to deployment {live.id} failed: {why}"
        worse = replace(failure, code="rollback-failed", message=text, recovery=Recovery.OPERATOR)
        self._record.finish(Status.NEEDS_OPERATOR, worse, quarantine=failure.message)

    def _blame(self, live: Deployment, failure: Failure) -> str:
        """Return why to quarantine the revision; empty where it is the one that runs again."""
        failed = self._record.read().target_revision
        return "" if live.target_revision.satisfies(failed) else failure.message

    # ── Where it goes ─────────────────────────────────────────────────────────────

    def _where_it_goes(self) -> tuple[Target, ...]:
        """Return where it goes: to every host of the project, or to those that were named."""
        only = self._deployment.hosts
        return tuple(one for one in self._project.where if not only or one.host in only)

    def _with_the_other_hosts(self, prepared: PreparedRevision) -> PreparedRevision:
        """Add what the hosts run that this deployment doesn't go to: all of it may be restored."""
        before = self._live.prepared.targets if self._live and self._live.prepared else ()
        mine = {one.host for one in self._targets.every}
        others = {one.host for one in self._project.where} - mine
        kept = tuple(one for one in before if one.host in others)
        return replace(prepared, targets=(*prepared.targets, *kept))
