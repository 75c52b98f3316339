"""One deployment: where it stands, why, what it changed, and its log."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Annotated

from fastapi import Depends, Query, Request
from starlette.responses import HTMLResponse, JSONResponse

from reconciler.domain.access import Scope
from reconciler.domain.deployment import (
    AS_BEFORE,
    Deployment,
    DeploymentId,
    Stage,
    Status,
    TargetRecord,
    TargetStatus,
)
from reconciler.domain.errors import MigrationNeedsApproval, NotFound
from reconciler.domain.receipt import Receipt
from reconciler.domain.revision import ImageChange, changes_between
from reconciler.log import plain
from reconciler.ports import LogLine, Store
from reconciler.web.api_deployments import Number
from reconciler.web.pages.deployment.around import delivery_of, told_of
from reconciler.web.pages.deployment.log import LONGEST_FIND
from reconciler.web.pages.deployment.log_lines import find_first_error
from reconciler.web.pages.deployment.log_page import Wanted, log_page
from reconciler.web.pages.deployment.read_back import Row, Sample, rows_of, samples_of
from reconciler.web.pages.deployment.stages import StageLine, stage_line
from reconciler.web.pages.deployment.timeline import noticed_by
from reconciler.web.pages.frame import Framed
from reconciler.web.pages.rendering import page
from reconciler.web.pages.who_may import who_may
from reconciler.web.principal import Policy
from reconciler.web.routing import App, router_for
from reconciler.web.schemas.body import MOST_NUMBER
from reconciler.web.schemas.receipts import SignedReceiptBody
from reconciler.web.subjects import About

reading = router_for(Policy.READ, "pages", About.DEPLOYMENT)

#: Hosts that are named one by one, where all goes well.
_MOST_HOSTS = 4
#: Of a line that is shown beside the log.
_LONGEST_QUOTE = 300
_WORST_FIRST = (
    *(TargetStatus.FAILED, TargetStatus.UNREACHABLE, TargetStatus.APPLIED),
    *(TargetStatus.ROLLED_BACK, TargetStatus.WAITING, TargetStatus.VERIFIED),
)


@dataclass(frozen=True)
class DeploymentView:
    """What the page of one deployment shows."""

    store: Store
    deployment: Deployment
    now: datetime

    @property
    def noticed_by(self) -> str:
        """Who or what asked for it first."""
        return noticed_by(self.deployment.causes[0])

    @cached_property
    def before(self) -> Deployment | None:
        """What ran before it, and is gone back to: the last one that was verified."""
        one = self.deployment
        if one.rolled_back_to:
            return _find(self.store, one.rolled_back_to)
        verified = self.store.list_deployments(
            one.project, statuses=[Status.DEPLOYED], before=one.id, limit=1
        )
        return next(iter(verified), None)

    @cached_property
    def since(self) -> Deployment | None:
        """What was verified since, where anything was: then this one is history."""
        verified = self.store.list_deployments(
            self.deployment.project, statuses=[Status.DEPLOYED], limit=1
        )
        return next((one for one in verified if one.id > self.deployment.id), None)

    @cached_property
    def stages(self) -> StageLine:
        """Its stages, with what is usual."""
        usual = self.store.usual_durations(self.deployment.project)
        return stage_line(self.deployment, usual, self.now)

    @cached_property
    def rows(self) -> Sequence[Row]:
        """Each service before and after."""
        return rows_of(self.deployment, self.before)

    @cached_property
    def samples(self) -> Sequence[Sample]:
        """What it was asked while it was verified."""
        return samples_of(self.deployment)

    @cached_property
    def first_error(self) -> LogLine | None:
        """The line that tells first why it ended badly."""
        return find_first_error(self.store, self.deployment)

    @property
    def first_error_text(self) -> str:
        """What that line says, in the app's own words."""
        said = plain(self.first_error.text) if self.first_error else ""
        return said.strip()[:_LONGEST_QUOTE]

    @cached_property
    def receipt(self) -> Receipt | None:
        """What was signed of it; None until it has ended."""
        if not self.deployment.status.final:
            return None
        try:
            return self.store.get_receipt(self.deployment.id)
        except NotFound:
            return None

    @property
    def moved(self) -> Sequence[ImageChange]:
        """Images that it runs and that were others before."""
        before, after = self.deployment.before, self.deployment.target_revision.images
        known = before.images if before else {}
        return [one for one in changes_between(known, after) if one.after and one.before]

    @property
    def commit_moved(self) -> bool:
        """Whether its commit is another than the one before."""
        before, commit = self.deployment.before, self.deployment.target_revision.commit
        return commit is not None and (before is None or before.commit != commit)

    @property
    def several_hosts(self) -> bool:
        """Whether it goes to more than one host."""
        return len(self.deployment.targets) > 1

    @property
    def hosts(self) -> Sequence[TargetRecord]:
        """Those that are named one by one: all of a few, else those on which something is wrong."""
        every = sorted(self.deployment.targets, key=lambda one: _WORST_FIRST.index(one.status))
        if len(every) <= _MOST_HOSTS:
            return every
        return [one for one in every if one.error or one.status is TargetStatus.FAILED]

    @property
    def changed(self) -> Sequence[TargetRecord]:
        """Hosts on which something else may run than before."""
        return [one for one in self.deployment.targets if one.status not in AS_BEFORE]

    @property
    def may_be_cancelled(self) -> bool:
        """Whether nothing was changed yet, and nobody asked to stop it."""
        one = self.deployment
        before_any_change = one.status is Status.QUEUED or one.stage.is_before_any_change
        return not one.status.final and before_any_change and one.withdrawal is None

    @property
    def waits_for_approval(self) -> bool:
        """Whether its migration waits for a person."""
        error = self.deployment.error
        return error is not None and error.code == MigrationNeedsApproval.code

    @property
    def exposed(self) -> tuple[datetime, datetime] | None:
        """From when until when it was up before it was gone back on; None: it was not."""
        stages = self.deployment.stages
        began = [one.started_at for one in stages if one.stage is Stage.APPLY]
        ended = [one.finished_at for one in stages if one.stage is Stage.ROLL_BACK]
        return (began[-1], ended[-1]) if began and ended and ended[-1] else None

    @property
    def who_may_act(self) -> str:
        """Who deploys its project, for somebody who may not."""
        return who_may(self.store, Scope.TRIGGER, self.deployment.project)

    @property
    def ran_as(self) -> Sequence[str]:
        """Hashes of what was rendered for each host."""
        prepared = self.deployment.prepared
        found = (one.rendered_sha256 for one in prepared.targets) if prepared else ()
        return [one for one in dict.fromkeys(found) if one]


