"""Whether what a trigger asks for becomes a deployment. Pure; the caller carries it out."""

from dataclasses import dataclass

from reconciler.domain.deployment import Cause, Deployment, DeploymentId
from reconciler.domain.gate import (
    MasterSwitch,
    Reason,
    ReasonCode,
    reasons_to_hold,
    reasons_to_refuse,
)
from reconciler.domain.host import HostName
from reconciler.domain.project import Project
from reconciler.domain.references import ProjectName
from reconciler.domain.revision import Revision
from reconciler.domain.state import ProjectState


@dataclass(frozen=True, slots=True)
class Request:
    """What a trigger wants to run, and why."""

    project: ProjectName
    revision: Revision
    cause: Cause
    force: bool = False  #: deploy even what is live or quarantined; a person's wish
    restores: DeploymentId | None = None  #: a rollback to this earlier deployment
    hosts: tuple[HostName, ...] = ()  #: only these; empty: all of the project's


@dataclass(frozen=True, slots=True)
class Admit:
    """Queue it; ``replaces`` is the queued one that it supersedes."""

    replaces: Deployment | None = None


@dataclass(frozen=True, slots=True)
class Coalesce:
    """The same revision is queued or running: that deployment serves this request too."""

    into: Deployment
    reason: Reason


@dataclass(frozen=True, slots=True)
class Hold:
    """Not now. Nothing is recorded as tracked, so the next look asks again."""

    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Refuse:
    """Not this revision; asking again gives the same answer until something changes."""

    reasons: tuple[Reason, ...]


Decision = Admit | Coalesce | Hold | Refuse


def decide_admission(
    project: Project, state: ProjectState, request: Request, switch: MasterSwitch
) -> Decision:
    """Decide what becomes of ``request``; the first of these that applies.

    1. the project can't be deployed as declared: refuse, or hold until the declaration is mended;
    2. a brake is on and no person asked: hold;
    3. the same revision waits or runs already: coalesce;
    4. a person didn't insist and it is live, or quarantined: refuse;
    5. what waits goes to more hosts than this request, which would take its place: refuse;
    6. admit, in place of an older revision that still waits.
    """
    automatic = request.cause.trigger.automatic
    if reasons := reasons_to_refuse(project):
        return Hold(reasons) if automatic else Refuse(reasons)
    if automatic and (reasons := reasons_to_hold(project, switch)):
        return Hold(reasons)
    if same := _same_under_way(state, request):
        return same
    if (
        not request.force
        and request.restores is None
        and (reason := _reason_against(state, request))
    ):
        return Refuse((reason,))
    if state.queued and not _covers(request.hosts, state.queued.hosts):
        text = (
            f"deployment {state.queued.id} waits and goes to other hosts, too; "
            "ask again once it has ended"
        )
        return Refuse((Reason(ReasonCode.ALREADY_QUEUED, text),))
    return Admit(replaces=state.queued)


def _same_under_way(state: ProjectState, request: Request) -> Coalesce | None:
    for deployment, code in (
        (state.queued, ReasonCode.ALREADY_QUEUED),
        # What runs counts only while nothing newer waits behind it: A, B queued, A again is new.
        (state.running if state.queued is None else None, ReasonCode.ALREADY_RUNNING),
    ):
        if deployment and deployment.restores == request.restores and _serves(deployment, request):
            verb = "waits" if code is ReasonCode.ALREADY_QUEUED else "is being deployed"
            return Coalesce(
                deployment, Reason(code, f"deployment {deployment.id} of this revision {verb}")
            )
    return None


def _serves(deployment: Deployment, request: Request) -> bool:
    return (
        deployment.target_revision.satisfies(request.revision)
        and (deployment.forced or not request.force)
        and _covers(deployment.hosts, request.hosts)
    )


def _covers(hosts: tuple[HostName, ...], others: tuple[HostName, ...]) -> bool:
    """Tell whether ``hosts`` has all of ``others``; none are named: all there are."""
    return not hosts or (bool(others) and set(others) <= set(hosts))


def _reason_against(state: ProjectState, request: Request) -> Reason | None:
    nothing_under_way = state.queued is None and state.running is None
    live = state.live
    if (
        live
        and nothing_under_way
        and live.target_revision.satisfies(request.revision)
        and _covers(live.hosts, request.hosts)
    ):
        text = f"deployment {live.id} of this revision is live"
        return Reason(ReasonCode.ALREADY_LIVE, text, live.id)
    for quarantine in state.quarantined:
        if quarantine.revision.satisfies(request.revision):
            return Reason(ReasonCode.QUARANTINED, quarantine.story)
    return None
