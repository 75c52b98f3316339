"""One project: what runs, why, and what can be done about it."""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import Request
from starlette.responses import Response

from reconciler.domain.access import Scope
from reconciler.domain.deployment import Deployment
from reconciler.domain.forge import page_of_commit
from reconciler.domain.project import ExternalSource, Project
from reconciler.domain.references import CommitSha, ProjectName
from reconciler.domain.state import ProjectState, WatchedImage
from reconciler.pipeline.explain import ProjectSummary, StandingCode
from reconciler.web.api_deliveries import list_deliveries
from reconciler.web.pages.deliveries.rows import DeliveryRow
from reconciler.web.pages.deployment.timeline import entry_of
from reconciler.web.pages.forms import go
from reconciler.web.pages.frame import Frame, Framed
from reconciler.web.pages.project.chain import Box, boxes_of
from reconciler.web.pages.project.image_facts import count_images
from reconciler.web.pages.project.origins import badge_of_source, runs_on
from reconciler.web.pages.project.plans import KeptPlans, view_of
from reconciler.web.pages.project.why import why_of
from reconciler.web.pages.rendering import page
from reconciler.web.pages.who_may import who_may
from reconciler.web.pages.words import OF_STANDING, Badge
from reconciler.web.pagination import Page
from reconciler.web.principal import Policy
from reconciler.web.routing import Name, router_for
from reconciler.web.subjects import About

reading = router_for(Policy.READ, "pages", About.PROJECT)

_LATELY = 5
_NEWEST_DELIVERIES = 3


@dataclass(frozen=True, slots=True)
class ProjectView:
    """What the layout of a project's pages shows."""

    frame: Frame
    summary: ProjectSummary
    deployments: int  #: how many there ever were
    images: Sequence[WatchedImage]
    earlier: Sequence[Deployment]  #: those that can be gone back to, newest first

    @property
    def name(self) -> ProjectName:
        """The project's name."""
        return self.project.name

    @property
    def project(self) -> Project:
        """As it is declared."""
        return self.summary.project

    @property
    def state(self) -> ProjectState:
        """What is recorded of it."""
        return self.summary.state

    @property
    def badge(self) -> Badge:
        """Where it stands."""
        return OF_STANDING[self.summary.standing]

    @property
    def runs(self) -> Deployment | None:
        """The deployment whose revision runs."""
        return self.state.live

    def address_of(self, commit: CommitSha) -> str:
        """Return where the forge shows a commit; empty where that is not known."""
        one = self.project
        if not isinstance(one.source, ExternalSource):
            return ""
        forge_url = str(one.forge_url) if one.forge_url else None
        return page_of_commit(one.source.url, one.forge, forge_url, commit)

    @property
    def is_as_seen(self) -> bool:
        """Whether what runs is what the last looks saw."""
        if self.runs is None or self.summary.standing is not StandingCode.IN_SYNC:
            return False
        runs, tip = self.runs.target_revision, self.summary.health.observed
        return (
            self.state.newest_wanted(tip) in {None, runs.commit}
            and runs.generation == self.project.generation
            and all(one.digest in {None, runs.images.get(one.image)} for one in self.images)
        )

    @property
    def image_count(self) -> int:
        """How many images it is made of."""
        return count_images(self.images, self.runs)

    @property
    def may_act(self) -> bool:
        """Whether whoever looks may deploy it, go back, pause and resume."""
        return self.project.kind.deployable and self.frame.may(Policy.TRIGGER, self.name)

    @property
    def paused(self) -> bool:
        """Whether a person said that it stays as it is."""
        freeze = self.state.freeze
        return freeze is not None and freeze.holds(self.frame.now)

    @property
    def who_may_act(self) -> str:
        """Who deploys it, for somebody who may not."""
        store = self.frame.application.store
        return f"These may deploy it: {who_may(store, Scope.TRIGGER, self.name)}."


def project_view(frame: Frame, name: ProjectName) -> ProjectView:
    """Return what the pages of a project show around their own. Raises ``NotFound``."""
    application = frame.application
    store = application.store
    return ProjectView(
        frame,
        application.summary(name),
        store.count_deployments(name),
        store.get_images(name),
        application.requests.list_kept(name),
    )


@reading.get("/projects/{name}", include_in_schema=False)
def show_project(request: Request, frame: Framed, name: Name, plan: bool = False) -> Response:
    """Where it stands now; with ``plan`` once what deploying now would change is worked out."""
    application = frame.application
    kept_plans: KeptPlans = request.app.state.kept_plans
    if plan:
        application.store.get_project(name)
        kept_plans.work_out(application, name)
        return go(f"/projects/{name}#plan")
    view, store = project_view(frame, name), application.store
    kept = kept_plans.find(name)
    return page(
        frame,
        "project/now.html",
        view=view,
        why=why_of(view.summary, application.why(name).reasons),
        boxes=_boxes(frame, name),
        kept=kept,
        plan=view_of(kept, view.summary, view.images) if kept else None,
        lately=[entry_of(one) for one in store.list_deployments(name, limit=_LATELY)],
        source=badge_of_source(view.summary.health),
        runs_on=runs_on(view.summary, len(view.earlier)),
        secrets=store.list_secrets(name),
        announcements=store.get_announcements(name),
        deliveries=_deliveries(frame, name),
    )


def _boxes(frame: Frame, name: ProjectName) -> Sequence[Box]:
    chain = frame.application.environments.chain(name)
    if len(chain.places) < 2:
        return ()
    return boxes_of(chain, {one.project.name: one for one in frame.summaries}, name)


def _deliveries(frame: Frame, name: ProjectName) -> Sequence[DeliveryRow]:
    """Return the newest deliveries that led to it."""
    newest = Page(_NEWEST_DELIVERIES, None)
    found = list_deliveries(frame.application, newest, frame.sight, None, name, None)
    return [DeliveryRow.of(one, may_open=False) for one in found.items]
