"""The daemon at a glance, and what load balancers ask."""

import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

from fastapi import Request
from starlette.responses import JSONResponse

from reconciler import __version__
from reconciler.app import Application
from reconciler.app.installation import built_of
from reconciler.domain.errors import StoreError
from reconciler.domain.failure import Failure
from reconciler.pipeline.explain import ProjectSummary, StandingCode
from reconciler.scheduling import LoopHealth
from reconciler.web.api_clusters import cluster_bodies
from reconciler.web.api_hosts import host_bodies
from reconciler.web.principal import Policy, Seen
from reconciler.web.routing import App, router_for
from reconciler.web.schemas.daemon import (
    CountsBody,
    EngineBody,
    HealthBody,
    LoopBody,
    NotificationsBody,
    ReadyBody,
    RegistryBody,
    StatusBody,
    SwitchBody,
    VersionBody,
)
from reconciler.web.schemas.fleet import FleetStandingBody
from reconciler.web.schemas.project_summary import SummaryBody
from reconciler.web.subjects import About

open_to_all = router_for(Policy.OPEN, "daemon", About.NOTHING)
listing = router_for(Policy.READ, "daemon", About.EACH)

_CHECK_EVERY_SECONDS = 5.0

_COUNTED = {
    StandingCode.IN_SYNC: "in_sync",
    StandingCode.DEPLOYING: "deploying",
    StandingCode.QUEUED: "deploying",
    StandingCode.HELD: "held",
    StandingCode.NEEDS_APPROVAL: "held",
    StandingCode.FAILED: "failed",
    StandingCode.QUARANTINED: "failed",
    StandingCode.BRANCH_GONE: "failed",
    StandingCode.UNKNOWN: "unknown",
    StandingCode.DRIFTED: "drifted",
    StandingCode.OFF: "off",
    StandingCode.NOTHING_TO_DEPLOY: "off",
}


class StoreCheck:
    """Whether the store works, asked of it now and then only: anybody may ask us."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._lock = threading.Lock()
        self._checked_at: float | None = None
        self._problem = ""

    def problem(self) -> str:
        """Return what is wrong; empty if nothing is. Raises nothing."""
        with self._lock:
            now = self._application.clock.monotonic()
            if self._checked_at is None or now - self._checked_at >= _CHECK_EVERY_SECONDS:
                self._problem = self._check()
                self._checked_at = now
            return self._problem

    def _check(self) -> str:
        try:
            self._application.store.check()
        except StoreError as error:
            return f"the store: {error.message}"
        return ""


def find_problems(application: Application, check: StoreCheck) -> list[str]:
    """Return what keeps the daemon from its work; empty while it does it."""
    stuck = [_stuck(loop) for loop in application.daemon.loops() if not loop.ok]
    return [*stuck, text] if (text := check.problem()) else stuck


UNWELL: dict[int | str, dict[str, Any]] = {
    503: {"model": HealthBody, "description": "It does not, or it is shutting down."}
}


@open_to_all.get(
    "/api/healthz",
    response_model=HealthBody,
    summary="Whether it does its work",
    responses=UNWELL,
)
def healthz(application: App, request: Request) -> JSONResponse:
    """503 when a loop makes no progress, when the store fails, and while shutting down."""
    loops = application.daemon.loops()
    problems = find_problems(application, request.app.state.store_check)
    draining = application.daemon.state == "draining"
    status = "draining" if draining else "failing" if problems else "ok"
    body = HealthBody(
        status=status,
        version=__version__,
        commit=built_of() or None,
        loops=[_loop(loop) for loop in loops],
        problems=problems,
        warnings=_warnings(application),
    )
    return JSONResponse(body.model_dump(mode="json"), 200 if status == "ok" else 503)


@open_to_all.get(
    "/api/ready",
    response_model=ReadyBody,
    summary="Whether it takes requests",
    responses={503: {"model": ReadyBody, "description": "It is starting or shutting down."}},
)
def ready(application: App) -> JSONResponse:
    """503 until it has started, and from the moment it is told to stop."""
    state = application.daemon.state
    return JSONResponse({"status": state}, 200 if state == "ready" else 503)


@open_to_all.get("/api/version", summary="What runs here")
def version(application: App) -> VersionBody:
    """Its version, and the commit that it was built of."""
    return VersionBody(
        version=__version__,
        commit=built_of() or None,
        started_at=application.started_at,
    )


@listing.get("/status", summary="The daemon at a glance")
def status(application: App, seen: Seen) -> StatusBody:
    """Switch, engine, registries, loops, and where every project stands.

    Who sees single projects sees them alone: no hosts, no clusters, no registries, and nothing of
    a fleet file.
    """
    summaries = [one for one in application.summaries() if seen.has(one.project.name)]
    return StatusBody(
        version=__version__,
        commit=built_of() or None,
        started_at=application.started_at,
        state=application.daemon.state,
        master_switch=SwitchBody.of(application.switch()),
        engine=_engine(application.engine.ping()),
        registries=_registries(application) if seen.is_whole else [],
        loops=[_loop(loop) for loop in application.daemon.loops()],
        hosts=host_bodies(application) if seen.is_whole else [],
        clusters=cluster_bodies(application) if seen.is_whole else [],
        fleet=FleetStandingBody.of(application.fleet.standing()) if seen.is_whole else None,
        notifications=_notifications(application) if seen.is_whole else None,
        counts=_counts(summaries),
        projects=[SummaryBody.of(summary) for summary in summaries],
    )


def _notifications(application: Application) -> NotificationsBody:
    records = application.store.list_channels()
    failing = [str(record.channel.name) for record in records if record.last_error]
    return NotificationsBody(channels=len(records), failing=failing)


def _warnings(application: Application) -> list[str]:
    """Return what wants a person though the daemon does its work; nothing that is not public."""
    fleet = application.fleet.standing()
    return ["the fleet file is not applied; status says why"] if fleet and fleet.problems else []


def _counts(summaries: Sequence[ProjectSummary]) -> CountsBody:
    found = Counter(_COUNTED.get(summary.standing, "") for summary in summaries)
    names = set(_COUNTED.values())
    return CountsBody(projects=len(summaries), **{name: found[name] for name in names})


def _engine(answer: str | Failure) -> EngineBody:
    if isinstance(answer, Failure):
        return EngineBody(ok=False, version=None, error=answer.message)
    return EngineBody(ok=True, version=answer, error=None)


def _registries(application: Application) -> list[RegistryBody]:
    return [
        RegistryBody(
            host=one.host,
            reachable=one.reachable,
            error=one.error or None,
            cooling_until=one.cooling_until,
            limit_remaining=one.limit_remaining,
        )
        for one in application.registries()
    ]


def _loop(loop: LoopHealth) -> LoopBody:
    return LoopBody(
        name=loop.name,
        last_progress_at=loop.last_progress_at,
        late_seconds=loop.late.total_seconds(),
        ok=loop.ok,
    )


def _stuck(loop: LoopHealth) -> str:
    return f"{loop.name} is {loop.late.total_seconds():.0f} s late"
