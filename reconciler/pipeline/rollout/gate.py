"""All brakes once more, as they stand when a deployment is about to start."""

from dataclasses import dataclass

from reconciler.domain.deployment import Deployment, PreparedRevision
from reconciler.domain.gate import (
    Reason,
    reasons_to_hold,
    reasons_to_refuse,
    reasons_to_wait,
    time_to_ask_again,
)
from reconciler.domain.project import Project
from reconciler.domain.reason_codes import ReasonCode
from reconciler.pipeline.promoting.gate import reasons_against_promotion
from reconciler.pipeline.rollout.record import NotStarted
from reconciler.pipeline.trigger import Brakes
from reconciler.ports import Clock, Store


@dataclass(frozen=True, slots=True)
class StartGate:
    """What a deployment passes before it changes anything."""

    store: Store
    clock: Clock
    brakes: Brakes

    def let_pass(self, recorded: Deployment, prepared: PreparedRevision | None) -> None:
        """Let a deployment go on; what it is to run is known once it is ``prepared``.

        Raises:
            NotStarted: a brake holds it.
        """
        project = self.store.get_project(recorded.project)
        reasons = (
            *reasons_to_refuse(project),
            *self._held(project, recorded),
            *reasons_against_promotion(self.store, project, recorded, self.clock.now()),
        )
        if prepared and not recorded.forced and recorded.restores is None:
            reasons += self._quarantined(project, prepared)
        if reasons:
            if again := time_to_ask_again(reasons):
                # Before it ends: what it made tracked is looked at anew, and by then it has ended.
                self.store.look_again(project.name, again, self.clock.now())
            raise NotStarted(reasons[0])

    def _held(self, project: Project, recorded: Deployment) -> tuple[Reason, ...]:
        now, freeze = self.clock.now(), self.store.get_state(project.name).freeze
        if recorded.automatic:
            return reasons_to_hold(project, self.brakes(self.store.get_switch()), freeze, now)
        if recorded.override or recorded.restores is not None:
            return ()
        return reasons_to_wait(project, freeze, now)

    def _quarantined(self, project: Project, prepared: PreparedRevision) -> tuple[Reason, ...]:
        known, wanted = self.store.get_state(project.name), prepared.revision.fingerprint
        stories = (one.story for one in known.quarantined if one.fingerprint == wanted)
        return tuple(Reason(ReasonCode.QUARANTINED, story) for story in stories)
