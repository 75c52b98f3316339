"""Why a deployment must not start. One function serves triggers, rollout, `why`, API and page."""

from dataclasses import dataclass
from datetime import datetime

from reconciler.domain.project import Project, ProjectKind
from reconciler.domain.reason_codes import ReasonCode


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason, for people and for programs."""

    code: ReasonCode
    text: str
    deployment: int | None = None  #: the one that it speaks of


@dataclass(frozen=True, slots=True)
class MasterSwitch:
    """Whether automatic deployments may start anywhere."""

    enabled: bool = True
    changed_by: str = ""
    changed_at: datetime | None = None
    reason: str = ""
    emergency_file: str = ""  #: path of the file that stops everything; empty where there is none


def reasons_to_refuse(project: Project) -> tuple[Reason, ...]:
    """Return why ``project`` can't be deployed at all as it is declared, whoever asks."""
    if not project.kind.deployable:
        text = f"a {project.kind} project has nothing to deploy"
        return (Reason(ReasonCode.NOTHING_TO_DEPLOY, text),)
    if not project.where:
        text = f"it has no host to run on; `reconciler target add {project.name} HOST` gives it one"
        return (Reason(ReasonCode.TARGET_MISSING, text),)
    if project.kind is ProjectKind.COMPOSE and (
        project.expose_service is None or project.expose_port is None
    ):
        text = (
            "expose_service and expose_port are not both set; "
            f"`reconciler project set {project.name} --expose-service web --expose-port 8080`"
        )
        return (Reason(ReasonCode.EXPOSE_MISSING, text),)
    return ()


def reasons_to_hold(project: Project, switch: MasterSwitch) -> tuple[Reason, ...]:
    """Return why an automatic deployment must wait; empty means the gate is open."""
    reasons = []
    if switch.emergency_file:
        text = f"the emergency file {switch.emergency_file} is there; remove it to go on"
        reasons.append(Reason(ReasonCode.EMERGENCY_FILE, text))
    if not switch.enabled:
        who = f" by {switch.changed_by}" if switch.changed_by else ""
        why = f" ({switch.reason})" if switch.reason else ""
        text = f"the master switch was turned off{who}{why}; `reconciler switch on` lets it go on"
        reasons.append(Reason(ReasonCode.MASTER_SWITCH_OFF, text))
    if not project.auto_deploy:
        text = (
            f"auto-deploy of {project.name} is off; "
            f"`reconciler project enable {project.name}` turns it on"
        )
        reasons.append(Reason(ReasonCode.AUTO_DEPLOY_OFF, text))
    return tuple(reasons)
