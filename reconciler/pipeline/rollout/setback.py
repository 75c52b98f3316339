"""What comes of a deployment that did not go well: another try, the way back, or its end."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from reconciler.domain.deployment import Deployment, Stage, Status
from reconciler.domain.errors import (
    Interrupted,
    MigrationFailed,
    ReconcilerError,
    Recovery,
    StoreError,
)
from reconciler.domain.failure import Failure
from reconciler.domain.polling import time_until_next_attempt
from reconciler.domain.verification import Window
from reconciler.pipeline.rollout.manifest import Declaration
from reconciler.pipeline.rollout.migration import FOR_A_PERSON, say_what_stays
from reconciler.pipeline.rollout.record import Record
from reconciler.pipeline.rollout.targets import RolloutTargets
from reconciler.ports import LineSink


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
class Setback:
    """Deals with what goes wrong in one deployment."""

    deployment: Deployment
    live: Deployment | None  #: what would be gone back to
    record: Record
    targets: RolloutTargets
    declaration: Declaration
    limits: Limits
    random: Callable[[], float]
    say: LineSink

    def ended_as_withdrawn(self) -> bool:
        """End it if a person took it back, which nobody can once something was changed."""
        withdrawal = self.record.read().withdrawal
        if withdrawal is not None:
            self.say(f"withdrawn: {withdrawal.message}")
            self.record.finish(Status.WITHDRAWN, withdrawal)
        return withdrawal is not None

    def fail(self, error: ReconcilerError) -> None:
        """Go back, try again, or end it, as ``error`` and how far it got ask for."""
        if self.ended_as_withdrawn():
            return
        self.say(f"failed: {error.message}")
        failure = self.record.failure_of(error)
        if self.record.read().stage.changes_target:
            self.roll_back(failure)
        elif failure.code in FOR_A_PERSON:
            self.record.finish(Status.NEEDS_OPERATOR, failure)
        elif failure.recovery is Recovery.RETRY and self._may_try_again():
            self._retry(failure)
        elif self.targets.any_changed:  # in an earlier attempt
            self.roll_back(failure)
        else:
            # What a failed migration left is not to be met by the same one again.
            blame = failure.message if failure.code == MigrationFailed.code else ""
            self.record.finish(Status.FAILED, failure, quarantine=blame)

    def try_again_or_end(self, failure: Failure) -> None:
        """Try it again later; end it where it was tried often enough."""
        if self._may_try_again():
            self._retry(failure)
        else:
            self.record.finish(Status.FAILED, failure)

    def _may_try_again(self) -> bool:
        automatic = self.record.read().automatic
        most = self.limits.automatic_attempts if automatic else self.limits.attempts
        return self.deployment.attempt < most

    def _retry(self, failure: Failure) -> None:
        attempt = self.deployment.attempt
        wait = time_until_next_attempt(attempt, self.random())
        self.say(f"attempt {attempt}; the next in {wait.total_seconds():.0f} s")
        self.record.retry(wait, failure)

    def roll_back(self, failure: Failure) -> None:
        """Go back to the last good revision where something changed, and prove that it runs."""
        live = self.live
        say_what_stays(self.record.read(), self.say)
        earlier = live.prepared if live else None
        if earlier:
            self.declaration.go_back_by(earlier)
        touched = self.targets.touched
        back = [one for one in touched if earlier and earlier.find(one.host)]
        for one in touched:
            if one not in back:
                where = f" on {one.host}" if len(touched) > 1 else ""
                text = f"there is no earlier revision to go back to{where}; "
                self.say(f"{text}what runs was left as it is")
        if live is None or earlier is None or not back:
            self._end(Status.FAILED, failure)
            return
        self.say(f"rolling back to deployment {live.id}: {earlier.revision}")
        try:
            with self.record.stage(Stage.ROLL_BACK):
                self.targets.go_back(earlier, back)
        except (StoreError, Interrupted):
            raise
        except ReconcilerError as second:
            self._give_up(failure, live, second)
        else:
            self.say(f"rolled back to deployment {live.id}")
            self._end(Status.ROLLED_BACK, failure, live)

    def _end(self, status: Status, failure: Failure, back_to: Deployment | None = None) -> None:
        """End it; or try it again later, where it is not the revision that failed.

        As often as a person would wait for, whoever asked: each attempt changes what runs.
        """
        if failure.recovery is Recovery.RETRY:
            if self.deployment.attempt < self.limits.attempts:
                self._retry(failure)
                return
            failure = self._worth_another_try(failure)
        number = back_to.id if back_to else None
        blame = self._blame(failure)
        self.record.finish(status, failure, rolled_back_to=number, quarantine=blame)

    def _give_up(self, failure: Failure, live: Deployment, second: ReconcilerError) -> None:
        self.say(f"the rollback failed too: {second.message}")
        why = self.record.failure_of(second).message
        text = f"{failure.message}; going back to deployment {live.id} failed: {why}"
        blame = self._blame(failure)
        failure = self._worth_another_try(failure) if not blame else failure
        worse = replace(failure, code="rollback-failed", message=text, recovery=Recovery.OPERATOR)
        self.record.finish(Status.NEEDS_OPERATOR, worse, quarantine=blame)

    def _blame(self, failure: Failure) -> str:
        """Return why to quarantine the revision; empty where it is not to blame.

        What passes by itself is not its fault, and neither is what the live one fails of, too.
        """
        failed, live = self.record.read().target_revision, self.live
        is_live = live is not None and live.target_revision.satisfies(failed)
        return "" if is_live or failure.recovery is Recovery.RETRY else failure.message

    def _worth_another_try(self, failure: Failure) -> Failure:
        remedy = (
            f"once that has passed, `reconciler deploy {self.deployment.project}` tries it again"
        )
        return replace(failure, remedy=failure.remedy or remedy)
