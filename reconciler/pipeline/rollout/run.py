"""One deployment from its claim to its end: gate, prepare, gate again, apply, verify, or roll back.

Each stage is recorded before it begins. A worker that dies leaves its deployment running in the
store; whoever claims it next goes on from the recorded stage:

========== =========================================================================
died in    the next worker
========== =========================================================================
prepare    prepares again: nothing was changed
build      prepares again: nothing was changed, and what was built is found
gate       prepares again: nothing was changed
migrate    looks for the migration, which never begins twice by itself
apply      applies again: applying what is half applied ends in the same place
verify     verifies: what runs decides, not what was remembered
roll-back  rolls back again
========== =========================================================================
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

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
    Withdrawn,
)
from reconciler.domain.failure import Failure
from reconciler.domain.history import CommitInfo
from reconciler.domain.host import HostName
from reconciler.domain.project import Project
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.references import CommitSha
from reconciler.domain.target import Target, TargetStrategy
from reconciler.pipeline.rollout.gate import StartGate
from reconciler.pipeline.rollout.journal import Journal, Redaction
from reconciler.pipeline.rollout.manifest import Declaration
from reconciler.pipeline.rollout.migration import MigrationGate
from reconciler.pipeline.rollout.record import NotStarted, Record
from reconciler.pipeline.rollout.recovery import find_too_many_deaths, recorded_failure
from reconciler.pipeline.rollout.retention import forget_old_ones
from reconciler.pipeline.rollout.setback import Limits, Setback
from reconciler.pipeline.rollout.targets import RolloutTargets
from reconciler.pipeline.rollout.work import WorkOrders, find_handed_on
from reconciler.pipeline.trigger import Brakes
from reconciler.ports import Claim, Clock, Commits, Migrator, Prober, Store, Strategy


@dataclass(frozen=True, slots=True)
class Rollout:
    """Carries deployments out; one object serves all workers."""

    store: Store
    clock: Clock
    strategies: Mapping[TargetStrategy, Strategy]
    prober: Prober
    commits: Commits
    brakes: Brakes
    redaction: Redaction
    limits: Limits
    random: Callable[[], float]
    migrator: Migrator

    def journal(self, claim: Claim) -> Journal:
        """Return a new journal for the claimed deployment."""
        return Journal(self.store, self.clock, self.redaction, claim.deployment.id)

    def run(self, claim: Claim, journal: Journal, cancel: threading.Event) -> None:
        """Carry the claimed deployment to its end, or as far as it gets before ``cancel``.

        Raises:
            ClaimLost: another worker has it now; nothing more was written.
            Interrupted: ``cancel`` was set, or the store is out of reach; the next worker goes on.
        """
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
        declared = rollout.store.get_project(claim.deployment.project)
        self._live = rollout.store.get_state(claim.deployment.project).live
        orders = WorkOrders(
            self._store,
            rollout.redaction,
            claim,
            declared,
            cancel,
            self._record.enter,
            self._live,
            find_handed_on(rollout.store, claim.deployment),
        )
        self._targets = RolloutTargets(
            strategies=rollout.strategies,
            prober=rollout.prober,
            clock=rollout.clock,
            window=rollout.limits.window,
            record=self._record,
            project=declared,
            deployment=claim.deployment,
            every=_where_it_goes(declared, claim.deployment),
            live=self._live.prepared if self._live else None,
            order=orders.order,
            log=journal.say,
            cancel=cancel,
        )
        self._declaration = Declaration(declared, orders, self._targets, journal.say)
        self._setback = Setback(
            self._deployment,
            self._live,
            self._record,
            self._targets,
            self._declaration,
            rollout.limits,
            rollout.random,
            journal.say,
        )

    @property
    def _project(self) -> Project:
        return self._declaration.project

    # ── The story ─────────────────────────────────────────────────────────────────────────────

    def to_the_end(self) -> None:
        """Go through the stages that are still to come, and record how it ended."""
        if deaths := find_too_many_deaths(self._claim, self._limits.resumptions):
            self._record.finish(Status.NEEDS_OPERATOR, deaths)
            return
        resumed_at = self._deployment.stage if self._claim.resumed else Stage.PREPARE
        try:
            if resumed_at is Stage.ROLL_BACK:
                self._setback.roll_back(recorded_failure(self._deployment))
                return
            prepared = self._make_ready(resumed_at)
            if not resumed_at.changes_target:
                self._migrate(prepared)
            self._carry_out(prepared, applied=resumed_at is Stage.VERIFY)
        except NotStarted as held:
            self._record.finish(Status.WITHDRAWN, held.failure)
        except StoreError:
            raise
        except Interrupted:
            # Also how a worker is told to let go of what a person withdrew.
            if not self._setback.ended_as_withdrawn():
                raise
        except ReconcilerError as error:
            self._setback.fail(error)
        else:
            self._finish(prepared)

    def _make_ready(self, resumed_at: Stage) -> PreparedRevision:
        """Return what is to run: as it was recorded, where that may not be done again."""
        prepared = self._deployment.prepared
        if prepared is None or resumed_at.is_before_any_change:
            return self._prepare_and_pass_gate()
        if self._deployment.restores is None:
            self._declaration.go_by(prepared.manifest)
        else:
            self._declaration.go_back_by(prepared)
        return prepared

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
            manifest = self._declaration.read(self._rollout.commits, revision.commit)
            ready = self._targets.prepare(revision, all_or_none=self._project.one_by_one)
            ready = replace(ready, headline=self._headline(revision.commit))
            if self._deployment.promotes is not None:
                # All that was handed on, be it followed here or not: the next one gets the same.
                ready = replace(ready, revision=self._deployment.revision)
            return replace(manifest.within(ready), version=self._project.version)
        wanted, every = self._deployment.restores, self._store.list_restorable(self._project.name)
        kept = next((one.prepared for one in every if one.id == wanted), None)
        if kept is None:
            raise Refused(ReasonCode.NOTHING_TO_RESTORE, f"deployment {wanted} is not kept")
        if not any(kept.find(one.host) for one in self._targets.every):
            # There would be nothing to do, and so nothing that failed.
            text = f"deployment {wanted} has nothing for the hosts of {self._project.name}"
            raise Refused(ReasonCode.NOTHING_TO_RESTORE, text)
        self._declaration.go_back_by(kept)
        return kept

    def _headline(self, commit: CommitSha | None) -> CommitInfo | None:
        """Return the commit as people know it; no deployment waits for that, or fails for it."""
        handed_on = find_handed_on(self._store, self._deployment)
        if handed_on is not None and handed_on.headline is not None:
            return handed_on.headline
        if commit is None or self._project.source is None:
            return None
        try:
            told = self._rollout.commits.describe(self._project.name, commit)
            clean = self._rollout.redaction.clean
            return replace(told, subject=clean(told.subject), author=clean(told.author))
        except ReconcilerError as error:
            self._say(f"note: what {commit.short} says can't be read: {error.message}")
            return None

    def _pass_gate(self, prepared: PreparedRevision | None = None) -> None:
        """Ask all brakes once more, as they stand now.

        Raises:
            NotStarted: one holds; nothing was changed.
            Withdrawn: a person took it back.
        """
        # Read anew: a person may have asked for the same revision, or to stop, since the claim.
        recorded = self._record.read()
        if recorded.withdrawal:
            raise Withdrawn(recorded.withdrawal.message)
        rollout = self._rollout
        StartGate(self._store, rollout.clock, rollout.brakes).let_pass(recorded, prepared)

    def _migrate(self, prepared: PreparedRevision) -> None:
        """Bring the app's data up to the revision, before anything is switched."""
        migration = self._project.migration
        if migration is None or self._deployment.restores is not None:
            return
        migrator = self._rollout.migrator
        gate = MigrationGate(
            self._store, migrator, self._claim, self._record, self._targets, migration
        )
        with self._record.stage(Stage.MIGRATE):
            gate.pass_through(prepared)

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
        away = [one.host for one in self._targets.every if not prepared.find(one.host)]
        if away and self._deployment.restores is None:
            self._try_the_others_later(away)
            return
        forget_old_ones(
            self._store,
            self._rollout.strategies,
            self._project,
            prepared,
            keep=self._limits.kept_revisions,
        )
        self._say(f"deployed: {prepared.revision}")
        self._record.finish(Status.DEPLOYED)

    def _try_the_others_later(self, away: Sequence[HostName]) -> None:
        """Leave alone the hosts that run it; what they run is not all that was asked for."""
        there = ", ".join(one.host for one in self._targets.touched if one.host not in away)
        text = f"{', '.join(away)} can't be reached; verified on {there}"
        self._say(text)
        failure = Failure(TargetUnreachable.code, text, Recovery.RETRY)
        self._setback.try_again_or_end(failure)

    # ── Where it goes ─────────────────────────────────────────────────────────────────────────

    def _with_the_other_hosts(self, prepared: PreparedRevision) -> PreparedRevision:
        """Add what the hosts run that this deployment doesn't go to: all of it may be restored."""
        before = self._live.prepared.targets if self._live and self._live.prepared else ()
        mine = {one.host for one in self._targets.every}
        others = {one.host for one in self._project.where} - mine
        kept = tuple(one for one in before if one.host in others)
        return replace(prepared, targets=(*prepared.targets, *kept))


def _where_it_goes(project: Project, deployment: Deployment) -> tuple[Target, ...]:
    """Return where it goes: to every host of the project, or to those that were named."""
    only = deployment.hosts
    return tuple(one for one in project.where if not only or one.host in only)
