"""How the daemon stands, in numbers, from the same facts that status shows."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from reconciler import __version__
from reconciler.adapters.metrics import Meters, Reading, Scrape
from reconciler.adapters.registry.oras_registry import OrasRegistry
from reconciler.app.installation import built_of
from reconciler.domain.errors import SourceThrottled
from reconciler.domain.project import ExternalSource
from reconciler.pipeline.explain import Explainer, ProjectSummary, StandingCode
from reconciler.ports import Clock, Own, ProjectFigures, Shared, Store
from reconciler.scheduling import Daemon

#: Prometheus gives up after ten seconds; by then it has what can be said without the store.
_LONGEST_READ = timedelta(seconds=3)
#: Seconds after which standings are read again though nothing was recorded: some are over in time.
_AGE = 60.0

_Found = tuple[Sequence[ProjectFigures], Mapping[str, datetime]]


@dataclass(slots=True)
class Figures:
    """What is read where somebody asks for the figures."""

    store: Store
    clock: Clock
    explainer: Explainer
    daemon: Daemon
    registry: OrasRegistry
    _standings: "_Standings" = field(init=False)

    def __post_init__(self) -> None:
        """Begin with nothing read."""
        self._standings = _Standings(self.store, self.clock, self.explainer)

    def scrape(self, meters: Meters, *, per_project: bool) -> Scrape:
        """Return what answers Prometheus."""
        shared = Reading(self.shared, _LONGEST_READ)
        return Scrape(meters.registry, self.clock, self.own, shared, per_project)

    def own(self) -> Own:
        """Return what this process knows."""
        return Own(
            version=__version__,
            commit=built_of(),
            ready=self.daemon.state == "ready",
            stuck_loops={loop.name: not loop.ok for loop in self.daemon.loops()},
            registries=self.registry.status(),
        )

    def shared(self) -> Shared:
        """Return what the store says. Raises ``StoreError``."""
        switch = self.explainer.brakes(self.store.get_switch())
        projects, git_hosts = self._standings.read(str(switch))
        return Shared(
            store=self.store.read_figures(self.clock.now()),
            master_switch=switch.enabled and not switch.emergency_file,
            projects=projects,
            git_hosts=git_hosts,
        )


@dataclass(slots=True)
class _Standings:
    """Where the projects stand. Read anew where something changed, and now and then: see ``_AGE``.

    For one thread at a time.
    """

    store: Store
    clock: Clock
    explainer: Explainer
    _mark: str = ""
    _read_at: float = -math.inf
    _found: _Found = ((), {})

    def read(self, mark: str) -> _Found:
        """Return each project's standing, and the git servers that are left alone."""
        mark = f"{mark} {self.explainer.troubles()} {self.store.change_mark()}"
        now = self.clock.monotonic()
        if mark != self._mark or now - self._read_at > _AGE:
            summaries = self.explainer.summaries()
            self._found = [_project(one) for one in summaries], _throttled(summaries)
            self._mark, self._read_at = mark, now
        return self._found


def _project(summary: ProjectSummary) -> ProjectFigures:
    return ProjectFigures(
        name=summary.project.name,
        standing=summary.standing,
        reason=summary.reason,
        in_sync=summary.standing is StandingCode.IN_SYNC,
        since=summary.since,
    )


def _throttled(summaries: Iterable[ProjectSummary]) -> Mapping[str, datetime]:
    """Return the git servers that asked to be left alone, and until when."""
    found: dict[str, datetime] = {}
    for one in summaries:
        source, health = one.project.source, one.health
        if health.error is None or health.error.code != SourceThrottled.code:
            continue
        if isinstance(source, ExternalSource) and health.next_look_at:
            known = found.get(source.url.host, health.next_look_at)
            found[source.url.host] = max(known, health.next_look_at)
    return found
