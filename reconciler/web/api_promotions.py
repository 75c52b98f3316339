"""Promotions: propose one, vote on it, see what became of it."""

from typing import Annotated, Literal

from fastapi import Path, Query, Request, Response
from starlette.responses import JSONResponse

from reconciler.domain.promotion import PromotionId
from reconciler.web.pagination import NewestPaged
from reconciler.web.principal import Policy, Seen, actor_of
from reconciler.web.problems import refusal, respond
from reconciler.web.routing import WITH_BODY, App, Name, errors, router_for
from reconciler.web.schemas.body import MOST_NUMBER
from reconciler.web.schemas.promotions import NewPromotion, NewVote, PromotionBody, PromotionPage
from reconciler.web.subjects import About

listing = router_for(Policy.READ, "promotions", About.EACH)
reading = router_for(Policy.READ, "promotions", About.PROJECT)
triggering = router_for(Policy.TRIGGER, "promotions", About.PROJECT)

Number = Annotated[
    int, Path(ge=1, le=MOST_NUMBER, description="Number of a promotion.", examples=[5])
]


@listing.get("/promotions", summary="List what waits to be promoted", responses=errors(422))
def list_waiting_promotions(
    application: App,
    page: NewestPaged,
    seen: Seen,
    _status: Annotated[
        Literal["waiting"],
        Query(alias="status", description="Only those that stand so.", examples=["waiting"]),
    ] = "waiting",
) -> PromotionPage:
    """Of all projects, newest first: for approvals, for a window, for a switch."""
    before = page.before()
    waiting = application.promotions.list_waiting(seen.projects)
    newest = [one for one in reversed(waiting) if before is None or one.id < before]
    found, following = page.cut(newest, lambda one: one.id)
    return PromotionPage(items=[PromotionBody.of(one) for one in found], next=following)


@reading.get(
    "/projects/{name}/promotions",
    summary="List a project's promotions, newest first",
    responses=errors(404, 422),
)
def list_promotions(application: App, name: Name, page: NewestPaged) -> PromotionPage:
    """Whatever became of them, in pages; `next` leads to the older ones."""
    application.store.get_project(name)
    before = page.before()
    newest = application.promotions.history(
        name, PromotionId(before) if before is not None else None, page.limit + 1
    )
    found, following = page.cut(newest, lambda one: one.id)
    return PromotionPage(items=[PromotionBody.of(one) for one in found], next=following)


@reading.get(
    "/projects/{name}/promotions/{id}", summary="Show a promotion", responses=errors(404, 422)
)
def show_promotion(application: App, name: Name, id: Number) -> PromotionBody:  # noqa: A002
    """What goes where, who wants it, and who said what."""
    return PromotionBody.of(application.promotions.get(name, PromotionId(id)))


@triggering.post(
    "/projects/{name}/promotions",
    status_code=202,
    response_model=PromotionBody,
    summary="Promote what the environment before verified",
    responses=errors(404, 409, *WITH_BODY),
)
def propose_promotion(
    application: App, name: Name, request: Request, body: NewPromotion | None = None
) -> Response:
    """To this project, in your name: the very commit and digests; nothing is built or resolved.

    It is deployed at once (`became`), or waits for approvals or a window; the project's
    `environments` tell for what. 409 where it may not go there: `not-verified-upstream`,
    `soaking`, `quarantined`, `already-live` and the like.
    """
    wanted = (body or NewPromotion()).proposal()
    proposed = application.promotions.propose(name, wanted, actor=actor_of(request))
    if proposed.result is not None and proposed.result.outcome == "refused":
        return respond(refusal(proposed.result.reasons))
    answer = PromotionBody.of(proposed.promotion).model_dump(mode="json")
    location = f"/api/v1/projects/{name}/promotions/{proposed.promotion.id}"
    return JSONResponse(answer, 202, {"location": location})


@triggering.post(
    "/projects/{name}/promotions/{id}/approve",
    summary="Approve a promotion",
    responses=errors(404, 409, *WITH_BODY),
)
def approve_promotion(
    application: App,
    name: Name,
    request: Request,
    id: Number,  # noqa: A002  the path's word
    body: NewVote | None = None,
) -> PromotionBody:
    """This revision, and no other. Once enough people have, it is deployed as soon as it may.

    Each person counts once, and their last word. 403 for a token, which is no person; 409 once
    it waits no longer.
    """
    promotions, reason = application.promotions, (body or NewVote()).remark()
    voted = promotions.approve(name, PromotionId(id), reason=reason, actor=actor_of(request))
    return PromotionBody.of(voted)


@triggering.post(
    "/projects/{name}/promotions/{id}/reject",
    summary="Reject a promotion",
    responses=errors(404, 409, *WITH_BODY),
)
def reject_promotion(
    application: App,
    name: Name,
    request: Request,
    id: Number,  # noqa: A002  the path's word
    body: NewVote | None = None,
) -> PromotionBody:
    """One no ends it. The revision is not proposed again by itself; another one is.

    403 for a token, which is no person; 409 once it waits no longer.
    """
    promotions, reason = application.promotions, (body or NewVote()).remark()
    voted = promotions.reject(name, PromotionId(id), reason=reason, actor=actor_of(request))
    return PromotionBody.of(voted)
