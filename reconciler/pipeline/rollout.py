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

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

from reconciler.domain.deployment import (
    Deployment,
    DeploymentId,
    Failure,
    PreparedRevision,
    Stage,
    Status,
)
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
from reconciler.domain.project import Project, ProjectKind
from reconciler.domain.verification import Observation, Verdict, Window, judge
from reconciler.log import log_fields
from reconciler.pipeline.journal import Journal, Redaction
from reconciler.pipeline.trigger import Brakes
from reconciler.ports import Claim, Clock, Store, Strategy, Work

_log = logging.getLogger(__name__)

#: Stage outcomes that are not why a deployment failed; empty: its worker died in it.
_NO_FAILURE = frozenset({"", "ok", "interrupted"})

#: Ends that need nobody's attention.
_CALM = frozenset({Status.DEPLOYED, Status.SUPERSEDED, Status.WITHDRAWN})


@dataclass(frozen=True, slots=True)
class Limits:
    """How patient a rollout is."""

    window: Window = field(default_factory=Window)
    attempts: int = 5  #: of a deployment that fails for passing reasons
    resumptions: int = 3  #: after as many workers died of it, a person has to look
    kept_revisions: int = 5
    look_every: timedelta = timedelta(seconds=1)
    engine_silence: timedelta = timedelta(seconds=30)  #: that a verification sits out


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
            Interrupted: ``cancel`` was set; the next worker goes on from the recorded stage.
        """
        with log_fields(project=claim.deployment.project, deployment=claim.deployment.id):
            try:
                _Run(self, claim, journal, cancel).to_the_end()
            finally:
                journal.flush()


class _Run:
    """One claimed deployment under way."""

    def __init__(
        self, rollout: Rollout, claim: Claim, journal: Journal, cancel: threading.Event
    ) -> None:
        self._store = rollout.store
        self._clock = rollout.clock
        self._rollout = rollout
        self._limits = rollout.limits
        self._claim = claim
        self._deployment: Deployment = claim.deployment
        self._journal = journal
        self._cancel = cancel
        self._project: Project = rollout.store.get_project(claim.deployment.project)
        self._strategy = rollout.strategies[self._project.kind]

    # ── The story ─────────────────────────────────────────────────────────────────────────────

    def to_the_end(self) -> None:
        """Go through the stages that are still to come, and record how it ended."""
        resumed_at = self._deployment.stage if self._claim.resumed else Stage.PREPARE
        if self._died_too_often():
            return
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
        except _NotStarted as held:
            self._finish(Status.WITHDRAWN, error=held.failure)
        except (ClaimLost, Interrupted):
            raise
        except ReconcilerError as error:
            self._fail(error)
        else:
            self._finish(Status.DEPLOYED)
            self._forget_old_ones()
            self._say(f"deployed: {prepared.revision}")

    def _prepare_and_pass_gate(self) -> PreparedRevision:
        self._pass_gate()
        with self._stage(Stage.PREPARE):
            prepared = self._prepare()
            self._store.record_prepared(self._claim, prepared)
        with self._stage(Stage.GATE):
            self._pass_gate(prepared)
        return prepared

    def _prepare(self) -> PreparedRevision:
        if self._deployment.restores is None:
            return self._strategy.prepare(self._work())
        kept = self._store.get_deployment(self._deployment.restores).prepared
        if kept is None:
            text = f"deployment {self._deployment.restores} is not kept any more"
            raise Refused(ReasonCode.NOTHING_TO_RESTORE, text)
        return kept

    def _pass_gate(self, prepared: PreparedRevision | None = None) -> None:
        """Ask all brakes once more, as they stand now.

        Raises:
            _NotStarted: one holds; nothing was changed.
        """
        project = self._store.get_project(self._project.name)
        reasons: tuple[Reason, ...] = reasons_to_refuse(project)
        # Read anew: a person may have asked for the same revision since it was claimed.
        if self._store.get_deployment(self._deployment.id).automatic:
            reasons += reasons_to_hold(project, self._rollout.brakes(self._store.get_switch()))
        if prepared and not self._deployment.forced and self._deployment.restores is None:
            reasons += self._quarantined(prepared)
        if reasons:
            raise _NotStarted(reasons[0])

    def _quarantined(self, prepared: PreparedRevision) -> tuple[Reason, ...]:
        state = self._store.get_state(self._project.name)
        return tuple(
            Reason(
                ReasonCode.QUARANTINED, f"rolled back in deployment {one.deployment}: {one.reason}"
            )
            for one in state.quarantined
            if one.fingerprint == prepared.revision.fingerprint
        )

    def _apply(self, prepared: PreparedRevision) -> None:
        with self._stage(Stage.APPLY):
            self._strategy.apply(self._work(), prepared)

    def _verify(self, prepared: PreparedRevision) -> None:
        with self._stage(Stage.VERIFY):
            self._watch(prepared)

    def _watch(self, prepared: PreparedRevision) -> None:
        """Look until what runs proved itself.

        Raises:
            VerificationFailed: with what is wrong with each service.
            TargetUnreachable: the engine has been silent for too long.
        """
        began = answered = self._clock.monotonic()
        seen: list[Observation] = []
        said: tuple[str, ...] = ()
        while True:
            now = self._clock.monotonic()
            try:
                containers = tuple(self._strategy.observe(self._project.name))
            except TargetUnreachable:
                if now - answered > self._limits.engine_silence.total_seconds():
                    raise
            else:
                answered = now
                seen.append(Observation(timedelta(seconds=now - began), containers))
                judgement = judge(prepared, seen, self._limits.window)
                if judgement.verdict is Verdict.GOOD:
                    return
                if judgement.verdict is Verdict.BAD:
                    self._strategy.diagnose(self._project.name, self._say)
                    raise VerificationFailed("; ".join(judgement.problems))
                said = self._say_waiting(judgement.problems, said)
            if self._clock.wait(self._cancel, self._limits.look_every.total_seconds()):
                raise Interrupted(
                    f"deployment {self._deployment.id} was stopped while it was verified"
                )

    def _say_waiting(self, problems: tuple[str, ...], said: tuple[str, ...]) -> tuple[str, ...]:
        """Say what is waited for, once per thing that is waited for."""
        waiting = tuple(text.split(" of ")[0].rstrip("0123456789 ") for text in problems)
        if waiting != said:
            for text in problems:
                self._say(f"waiting: {text}")
        return waiting

    # ── When it goes wrong ────────────────────────────────────────────────────────────────────

    def _fail(self, error: ReconcilerError) -> None:
        self._say(f"failed: {error.message}")
        failure = Failure.of(error)
        if self._stage_reached().changes_target:
            self._roll_back(failure)
            return
        if failure.recovery is Recovery.RETRY and self._deployment.attempt < self._limits.attempts:
            wait = time_until_next_attempt(self._deployment.attempt, self._rollout.random())
            self._say(
                f"attempt {self._deployment.attempt}; the next in {wait.total_seconds():.0f} s"
            )
            not_before = self._clock.now() + wait
            self._insist(lambda: self._store.retry_later(self._claim, not_before, failure))
        else:
            self._finish(Status.FAILED, error=failure)

    def _stage_reached(self) -> Stage:
        return self._store.get_deployment(self._deployment.id).stage

    def _roll_back(self, failure: Failure) -> None:
        """Go back to the last good revision, and prove that it runs."""
        live = self._store.get_state(self._project.name).live
        if live is None or live.prepared is None:
            self._say("there is no earlier revision to go back to; what runs was left as it is")
            self._finish(Status.FAILED, error=failure, quarantine=failure.message)
            return
        self._say(f"rolling back to deployment {live.id}: {live.prepared.revision}")
        try:
            with self._stage(Stage.ROLL_BACK):
                self._strategy.apply(self._work(), live.prepared)
                self._watch(live.prepared)
        except (ClaimLost, Interrupted):
            raise
        except ReconcilerError as second:
            self._give_up(failure, live, second)
        else:
            blame = self._blame(live, failure)
            self._finish(
                Status.ROLLED_BACK, error=failure, rolled_back_to=live.id, quarantine=blame
            )
            self._say(f"rolled back to deployment {live.id}")

    def _give_up(self, failure: Failure, live: Deployment, second: ReconcilerError) -> None:
        self._say(f"the rollback failed too: {second.message}")
        text = f"{failure.message}; going back to deployment {live.id} failed: {second.message}"
        worse = replace(failure, code="rollback-failed", message=text, recovery=Recovery.OPERATOR)
        self._finish(Status.NEEDS_OPERATOR, error=worse, quarantine=failure.message)

    def _blame(self, live: Deployment, failure: Failure) -> str:
        """Return why to quarantine the revision; empty where it is the one that runs again."""
        failed = self._store.get_deployment(self._deployment.id).target_revision
        return "" if live.target_revision.satisfies(failed) else failure.message

    def _died_too_often(self) -> bool:
        resumptions = self._claim.fence - self._deployment.attempt
        if not self._claim.resumed or resumptions <= self._limits.resumptions:
            return False
        text = f"the daemon ended {resumptions} times in stage {self._deployment.stage} of it"
        remedy = "look at what runs and at the log, then deploy again"
        failure = Failure("interrupted-too-often", text, Recovery.OPERATOR, remedy)
        self._finish(Status.NEEDS_OPERATOR, error=failure)
        return True

    def _recorded_failure(self) -> Failure:
        """Return what an earlier worker found before it died rolling back."""
        if self._deployment.error:
            return self._deployment.error
        codes = [
            record.outcome
            for record in self._deployment.stages
            if record.stage is not Stage.ROLL_BACK and record.outcome not in _NO_FAILURE
        ]
        code = codes[-1] if codes else VerificationFailed.code
        return Failure(code, f"failed ({code}); see the log", Recovery.STALL)

    # ── The record ────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def _stage(self, stage: Stage) -> Iterator[None]:
        """Record that ``stage`` begins and how it ends."""
        self._journal.flush()
        self._journal.stage = stage
        self._store.begin_stage(self._claim, stage, self._clock.now())
        outcome = "ok"
        try:
            yield
        except Interrupted:
            outcome = "interrupted"
            raise
        except _NotStarted as held:
            outcome = held.failure.code
            raise
        except ReconcilerError as error:
            outcome = error.code
            raise
        except BaseException:
            outcome = "internal-error"
            raise
        finally:
            _log.info("%s: %s", stage, outcome)
            ended = outcome
            self._insist(
                lambda: self._store.end_stage(self._claim, stage, ended, self._clock.now())
            )

    def _finish(
        self,
        status: Status,
        *,
        error: Failure | None = None,
        rolled_back_to: DeploymentId | None = None,
        quarantine: str = "",
    ) -> None:
        self._insist(
            lambda: self._store.finish(
                self._claim,
                status,
                self._clock.now(),
                error=error,
                rolled_back_to=rolled_back_to,
                quarantine=quarantine,
            )
        )
        level = logging.INFO if status in _CALM else logging.WARNING
        _log.log(level, "%s%s", status, f": {error.message}" if error else "")

    def _insist(self, write: Callable[[], None]) -> None:
        """Write, again and again while the store is out of reach: what happened must be recorded.

        Raises:
            ClaimLost: there is nothing left to insist on.
            Interrupted: told to stop first; the next worker finds the stage and goes on from it.
        """
        while True:
            try:
                write()
            except ClaimLost:
                raise
            except StoreError as error:
                if self._clock.wait(self._cancel, 1.0):
                    raise Interrupted("stopped before the outcome could be recorded") from error
            else:
                return

    def _work(self) -> Work:
        project = self._project
        variables = self._store.variables(project.name)
        credentials = self._store.git_credentials(project.name, project.source)
        for secret in variables.values():
            self._rollout.redaction.register(secret)
        for key in (credentials.token, credentials.ssh_key) if credentials else ():
            if key is not None:
                self._rollout.redaction.register(key)
        return Work(
            deployment=self._deployment.id,
            project=project,
            revision=self._deployment.revision,
            variables=variables,
            credentials=credentials,
            log=self._say,
            cancel=self._cancel,
        )

    def _say(self, line: str) -> None:
        self._journal.say(line)

    def _forget_old_ones(self) -> None:
        """Keep the newest verified revisions; more would fill the disk."""
        live = self._store.get_state(self._project.name).live
        for old in self._store.list_restorable(self._project.name)[self._limits.kept_revisions :]:
            if live is None or old.id != live.id:
                self._store.drop_prepared(old.id)
                self._strategy.forget(self._project.name, old.id)


class _NotStarted(Exception):
    """A brake holds the deployment before it changed anything."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.text)
        self.failure = Failure(reason.code, reason.text, Recovery.OPERATOR)
