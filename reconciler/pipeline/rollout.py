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
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from reconciler.domain.deployment import Deployment, Failure, PreparedRevision, Stage, Status
from reconciler.domain.errors import (
    ClaimLost,
    Interrupted,
    ReconcilerError,
    Recovery,
    Refused,
    StoreError,
    TargetUnreachable,
    VerificationFailed,
)
from reconciler.domain.gate import Reason, ReasonCode, reasons_to_hold, reasons_to_refuse
from reconciler.domain.polling import time_until_next_attempt
from reconciler.domain.project import ProjectKind
from reconciler.domain.verification import Window
from reconciler.log import log_fields
from reconciler.pipeline.journal import Journal, Redaction
from reconciler.pipeline.record import NotStarted, Record
from reconciler.pipeline.trigger import Brakes
from reconciler.pipeline.watch import Watch
from reconciler.ports import Claim, Clock, Store, Strategy, Work

#: Stage outcomes that are not why a deployment failed; empty: its worker died in it.
_NO_FAILURE = frozenset({"", "ok", "interrupted"})

#: An engine that is restarted, for an upgrade say, is back within a minute or so.
_WAITS_FOR_ENGINE = tuple(timedelta(seconds=seconds) for seconds in (5, 15, 40))


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
    strategies: Mapping[ProjectKind, Strategy]
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
        self._cancel = cancel
        self._project = rollout.store.get_project(claim.deployment.project)
        self._strategy = rollout.strategies[self._project.kind]

    # ── The story ─────────────────────────────────────────────────────────────────────────────

    def to_the_end(self) -> None:
        """Go through the stages that are still to come, and record how it ended."""
        if self._died_too_often():
            return
        resumed_at = self._deployment.stage if self._claim.resumed else Stage.PREPARE
        try:
            if resumed_at is Stage.ROLL_BACK:
                self._roll_back(self._recorded_failure())
                return
            prepared = self._deployment.prepared
            if prepared is None or not resumed_at.changes_target:
                prepared = self._prepare_and_pass_gate()
            if resumed_at is not Stage.VERIFY:
                self._apply(prepared)
            self._verify(prepared)
        except NotStarted as held:
            self._record.finish(Status.WITHDRAWN, held.failure)
        except (StoreError, Interrupted):
            raise
        except ReconcilerError as error:
            self._fail(error)
        else:
            self._say(f"deployed: {prepared.revision}")
            self._record.finish(Status.DEPLOYED)
            self._forget_old_ones()

    def _prepare_and_pass_gate(self) -> PreparedRevision:
        self._pass_gate()
        with self._record.stage(Stage.PREPARE):
            prepared = self._prepare()
            self._record.prepared(prepared)
        with self._record.stage(Stage.GATE):
            self._pass_gate(prepared)
        return prepared

    def _prepare(self) -> PreparedRevision:
        if self._deployment.restores is None:
            return self._strategy.prepare(self._work())
        wanted, every = self._deployment.restores, self._store.list_restorable(self._project.name)
        kept = next((one.prepared for one in every if one.id == wanted), None)
        if kept is None:
            raise Refused(ReasonCode.NOTHING_TO_RESTORE, f"deployment {wanted} is not kept")
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

    def _apply(self, prepared: PreparedRevision) -> None:
        with self._record.stage(Stage.APPLY):
            self._apply_patiently(prepared)

    def _apply_patiently(self, prepared: PreparedRevision) -> None:
        """Apply, and again where the engine went away meanwhile: going back would need it too."""
        for wait in _WAITS_FOR_ENGINE:
            try:
                self._strategy.apply(self._work(), prepared)
            except TargetUnreachable as error:
                self._say(f"{error.message}; trying again in {wait.total_seconds():.0f} s")
                if self._rollout.clock.wait(self._cancel, wait.total_seconds()):
                    raise Interrupted("stopped while the engine was away") from error
            else:
                return
        self._strategy.apply(self._work(), prepared)

    def _verify(self, prepared: PreparedRevision) -> None:
        with self._record.stage(Stage.VERIFY):
            self._watch().until_proved(prepared, self._cancel)

    # ── When it goes wrong ────────────────────────────────────────────────────────────────────

    def _fail(self, error: ReconcilerError) -> None:
        self._say(f"failed: {error.message}")
        failure = self._record.failure_of(error)
        attempt = self._deployment.attempt
        if self._record.read().stage.changes_target:
            self._roll_back(failure)
        elif failure.recovery is Recovery.RETRY and attempt < self._most_attempts():
            wait = time_until_next_attempt(attempt, self._rollout.random())
            self._say(f"attempt {attempt}; the next in {wait.total_seconds():.0f} s")
            self._record.retry(wait, failure)
        else:
            self._record.finish(Status.FAILED, failure)

    def _most_attempts(self) -> int:
        automatic = self._record.read().automatic
        return self._limits.automatic_attempts if automatic else self._limits.attempts

    def _roll_back(self, failure: Failure) -> None:
        """Go back to the last good revision, and prove that it runs."""
        live = self._store.get_state(self._project.name).live
        if live is None or live.prepared is None:
            self._say("there is no earlier revision to go back to; what runs was left as it is")
            self._record.finish(Status.FAILED, failure, quarantine=failure.message)
            return
        self._say(f"rolling back to deployment {live.id}: {live.prepared.revision}")
        try:
            with self._record.stage(Stage.ROLL_BACK):
                self._apply_patiently(live.prepared)
                self._watch().until_proved(live.prepared, self._cancel)
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

    def _died_too_often(self) -> bool:
        resumptions = self._claim.fence - self._deployment.attempt
        if not self._claim.resumed or resumptions <= self._limits.resumptions:
            return False
        text = f"the daemon ended {resumptions} times in stage {self._deployment.stage} of it"
        remedy = "look at what runs and at the log, then deploy again"
        failure = Failure("interrupted-too-often", text, Recovery.OPERATOR, remedy)
        self._record.finish(Status.NEEDS_OPERATOR, failure)
        return True

    def _recorded_failure(self) -> Failure:
        """Return what an earlier worker found before it died rolling back."""
        codes = [
            record.outcome
            for record in self._deployment.stages
            if record.stage is not Stage.ROLL_BACK and record.outcome not in _NO_FAILURE
        ]
        code = codes[-1] if codes else VerificationFailed.code
        return Failure(code, f"failed ({code}); see the log", Recovery.STALL)

    # ── What the stages are given ─────────────────────────────────────────────────────────────

    def _watch(self) -> Watch:
        rollout = self._rollout
        window = self._limits.window
        return Watch(self._strategy, rollout.clock, self._project.name, window, self._say)

    def _work(self) -> Work:
        project = self._project
        variables = self._store.variables(project.name)
        credentials = self._store.git_credentials(project.name, project.source)
        keys = (credentials.token, credentials.ssh_key) if credentials else ()
        for secret in (*variables.values(), *(key for key in keys if key is not None)):
            self._rollout.redaction.register(secret)
        return Work(
            deployment=self._deployment.id,
            project=project,
            revision=self._deployment.revision,
            variables=variables,
            credentials=credentials,
            log=self._say,
            cancel=self._cancel,
            may_take_over=self._deployment.forced or self._was_here_before(),
        )

    def _was_here_before(self) -> bool:
        """Tell whether a deployment of this project has changed the target already."""
        return any(
            stage.stage.changes_target
            for deployment in self._store.list_deployments(self._project.name)
            for stage in deployment.stages
        )

    def _forget_old_ones(self) -> None:
        """Keep the newest verified revisions; more would fill the disk."""
        live = self._store.get_state(self._project.name).live
        for old in self._store.list_restorable(self._project.name)[self._limits.kept_revisions :]:
            if live is None or old.id != live.id:
                self._store.drop_prepared(old.id)
                self._strategy.forget(self._project.name, old.id)
