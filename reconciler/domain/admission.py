"""Whether what a trigger asks for becomes a deployment. Pure; the caller carries it out."""

from dataclasses import dataclass
from datetime import datetime

from reconciler.domain.deployment import Cause, Deployment, DeploymentId
from reconciler.domain.gate import (
    MasterSwitch,
    Reason,
    reasons_to_hold,
    reasons_to_refuse,
    reasons_to_wait,
)
from reconciler.domain.host import HostName
from reconciler.domain.plan import PlanBasis
from reconciler.domain.project import Project
from reconciler.domain.promoting import promoted_only
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.references import ProjectName
from reconciler.domain.revision import ImageDigests, Revision
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
    #: Of a look at images: what was tracked when it was compared. It counts only while that is so.
    compared_with: ImageDigests | None = None
    plan: PlanBasis | None = None  #: what the person read; nothing else is to be deployed
    correlation: str = ""  #: id of what noticed the change, as the logs have it
    promotes: DeploymentId | None = None  #: see ``Deployment``
    override: str = ""  #: see ``Deployment``
    too_young: tuple[Reason, ...] = ()  #: of a look at images: why all that moved has to wait


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
    project: Project, state: ProjectState, request: Request, switch: MasterSwitch, now: datetime
) -> Decision:
    """Decide what becomes of ``request`` at ``now``; the first of these that applies.

    1. the project can't be deployed as declared, or gets what is promoted to it, which this is not:
       refuse, or hold until the declaration is mended;
    2. what the person read in a plan is so no more: refuse;
    3. a brake is on, or what moved is too young, and no person asked: hold;
    4. the same revision waits or runs already: coalesce;
    5. it puts back by itself what is not the newest any more, or a person didn't insist and it is
       live, or quarantined: refuse;
    6. a freeze, or closed windows, and the person doesn't go past them: refuse;
    7. what waits goes to more hosts than this request, which would take its place: refuse;
    8. admit, in place of an older revision that still waits.
    """
    automatic = request.cause.trigger.automatic
    if reasons := (
        reasons_to_refuse(project)
        or _not_promoted(project, request)
        or _outdated(project, state, request)
    ):
        return Hold(reasons) if automatic else Refuse(reasons)
    if automatic and (reasons := _brakes(project, state, request, switch, now)):
        return Hold(reasons)
    waits = _waits_for_a_person(project, state, request, now)
    same = _same_under_way(state, request)
    if same and not (waits and same.into is state.queued):
        return same
    if reasons := _overtaken(state, request) or _reasons_against(state, request) or waits:
        return Refuse(reasons)
    if state.queued and not _covers(request.hosts, state.queued.hosts):
        text = (
            f"deployment {state.queued.id} waits and goes to other hosts, too; "
            "ask again once it has ended"
        )
        return Refuse((Reason(ReasonCode.ALREADY_QUEUED, text),))
    return Admit(replaces=state.queued)


def _not_promoted(project: Project, request: Request) -> tuple[Reason, ...]:
    """Return why nobody but the environment before gives it anything; going back is its own."""
    gets_it = request.promotes is not None or request.restores is not None
    return () if gets_it or project.promoted_from is None else (promoted_only(project),)


def _brakes(
    project: Project, state: ProjectState, request: Request, switch: MasterSwitch, now: datetime
) -> tuple[Reason, ...]:
    return (*reasons_to_hold(project, switch, state.freeze, now), *request.too_young)


def _waits_for_a_person(
    project: Project, state: ProjectState, request: Request, now: datetime
) -> tuple[Reason, ...]:
    asks = not request.cause.trigger.automatic and request.restores is None
    return reasons_to_wait(project, state.freeze, now) if asks and not request.override else ()


def _outdated(project: Project, state: ProjectState, request: Request) -> tuple[Reason, ...]:
    live, plan = state.live.id if state.live else None, request.plan
    holds = plan is None or (plan.live, plan.revision.generation) == (live, project.generation)
    return () if holds else (plan_outdated(project.name),)


def plan_outdated(project: ProjectName) -> Reason:
    """Return why what was planned is not deployed."""
    text = (
        "what deploying would change is not what the plan said any more; "
        f"read it again: `reconciler plan {project}`"
    )
    return Reason(ReasonCode.PLAN_OUTDATED, text)


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


def _overtaken(state: ProjectState, request: Request) -> tuple[Reason, ...]:
    """Return what came after what is to be put back by itself: that is not undone."""
    if request.restores is None or not request.cause.trigger.automatic:
        return ()
    for newer, code in (
        (state.queued, ReasonCode.ALREADY_QUEUED),
        (state.running, ReasonCode.ALREADY_RUNNING),
        (state.live, ReasonCode.ALREADY_LIVE),
    ):
        if newer and newer.id != request.restores:
            text = f"deployment {newer.id} came after {request.restores}, which was to be put back"
            return (Reason(code, text, newer.id),)
    return ()


def _reasons_against(state: ProjectState, request: Request) -> tuple[Reason, ...]:
    if request.force or request.restores is not None:
        return ()
    nothing_under_way = state.queued is None and state.running is None
    live = state.live
    if (
        live
        and nothing_under_way
        and live.target_revision.satisfies(request.revision)
        and _covers(live.hosts, request.hosts)
    ):
        text = f"deployment {live.id} of this revision is live"
        return (Reason(ReasonCode.ALREADY_LIVE, text, live.id),)
    for quarantine in state.quarantined:
        if quarantine.revision.satisfies(request.revision):
            return (Reason(ReasonCode.QUARANTINED, quarantine.story),)
    return ()
