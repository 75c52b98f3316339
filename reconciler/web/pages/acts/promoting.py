"""Bringing to an environment what the one before it verified."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from fastapi import Request
from starlette.responses import HTMLResponse, Response

from reconciler.app import Application
from reconciler.domain.errors import Conflict, InvalidInput, ReconcilerError, Refused
from reconciler.domain.gate import Reason, reasons_to_wait
from reconciler.domain.plan import ImageStep
from reconciler.domain.project import Project
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.references import CommitSha, ProjectName
from reconciler.domain.revision import Revision
from reconciler.domain.state import ProjectState
from reconciler.pipeline.planning.promotion import (
    PlannedPromotion,
    plan_promotion,
    steps_between,
)
from reconciler.pipeline.promoting.promotions import Proposed
from reconciler.web.pages.acts.asking import NOTHING_TYPED, asked
from reconciler.web.pages.acts.environments import environments_after, find_environment
from reconciler.web.pages.forms import Fields, go
from reconciler.web.pages.frame import Frame, Framed
from reconciler.web.pages.notes import led
from reconciler.web.principal import Policy, actor_of
from reconciler.web.routing import App, Name, router_for
from reconciler.web.schemas.promotions import NewPromotion
from reconciler.web.subjects import About

triggering = router_for(Policy.TRIGGER, "pages", About.PROJECT)


@dataclass(frozen=True, slots=True)
class Step:
    """What would go to an environment, and what it would wait for."""

    project: Project
    state: ProjectState
    planned: PlannedPromotion
    closed: tuple[Reason, ...]  #: windows and a freeze

    @property
    def revision(self) -> Revision | None:
        """What the environment would run."""
        return self.planned.revision(self.project)

    @property
    def soaks(self) -> tuple[Reason, ...]:
        """How long it has to stand yet where it was verified; a person may go past that."""
        return tuple(one for one in self.planned.reasons if one.code is ReasonCode.SOAKING)

    @property
    def refused(self) -> tuple[Reason, ...]:
        """What keeps it from going on, whoever asks."""
        if self.revision is None or self.planned.chosen is None:
            return self.planned.reasons
        return tuple(one for one in self.planned.reasons if one.code is not ReasonCode.SOAKING)

    @property
    def images(self) -> tuple[ImageStep, ...]:
        """What becomes of each image."""
        live = self.state.live.target_revision.images if self.state.live else {}
        return steps_between(live, self.revision.images) if self.revision else ()


@triggering.get("/projects/{name}/promote", include_in_schema=False)
def ask_to_promote(frame: Framed, name: Name, to: str = "", revision: str = "") -> Response:
    """What would go there; of the environment before, to the one that is named or comes next."""
    project = frame.application.store.get_project(name)
    after = environments_after(frame, name) if project.promoted_from is None else []
    target = find_environment(frame, name, to) if to else name
    if not to and len(after) == 1:
        target = after[0]
    if target != name:
        query = f"?{urlencode({'revision': revision})}" if revision else ""
        return go(f"/projects/{target}/promote{query}")
    return _page(frame, name, revision)


@triggering.post("/projects/{name}/promote", include_in_schema=False)
def promote(
    application: App, request: Request, frame: Framed, name: Name, fields: Fields
) -> Response:
    """Propose exactly what was shown; what became of it is said on the project's page."""
    try:
        proposed = _propose(application, frame, name, fields, actor=actor_of(request))
    except ReconcilerError as error:
        return _page(frame, name, fields.get("revision", ""), error, fields)
    return led(f"/projects/{name}", "promoted", proposed.promotion.id)


def _propose(
    application: Application,
    frame: Frame,
    name: ProjectName,
    fields: Mapping[str, str],
    *,
    actor: str,
) -> Proposed:
    """Propose what the form was shown for.

    Raises:
        Conflict: something else is verified there by now. ``Refused``: it may not go on.
    """
    found = _step(frame, name, fields.get("revision", "")).planned.chosen
    if found is None or str(found.id) != fields.get("chosen"):
        what = f"#{found.id} is what is verified there" if found else "nothing is verified there"
        raise Conflict(f"Since you opened this, {what}. Nothing was done")
    override, reason = fields.get("override", ""), fields.get("reason", "")
    body = NewPromotion(deployment=found.id, override=override, reason=reason)
    proposed = application.promotions.propose(name, body.proposal(), actor=actor)
    if proposed.result is not None and proposed.result.outcome == "refused":
        first = proposed.result.reasons[0]
        raise Refused(first.code, first.text)
    return proposed


def _step(frame: Frame, name: ProjectName, revision: str) -> Step:
    store, clock = frame.application.store, frame.application.clock
    project, state = store.get_project(name), store.get_state(name)
    commit = CommitSha.parse(revision) if revision else None
    planned = plan_promotion(store, clock, project, commit)
    if planned is None:
        raise InvalidInput("project", None, f"{name} is promoted from no other environment")
    return Step(project, state, planned, reasons_to_wait(project, state.freeze, frame.now))


def _page(
    frame: Frame,
    name: ProjectName,
    revision: str,
    error: ReconcilerError | None = None,
    typed: Mapping[str, str] = NOTHING_TYPED,
) -> HTMLResponse:
    step = None
    try:
        step = _step(frame, name, revision)
    except ReconcilerError as found:
        error = error or found
    return asked(frame, "promote", error, name=name, step=step, revision=revision, typed=typed)
