"""Approving and rejecting: a promotion that waits for people, or a migration that does."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from fastapi import Request
from starlette.responses import HTMLResponse, Response

from reconciler.domain.deployment import Deployment, DeploymentId
from reconciler.domain.errors import Conflict, NothingToApprove, ReconcilerError
from reconciler.domain.project import Project
from reconciler.domain.promoting import name_of_environment, runs_out_at
from reconciler.domain.promotion import Promotion, PromotionId
from reconciler.domain.references import ProjectName
from reconciler.web.pages.acts.asking import NOTHING_TYPED, asked, came_to
from reconciler.web.pages.forms import Fields
from reconciler.web.pages.frame import Frame, Framed
from reconciler.web.pages.notes import led, number
from reconciler.web.principal import Policy, actor_of
from reconciler.web.routing import App, Name, router_for
from reconciler.web.schemas.deployments import Approve
from reconciler.web.schemas.promotions import NewVote
from reconciler.web.subjects import About

triggering = router_for(Policy.TRIGGER, "pages", About.PROJECT)


@dataclass(frozen=True, slots=True)
class Matter:
    """What is voted on."""

    project: Project
    promotion: Promotion
    live: Deployment | None  #: what runs there

    @property
    def environment(self) -> str:
        """Where it would go."""
        return name_of_environment(self.project)

    @property
    def missing(self) -> int:
        """How many have yet to approve."""
        return max(self.project.rules.approvals - len(self.promotion.approvals), 0)

    @property
    def until(self) -> datetime:
        """Until when it can be decided."""
        return runs_out_at(self.promotion, self.project)


@triggering.get("/projects/{name}/approve", include_in_schema=False)
def ask_to_approve(
    frame: Framed, name: Name, promotion: str = "", deployment: str = ""
) -> HTMLResponse:
    """What approving it would bring: a promotion, or a migration that stopped for a person."""
    return _page(frame, name, {"promotion": promotion, "deployment": deployment})


@triggering.get("/projects/{name}/reject", include_in_schema=False)
def ask_to_reject(frame: Framed, name: Name, promotion: str = "") -> HTMLResponse:
    """What rejecting a promotion would do."""
    return _page(frame, name, {"promotion": promotion}, rejects=True)


@triggering.post("/projects/{name}/approve", include_in_schema=False)
def approve(
    application: App, request: Request, frame: Framed, name: Name, fields: Fields
) -> Response:
    """Approve what was shown, and nothing else."""
    actor, reason = actor_of(request), fields.get("reason", "")
    try:
        if fields.get("deployment"):
            body = Approve(deployment=max(number(fields["deployment"]), 1), reason=reason)
            return came_to(name, application.approve(name, body.approved(), actor=actor))
        which, remark = _promotion_of(fields), NewVote(reason=reason).remark()
        voted = application.promotions.approve(name, which, reason=remark, actor=actor)
    except ReconcilerError as error:
        return _page(frame, name, fields, error)
    return led(f"/projects/{name}", "promoted", voted.id)


@triggering.post("/projects/{name}/reject", include_in_schema=False)
def reject(
    application: App, request: Request, frame: Framed, name: Name, fields: Fields
) -> Response:
    """Reject the promotion that was shown."""
    try:
        which, remark = _promotion_of(fields), NewVote(reason=fields.get("reason", "")).remark()
        voted = application.promotions.reject(name, which, reason=remark, actor=actor_of(request))
    except ReconcilerError as error:
        return _page(frame, name, fields, error, rejects=True)
    return led(f"/projects/{name}", "promoted", voted.id)


def _promotion_of(fields: Mapping[str, str]) -> PromotionId:
    return PromotionId(number(fields.get("promotion", "")))


def _page(
    frame: Frame,
    name: ProjectName,
    given: Mapping[str, str] = NOTHING_TYPED,
    error: ReconcilerError | None = None,
    *,
    rejects: bool = False,
) -> HTMLResponse:
    matter, stopped = None, None
    try:
        if not rejects and not given.get("promotion"):
            stopped = _stopped(frame, name, given.get("deployment", ""))
        if stopped is None:
            matter = _matter(frame, name, given.get("promotion", ""))
    except ReconcilerError as found:
        error = error or found
    typed = given.get("reason", "")
    if stopped:
        live = frame.application.store.get_state(name).live
        return asked(
            frame, "approve_migration", error, name=name, one=stopped, live=live, typed=typed
        )
    return asked(frame, "vote", error, name=name, matter=matter, rejects=rejects, typed=typed)


def _stopped(frame: Frame, name: ProjectName, wanted: str) -> Deployment | None:
    """Return the deployment whose migration waits; None: none does, and none was named."""
    which = DeploymentId(number(wanted)) if wanted else None
    try:
        return frame.application.requests.find_stopped(name, which)
    except NothingToApprove:
        if wanted:
            raise
        return None


def _matter(frame: Frame, name: ProjectName, wanted: str) -> Matter:
    """Return the promotion that is named, or the newest that waits. Raises ``Conflict``."""
    application = frame.application
    if wanted:
        found = application.promotions.get(name, PromotionId(number(wanted)))
    else:
        waiting = application.promotions.list_waiting({name})
        if not waiting:
            raise Conflict(f"no promotion to {name} waits")
        found = waiting[-1]
    store = application.store
    return Matter(store.get_project(name), found, store.get_state(name).live)
