"""The one way in: every trigger calls ``trigger_deployment``.

It is idempotent. What it decides and what it records is one transaction on the project's row,
so that two triggers at once, in two threads or two processes, give one deployment; and a crash
leaves either both or neither of 'noticed' and 'queued'.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from reconciler.domain.admission import (
    Admit,
    Coalesce,
    Decision,
    Hold,
    Refuse,
    Request,
    decide_admission,
)
from reconciler.domain.deployment import Deployment, Trigger
from reconciler.domain.gate import MasterSwitch, Reason, time_to_ask_again
from reconciler.domain.project import Project
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.revision import Revision
from reconciler.domain.state import ProjectState
from reconciler.log import correlated, fields
from reconciler.ports import DeploymentStore, Transaction, TriggerRecord

_log = logging.getLogger(__name__)

#: Adds the emergency file to what is recorded of the master switch.
Brakes = Callable[[MasterSwitch], MasterSwitch]


class Overtaken(Exception):
    """Another look at the project's images was acted on meanwhile. Nothing was recorded."""


@dataclass(frozen=True, slots=True)
class TriggerResult:
    """What became of a request."""

    outcome: str  #: ``admitted``, ``coalesced``, ``held`` or ``refused``
    deployment: Deployment | None  #: the one that serves the request; None if held or refused
    reasons: tuple[Reason, ...]  #: never empty

    @property
    def admitted(self) -> bool:
        """Whether a new deployment waits now."""
        return self.outcome == "admitted"


def trigger_deployment(
    store: DeploymentStore, request: Request, *, brakes: Brakes, now: datetime
) -> TriggerResult:
    """Admit, coalesce, hold or refuse ``request``, and record which. Atomic; safe to repeat.

    Raises:
        NotFound: there is no such project.
        Overtaken: what the request was compared with is tracked no longer.
        StoreError: nothing was recorded; the next look asks again.
    """
    with correlated(request.correlation) as correlation, store.transaction() as transaction:
        project = transaction.get_project(request.project)
        state = transaction.get_state(request.project)
        if request.compared_with is not None and request.compared_with != state.tracked_images:
            raise Overtaken
        revision = _completed(request, project, state)
        request = replace(request, revision=revision, correlation=correlation)
        switch = brakes(transaction.get_switch())
        decision = decide_admission(project, state, request, switch, now)
        result = _carry_out(transaction, request, decision, now)
        transaction.record_trigger(
            TriggerRecord(
                project=request.project,
                cause=request.cause,
                revision=request.revision,
                outcome=result.outcome,
                reasons=result.reasons,
                deployment=result.deployment.id if result.deployment else None,
                at=now,
                correlation=correlation,
                override=request.override,
            )
        )
    _say(request, result)
    return result


def _completed(request: Request, project: Project, state: ProjectState) -> Revision:
    """Return the revision that is asked for, as of this very transaction.

    A look at the registries says nothing of the commit: it takes the newest one that was acted
    on, so that it can't push a commit that arrived meanwhile out of the queue.
    """
    if request.restores is not None:
        return request.revision
    commit = request.revision.commit
    if request.cause.trigger in {Trigger.IMAGE_WATCH, Trigger.REGISTRY_EVENT}:
        commit = state.tracked_commit
    return replace(request.revision, commit=commit, generation=project.generation)


def _say(request: Request, result: TriggerResult) -> None:
    """Log what became of the request; one that is held comes back at every look, so quietly."""
    level = logging.DEBUG if result.outcome == "held" else logging.INFO
    because = "; ".join(reason.text for reason in result.reasons)
    cause = request.cause
    _log.log(
        level,
        "%s (%s): %s: %s",
        cause.trigger,
        cause.detail,
        result.outcome,
        because,
        extra=fields(
            project=request.project,
            deployment=result.deployment.id if result.deployment else None,
            actor=cause.actor,
            correlation=request.correlation,
        ),
    )


def _carry_out(
    transaction: Transaction, request: Request, decision: Decision, now: datetime
) -> TriggerResult:
    match decision:
        case Admit(replaces):
            deployment = transaction.queue(request, replaces, now)
            _track(transaction, request)
            return TriggerResult("admitted", deployment, (_admitted(deployment, replaces),))
        case Coalesce(into, reason):
            transaction.add_cause(into.id, request.cause, request.override, now)
            _track(transaction, request)
            return TriggerResult("coalesced", into, (reason,))
        case Refuse(reasons):
            # The answer stays the same until the source moves again, so this move is dealt with.
            _track(transaction, request)
            return TriggerResult("refused", None, reasons)
        case Hold(reasons):
            if again := time_to_ask_again(reasons):
                transaction.look_again(request.project, again, now)
            return TriggerResult("held", None, reasons)


def _track(transaction: Transaction, request: Request) -> None:
    """Record an automatic look as acted on.

    What a person picks, and what is put back, says nothing about the source.
    """
    if request.cause.trigger.automatic and request.restores is None:
        transaction.track(request.project, request.revision)


def _admitted(deployment: Deployment, replaced: Deployment | None) -> Reason:
    if replaced:
        text = f"deployment {deployment.id} took the place of {replaced.id}, which had not started"
        return Reason(ReasonCode.REPLACED_QUEUED, text)
    return Reason(ReasonCode.ADMITTED, f"deployment {deployment.id} is queued")
