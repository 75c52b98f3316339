"""What became of a project's deployments, and what is known of its images."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal
from urllib.parse import urlencode

from starlette.responses import HTMLResponse

from reconciler.domain.deployment import DeploymentId, Status, Trigger
from reconciler.ports import DeploymentFilter
from reconciler.web.pages.deployment.timeline import by_day, entry_of
from reconciler.web.pages.frame import Framed
from reconciler.web.pages.project.image_facts import image_facts
from reconciler.web.pages.project.page import project_view
from reconciler.web.pages.rendering import page
from reconciler.web.pages.words import TRIGGERS
from reconciler.web.principal import Policy
from reconciler.web.routing import Name, router_for
from reconciler.web.schemas.body import DeploymentNumber
from reconciler.web.subjects import About

reading = router_for(Policy.READ, "pages", About.PROJECT)

_ON_A_PAGE = 50
#: Deployments that an image's digests are read from.
_MOST_VERIFIED = 100


class Outcome(StrEnum):
    """How deployments can be told apart."""

    ALL = ""
    UNDER_WAY = "under-way"
    VERIFIED = "verified"
    ROLLED_BACK = "rolled-back"
    FAILED = "failed"
    NOT_DONE = "not-done"


_STATUSES: Mapping[Outcome, tuple[Status, ...]] = {
    Outcome.ALL: (),
    Outcome.UNDER_WAY: (Status.QUEUED, Status.RUNNING),
    Outcome.VERIFIED: (Status.DEPLOYED,),
    Outcome.ROLLED_BACK: (Status.ROLLED_BACK,),
    Outcome.FAILED: (Status.FAILED, Status.NEEDS_OPERATOR),
    Outcome.NOT_DONE: (Status.SUPERSEDED, Status.WITHDRAWN),
}
_WORDS: Mapping[Outcome, str] = {
    Outcome.ALL: "All",
    Outcome.UNDER_WAY: "Under way",
    Outcome.VERIFIED: "Verified",
    Outcome.ROLLED_BACK: "Rolled back",
    Outcome.FAILED: "Failed",
    Outcome.NOT_DONE: "Not done",
}


@reading.get("/projects/{name}/history", include_in_schema=False)
def show_history(
    frame: Framed,
    name: Name,
    outcome: Outcome = Outcome.ALL,
    trigger: Trigger | Literal[""] = "",
    before: DeploymentNumber | None = None,
) -> HTMLResponse:
    """All deployments, newest first."""
    view = project_view(frame, name)
    wanted = Trigger(trigger) if trigger else None
    found = frame.application.store.list_deployments(
        name,
        statuses=_STATUSES[outcome],
        only=DeploymentFilter(trigger=wanted),
        before=DeploymentId(before) if before is not None else None,
        limit=_ON_A_PAGE + 1,
    )
    shown = found[:_ON_A_PAGE]
    kept = {"outcome": str(outcome), "trigger": str(wanted or "")}
    return page(
        frame,
        "project/history.html",
        view=view,
        days=list(by_day([entry_of(one) for one in shown], frame.reader.zone_info)),
        outcomes=[(one, _WORDS[one], _query(kept, outcome=one)) for one in Outcome],
        outcome=outcome,
        triggers=TRIGGERS,
        trigger=wanted,
        before=before,
        newest=_query(kept),
        older=_query(kept, before=str(shown[-1].id)) if len(found) > _ON_A_PAGE else "",
    )


def _query(kept: Mapping[str, str], **changed: str) -> str:
    given = {name: value for name, value in {**kept, **changed}.items() if value}
    return f"?{urlencode(given)}" if given else "?"


@reading.get("/projects/{name}/images", include_in_schema=False)
def show_images(frame: Framed, name: Name) -> HTMLResponse:
    """Every image with its digests, and why it is watched or not."""
    view, store = project_view(frame, name), frame.application.store
    verified = store.list_deployments(name, statuses=[Status.DEPLOYED], limit=_MOST_VERIFIED)
    troubles = [one for one in store.list_registry_troubles() if one.goes_on(frame.now)]
    promoted = not view.project.follows_its_source
    facts = list(image_facts(view.images, view.state, verified, troubles, promoted=promoted))
    return page(frame, "project/images.html", view=view, facts=facts)
