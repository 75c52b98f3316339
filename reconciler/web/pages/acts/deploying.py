"""Deploying by hand: the plan as a whole page, and the button at its end.

What the form is shown for is what it does: it carries the plan's id, and a plan that holds no
longer is refused and made anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from fastapi import Request
from starlette.responses import HTMLResponse, Response

from reconciler.domain.errors import ReconcilerError
from reconciler.domain.gate import Reason, reasons_to_wait
from reconciler.domain.plan import Finding, Plan, Weight
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.references import CommitSha, ProjectName
from reconciler.pipeline.explain import ProjectSummary
from reconciler.web.pages.acts.asking import NOTHING_TYPED, asked, came_to
from reconciler.web.pages.acts.environments import find_environment
from reconciler.web.pages.forms import Fields, go
from reconciler.web.pages.frame import Frame, Framed
from reconciler.web.pages.notes import led
from reconciler.web.pages.project.page import ProjectView, project_view
from reconciler.web.pages.project.plans import KeptPlan, PlanView, view_of
from reconciler.web.principal import Policy, actor_of
from reconciler.web.routing import App, Name, router_for
from reconciler.web.schemas.deployments import NewDeployment
from reconciler.web.subjects import About

triggering = router_for(Policy.TRIGGER, "pages", About.PROJECT)

#: What a person may insist on, and what they may go past with a reason.
_INSISTED = frozenset({ReasonCode.ALREADY_LIVE, ReasonCode.QUARANTINED})
_OVERRIDDEN = frozenset({ReasonCode.FROZEN, ReasonCode.WINDOW_CLOSED})


@dataclass(frozen=True, slots=True)
class Offer:
    """A plan, and what a person can do with it."""

    plan: Plan
    waits: tuple[Reason, ...]  #: closed windows and a freeze, which need a reason to go past

    @property
    def commit(self) -> CommitSha | None:
        """What would be taken."""
        return self.plan.basis.revision.commit

    @property
    def insists(self) -> Finding | None:
        """Why it is deployed only where somebody insists."""
        return next((one for one in self._against if one.code in _INSISTED), None)

    @property
    def holds_back(self) -> bool:
        """Whether it is refused to whoever neither insists nor has a reason."""
        quarantined = self.insists is not None and self.insists.code == ReasonCode.QUARANTINED
        return quarantined or bool(self.waits)

    @property
    def refused(self) -> tuple[Finding, ...]:
        """What keeps it from being deployed, whoever asks."""
        helped = _INSISTED | _OVERRIDDEN
        return tuple(one for one in self._against if one.code not in helped)

    @property
    def told(self) -> tuple[Finding, ...]:
        """What would make it fail, and what would happen besides."""
        return tuple(one for one in self.plan.findings if one.weight is not Weight.REFUSES)

    @property
    def _against(self) -> tuple[Finding, ...]:
        return tuple(one for one in self.plan.findings if one.weight is Weight.REFUSES)


@triggering.get("/projects/{name}/deploy", include_in_schema=False)
def ask_to_deploy(frame: Framed, name: Name, commit: str = "", env: str = "") -> Response:
    """What deploying the branch's tip, or a commit, would change; of an environment, there."""
    to = find_environment(frame, name, env) if env else name
    promoted = frame.application.store.get_project(to).promoted_from is not None
    if promoted or to != name:
        act, which = ("promote", "revision") if promoted else ("deploy", "commit")
        return go(f"/projects/{to}/{act}" + (f"?{urlencode({which: commit})}" if commit else ""))
    return _page(frame, name, commit)


@triggering.post("/projects/{name}/deploy", include_in_schema=False)
def deploy(
    application: App, request: Request, frame: Framed, name: Name, fields: Fields
) -> Response:
    """Deploy exactly what was shown, or nothing."""
    commit = fields.get("commit", "")
    body = NewDeployment(
        commit=commit or None,
        force=fields.get("insist") == "on",
        reason=fields.get("reason", ""),
        override=fields.get("override", ""),
        plan=fields.get("plan", ""),
    )
    try:
        result = application.deploy(name, body.wanted(), actor=actor_of(request))
        if result.deployment is None and result.reasons[0].code is ReasonCode.ALREADY_LIVE:
            return led(f"/projects/{name}", "nothing", result.reasons[0].deployment)
        return came_to(name, result)
    except ReconcilerError as error:
        return _page(frame, name, commit, error, fields)


def _page(
    frame: Frame,
    name: ProjectName,
    commit: str,
    error: ReconcilerError | None = None,
    typed: Mapping[str, str] = NOTHING_TYPED,
) -> HTMLResponse:
    view, offer, trouble = project_view(frame, name), None, None
    try:
        offer = _offer(frame, view.summary, CommitSha.parse(commit) if commit else None)
    except ReconcilerError as found:
        trouble = found
    outdated = error is not None and error.code == ReasonCode.PLAN_OUTDATED
    return asked(
        frame,
        "deploy",
        error or trouble,
        view=view,
        offer=offer,
        plan=_shown(offer, view) if offer else None,
        named=commit,
        news=_news(offer, typed) if offer and outdated else "",
        typed=typed,
    )


def _offer(frame: Frame, summary: ProjectSummary, commit: CommitSha | None) -> Offer:
    project = summary.project
    plan = frame.application.plans.plan(project.name, commit)
    return Offer(plan, reasons_to_wait(project, summary.state.freeze, frame.now))


def _shown(offer: Offer, view: ProjectView) -> PlanView | None:
    return view_of(KeptPlan(view.frame.now, offer.plan), view.summary, view.images)


def _news(offer: Offer, typed: Mapping[str, str]) -> str:
    """Return what happened since the form was shown."""
    live, commit = offer.plan.basis.live, offer.commit
    if str(live or "") != typed.get("live"):
        return f"#{live} was deployed" if live else "what ran is gone"
    if commit and commit.text != typed.get("seen"):
        return f"{commit.short} was pushed"
    return "an image or the project’s declaration changed"
