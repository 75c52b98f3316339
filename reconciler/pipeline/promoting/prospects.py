"""What an environment could get from the one before it, and whether it goes there by itself."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from reconciler.domain.deployment import Deployment
from reconciler.domain.errors import NotFound
from reconciler.domain.gate import Reason
from reconciler.domain.project import Project
from reconciler.domain.promoting import (
    Soak,
    content_of,
    last_decision,
    longest_stand,
    runs,
    same_content,
    stays_decided,
)
from reconciler.domain.promotion import (
    Promotion,
    PromotionId,
    PromotionStatus,
    Standing,
    handed_on,
)
from reconciler.domain.references import ProjectName
from reconciler.domain.revision import Revision
from reconciler.domain.state import ProjectState
from reconciler.pipeline.promoting.origin import (
    Origin,
    read_origin,
    reasons_of_age,
    soak_of,
    standing_of,
)
from reconciler.ports import Clock, Store

_MOST_LOOKED_THROUGH = 50
#: Before every promotion.
_NONE = PromotionId(0)


@dataclass(frozen=True, slots=True)
class Prospect:
    """One environment, the one before it, and what lies between them."""

    project: Project
    state: ProjectState
    origin: Origin
    candidate: Deployment | None = None  #: what is live there, and not here; None: nothing else
    trouble: str = ""  #: why the candidate does not count as verified; empty: it does
    soak: Soak | None = None  #: of the candidate
    standing: Standing | None = None  #: what stands there now
    waiting: tuple[Promotion, ...] = ()  #: oldest first
    decided: Promotion | None = None  #: what keeps the candidate from being proposed by itself
    #: What was admitted for the candidate before, and did not start.
    held: Promotion | None = None
    young: tuple[Reason, ...] = ()  #: which of the candidate's images are too young to follow
    doubt: str = ""  #: why nobody knows that the candidate is well now; empty: it is
    seen: PromotionId = _NONE  #: the newest promotion that there was

    @property
    def revision(self) -> Revision | None:
        """What the candidate would be here."""
        prepared = self.candidate.prepared if self.candidate else None
        return handed_on(prepared, self.project.generation) if prepared else None

    @property
    def proposed(self) -> Promotion | None:
        """The promotion of the candidate that waits."""
        revision = self.revision
        alike = (one for one in self.waiting if revision and same_content(one.revision, revision))
        return next(alike, None)

    @property
    def is_asked(self) -> bool:
        """Whether it comes when people ask for it, rather than by itself."""
        asked = self.proposed is not None and bool(self.proposed.asked_by)
        return asked or self.project.rules.approvals > 0

    @property
    def is_under_way(self) -> bool:
        """Whether a deployment of the candidate waits or runs."""
        revision = self.revision
        under_way = (one for one in (self.state.queued, self.state.running) if one)
        return any(revision and same_content(one.revision, revision) for one in under_way)

    @property
    def is_quarantined(self) -> bool:
        """Whether it failed here before."""
        revision = self.revision
        return any(
            revision and same_content(one.revision, revision) for one in self.state.quarantined
        )

    @property
    def follows(self) -> bool:
        """Whether it is to be proposed by itself, now."""
        if self.candidate is None or self.trouble or self.soak is None or self.doubt:
            return False
        asked = self.held is not None and self.held.asked_by
        wanted = self.project.auto_deploy or self.project.rules.approvals > 0 or asked
        kept = self.decided or self.proposed or self.is_under_way or self.is_quarantined
        return bool(wanted) and self.soak.over and not kept


@dataclass(frozen=True, slots=True)
class Prospects:
    """Reads them; records nothing."""

    store: Store
    clock: Clock
    #: Tells why nobody knows that what runs in an environment is well; empty: it is.
    doubt: Callable[[ProjectName], str]

    def read(self, project: Project, state: ProjectState) -> Prospect | None:
        """Return that of ``project``; None: it is promoted from no other."""
        if project.promoted_from is None:
            return None
        return self.look_into(project, state, read_origin(self.store, project.promoted_from))

    def look_into(self, project: Project, state: ProjectState, origin: Origin) -> Prospect:
        """Return that of ``project``, which is promoted from ``origin``."""
        waiting = tuple(self.store.list_waiting(project.name))
        standing = standing_of(self.store, origin)
        known = Prospect(project, state, origin, standing=standing, waiting=waiting)
        candidate = _candidate(origin.state, state)
        return self._looked_into(known, candidate) if candidate else known

    def _looked_into(self, known: Prospect, candidate: Deployment) -> Prospect:
        origin, project = known.origin, known.project
        now = self.clock.now()
        soak = soak_of(self.store, origin, candidate, project, now)
        promotions = self.store.list_promotions(project.name, limit=_MOST_LOOKED_THROUGH)
        content = content_of(candidate)
        last = last_decision(promotions, content) if content else None
        decided = last and stays_decided(last, candidate, self._became(last))
        promoted = (one for one in promotions if one.status is PromotionStatus.PROMOTED)
        # What somebody wanted before something else went there is wanted no longer.
        is_newest = last is not None and all(one.id <= last.id for one in promoted)
        return replace(
            known,
            candidate=candidate,
            trouble=origin.trouble_with(candidate),
            soak=soak,
            young=reasons_of_age(self.store, origin, project, content, now) if content else (),
            decided=last if decided else None,
            held=last if is_newest and not decided else None,
            doubt=self.doubt(origin.project.name) if soak.needed else "",
            seen=max((one.id for one in promotions), default=_NONE),
        )

    def _became(self, promotion: Promotion | None) -> Deployment | None:
        if promotion is None or promotion.became is None:
            return None
        try:
            return self.store.get_deployment(promotion.became)
        except NotFound:
            return None


def first_looks(
    store: Store,
    projects: Sequence[Project],
    states: Mapping[ProjectName, ProjectState],
    now: datetime,
) -> Mapping[ProjectName, Prospect]:
    """Return what a list of all projects knows of each, in two statements."""
    promoted = [one for one in projects if one.promoted_from]
    if not promoted:
        return {}
    named = {one.name: one for one in projects}
    waiting: dict[ProjectName, list[Promotion]] = defaultdict(list)
    for promotion in store.list_waiting():
        waiting[promotion.project].append(promotion)
    standings = store.current_standings()
    found = {}
    for project in promoted:
        before = named.get(project.promoted_from) if project.promoted_from else None
        if before is None or not {before.name, project.name} <= states.keys():
            continue
        origin, state = Origin(before, states[before.name], ()), states[project.name]
        known = Prospect(project, state, origin, waiting=tuple(waiting[project.name]))
        found[project.name] = _with_stand(known, standings.get(before.name), now)
    return found


def _with_stand(known: Prospect, standing: Standing | None, now: datetime) -> Prospect:
    """Return it with what is to be seen of its candidate at a glance."""
    candidate, environment = _candidate(known.origin.state, known.state), known.project.environment
    if candidate is None or environment is None:
        return replace(known, standing=standing)
    stands = standing is not None and standing.deployment == candidate.id
    stood = longest_stand([standing] if standing and stands else (), now)
    soak = Soak(stood, environment.soak)
    return replace(known, standing=standing, candidate=candidate, soak=soak)


def _candidate(origin: ProjectState, state: ProjectState) -> Deployment | None:
    """Return what is live in the environment before, unless it is what runs."""
    live = origin.live
    content = content_of(live) if live else None
    return None if content is None or runs(state, content) else live
