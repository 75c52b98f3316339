"""The migration gate: the app's own command, in what was prepared, before anything is switched.

It runs on one host after another. What is recorded of it there says what comes next:

=============== ====================================================================
nothing         it begins, and that is recorded first
started         it is taken up where it is at work or has ended; otherwise its end is
                not known, and a person has to look
not now         it begins again
any other       nothing: it ended so, for this deployment
=============== ====================================================================
"""

from dataclasses import dataclass

from reconciler.domain.deployment import (
    Deployment,
    DeploymentId,
    PreparedRevision,
    PreparedTarget,
    TargetRecord,
)
from reconciler.domain.errors import (
    Interrupted,
    MigrationFailed,
    MigrationNeedsApproval,
    MigrationNotNow,
    MigrationUnfinished,
    ReconcilerError,
    StoreError,
)
from reconciler.domain.host import HostName
from reconciler.domain.migration import NOT_NOW_STATUS, Migration, MigrationState
from reconciler.domain.target import Target
from reconciler.pipeline.rollout.record import Record
from reconciler.pipeline.rollout.targets import RolloutTargets
from reconciler.ports import (
    Approval,
    Claim,
    LineSink,
    MigrationEnd,
    MigrationRun,
    Migrator,
    Store,
    Work,
)

_LONGEST_QUOTE = 300
_LONGEST_OUTPUT = 4096
_ENDED = frozenset({MigrationState.DONE, MigrationState.NEEDS_APPROVAL, MigrationState.FAILED})
#: Ends of a deployment in which nothing was switched, and which only a person gets on from.
FOR_A_PERSON = frozenset({MigrationNeedsApproval.code, MigrationUnfinished.code})


@dataclass(frozen=True, slots=True)
class MigrationGate:
    """The gate of one deployment."""

    store: Store
    migrator: Migrator
    claim: Claim
    record: Record
    targets: RolloutTargets
    migration: Migration

    def pass_through(self, prepared: PreparedRevision) -> None:
        """Run the migration on each host where it has not run yet.

        Raises:
            MigrationNotNow: it asks for another try.
            MigrationNeedsApproval: a person has to look at what is pending.
            MigrationFailed: it ended otherwise.
            MigrationUnfinished: one began, and nobody saw its end.
            ReconcilerError: it could not begin, or its end can't be seen now.
        """
        fingerprint = prepared.revision.fingerprint
        approval = self.store.find_approval(self.claim.deployment.project, fingerprint)
        known = {one.host: one for one in self.record.read().targets}
        for target in self.targets.every:
            ready, before = prepared.find(target.host), known.get(target.host)
            if ready is None or before is None:
                continue
            if before.migration in _ENDED:
                self._end_as_recorded(self.targets.work(target, ready.revision), before.migration)
            else:
                self._migrate(target, ready, before, approval)

    def _migrate(
        self,
        target: Target,
        ready: PreparedTarget,
        before: TargetRecord,
        approval: Approval | None,
    ) -> None:
        work = self.targets.work(target, ready.revision)
        begun = before.migration is MigrationState.STARTED
        run = MigrationRun(
            self.migration,
            begun,
            on_begin=lambda: self.record.migration(target.host, MigrationState.STARTED),
            approved_by=approval.approved_by if approval else "",
            earlier=None if begun else self._find_unfinished(target.host),
        )
        end = self._see_end(work, ready, run, before)
        state = _state_after(end, self.migration, approved=approval is not None)
        self.record.migration(target.host, state)
        self._forget(work)
        if state is not MigrationState.DONE:
            raise _error_of(state, end, work)
        work.log("the migration is done")

    def _end_as_recorded(self, work: Work, state: MigrationState) -> None:
        """Go on from an end that an earlier worker recorded as its last act, or an attempt did."""
        self._forget(work)
        if state is not MigrationState.DONE:
            raise _error_of(state, MigrationEnd(None, problem="see the log"), work)

    def _see_end(
        self, work: Work, ready: PreparedTarget, run: MigrationRun, before: TargetRecord
    ) -> MigrationEnd:
        try:
            return self.migrator.migrate(work, ready, run)
        except MigrationUnfinished as error:
            if not run.begun:
                raise
            since = before.migration_changed_at or before.changed_at
            text = f"{error.message}; it began at {since:%Y-%m-%d %H:%M:%S} UTC"
            raise MigrationUnfinished(text, work.project.name, **error.evidence) from error

    def _find_unfinished(self, host: HostName) -> DeploymentId | None:
        """Return an earlier deployment whose migration nobody saw the end of.

        Raises:
            MigrationUnfinished: there is one, and no person asked for this deployment.
        """
        deployment = self.claim.deployment
        earlier = self.store.find_unfinished_migration(
            deployment.project, host, before=deployment.id
        )
        if earlier is not None and self.record.read().automatic:
            text = f"the migration of deployment {earlier} began on {host}, and nobody saw its end"
            raise MigrationUnfinished(text, deployment.project, host=host)
        return earlier

    def _forget(self, work: Work) -> None:
        """Remove what is left of it; what can't be removed harms nobody."""
        try:
            self.migrator.forget(work)
        except (StoreError, Interrupted):
            raise
        except ReconcilerError as error:
            work.log(f"note: what is left of the migration was not removed: {error.message}")


def say_what_stays(deployment: Deployment, say: LineSink) -> None:
    """Say of a deployment that is taken back what its migration did, which is not."""
    for one in deployment.targets:
        if one.migration is MigrationState.DONE:
            say(
                f"the migration that ran on {one.host} is not taken back: "
                "the earlier version gets the data as that left it"
            )


def _state_after(end: MigrationEnd, migration: Migration, *, approved: bool) -> MigrationState:
    status = end.exit_status
    if status == 0:
        return MigrationState.DONE
    if status == NOT_NOW_STATUS:
        return MigrationState.NOT_NOW
    if status is not None and status == migration.approval_status:
        return MigrationState.DONE if approved else MigrationState.NEEDS_APPROVAL
    return MigrationState.FAILED


def _error_of(state: MigrationState, end: MigrationEnd, work: Work) -> ReconcilerError:
    host, project = work.target.host, work.project.name
    evidence = {"host": str(host), "output": "\n".join(end.last_lines)[-_LONGEST_OUTPUT:]}
    if end.exit_status is not None:
        evidence["exit_status"] = str(end.exit_status)
    if state is MigrationState.NOT_NOW:
        text = (
            f"the migration on {host} asks to be tried again later (exit status {NOT_NOW_STATUS})"
        )
        return MigrationNotNow(text, **evidence)
    if state is MigrationState.NEEDS_APPROVAL:
        text = f"the migration on {host} has pending work for {work.revision} that needs approval"
        return MigrationNeedsApproval(text, project, work.deployment, **evidence)
    why = end.problem or f"it ended with exit status {end.exit_status}"
    last = f": {end.last_lines[-1][:_LONGEST_QUOTE]}" if end.last_lines else ""
    return MigrationFailed(f"the migration on {host} failed: {why}{last}", **evidence)
