"""Why a deployment must not start. One function serves triggers, rollout, `why`, API and page."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from reconciler.domain.project import Project, ProjectKind
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.references import Digest
from reconciler.domain.rules import Freeze
from reconciler.domain.windows import any_is_open, in_zone, next_opening

#: What helps a person against a window or a freeze.
OVERRIDE_REMEDY = (
    "deploy or promote with `--override REASON` to go past it; `reconciler rollback` needs none"
)


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason, for people and for programs."""

    code: ReasonCode
    text: str
    deployment: int | None = None  #: the one that it speaks of
    until: datetime | None = None  #: when it is over by itself; None: nobody knows

    @property
    def remedy(self) -> str:
        """What helps a person who asks all the same; empty where nothing does, or it says so."""
        return OVERRIDE_REMEDY if self.code in _OVERRIDABLE else ""


_OVERRIDABLE = frozenset({ReasonCode.FROZEN, ReasonCode.WINDOW_CLOSED})


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
    # What is handed on has no compose file here that would say how an image is to run.
    nowhere = project.kind is ProjectKind.IMAGE and project.image is None and not project.targets
    if nowhere or not project.where:
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


def reasons_to_hold(
    project: Project, switch: MasterSwitch, freeze: Freeze | None, now: datetime
) -> tuple[Reason, ...]:
    """Return why an automatic deployment must wait at ``now``; empty means the gate is open."""
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
    return (*reasons, *reasons_to_wait(project, freeze, now))


def reasons_to_wait(project: Project, freeze: Freeze | None, now: datetime) -> tuple[Reason, ...]:
    """Return why ``project`` is to stay as it is at ``now``, also where a person asks.

    A person may go past them with a reason, and a rollback asks nobody.
    """
    reasons = []
    if freeze and freeze.holds(now):
        reasons.append(_frozen(project, freeze))
    windows = project.rules.windows
    if not any_is_open(windows, now):
        opening = next_opening(windows, now)
        when = f"; the next opens {in_zone(*opening)}" if opening else ""
        text = f"no deploy window of {project.name} is open{when}"
        reasons.append(
            Reason(ReasonCode.WINDOW_CLOSED, text, until=opening[0] if opening else None)
        )
    return tuple(reasons)


def reason_of_age(
    project: Project, image: str, digest: Digest, first_seen: datetime, now: datetime
) -> Reason | None:
    """Return why ``image`` must not be followed to ``digest`` yet; None: it is old enough."""
    old_enough = first_seen + project.rules.minimum_image_age
    if old_enough <= now:
        return None
    text = (
        f"{image} at {digest.short} was first seen {in_zone(first_seen, 'UTC')}; "
        f"it is old enough {in_zone(old_enough, 'UTC')}"
    )
    return Reason(ReasonCode.IMAGE_TOO_YOUNG, text, until=old_enough)


def time_to_ask_again(reasons: Iterable[Reason]) -> datetime | None:
    """Return when the last of ``reasons`` that end by themselves is over; None: none does."""
    return max((one.until for one in reasons if one.until), default=None)


def _frozen(project: Project, freeze: Freeze) -> Reason:
    until = f" until {in_zone(freeze.until, 'UTC')}" if freeze.until else ""
    why = f": {freeze.reason}" if freeze.reason else ""
    text = (
        f"{freeze.by} froze {project.name}{until}{why}; "
        f"`reconciler project thaw {project.name}` lets it go on"
    )
    return Reason(ReasonCode.FROZEN, text, until=freeze.until)