async def _of_log(
    find: Annotated[str, Query(max_length=LONGEST_FIND)] = "",
    at: Annotated[int, Query(ge=1, le=MOST_NUMBER)] = 1,
    number: Annotated[int, Query(alias="page", ge=0, le=MOST_NUMBER)] = 0,
    *,
    back: bool = False,
) -> Wanted:
    return Wanted(find, at, back, number)


#: What of the log is asked for, by somebody without a script.
OfLog = Annotated[Wanted, Depends(_of_log)]


@reading.get("/deployments/{id}", include_in_schema=False)
def show_deployment(
    frame: Framed,
    request: Request,
    id: Number,  # noqa: A002  the path's word
    wanted: OfLog,
) -> HTMLResponse:
    """All that is known of it."""
    store = frame.application.store
    view = DeploymentView(store, store.get_deployment(DeploymentId(id)), frame.now)
    # What the script reads anew shows the log by itself.
    whole = request.headers.get("sec-fetch-dest", "document") == "document"
    log = log_page(store, view.deployment, view.first_error, wanted) if whole else None
    may_look_around = frame.may(Policy.READ)
    return page(
        frame,
        "deployment/show.html",
        view=view,
        one=view.deployment,
        log=log,
        find=wanted.text,
        delivery=delivery_of(store, view.deployment, frame.sight) if may_look_around else None,
        told=told_of(store, view.deployment) if may_look_around else (),
    )


@reading.get("/deployments/{id}/receipt.json", include_in_schema=False)
def show_receipt(application: App, id: Number) -> JSONResponse:  # noqa: A002  the path's word
    """What was signed of it, enough to check it elsewhere. 404 until it has ended."""
    body = SignedReceiptBody.of(application.store.get_receipt(DeploymentId(id)))
    return JSONResponse(body.model_dump(mode="json"))


def _find(store: Store, number: DeploymentId) -> Deployment | None:
    try:
        return store.get_deployment(number)
    except NotFound:
        return None
