"""The way from the commit that is live to the one that would be taken."""

from dataclasses import dataclass

from reconciler.domain.errors import RevisionNotFound
from reconciler.domain.history import History
from reconciler.domain.plan import Direction, Finding, Weight
from reconciler.domain.project import Project
from reconciler.domain.references import CommitSha
from reconciler.pipeline.sources import Sources


@dataclass(frozen=True, slots=True)
class Route:
    """How two commits stand to each other."""

    direction: Direction
    live: CommitSha | None
    commit: CommitSha | None
    history: History | None = None  #: of a way back: the commits that would be taken back

    def findings(self) -> tuple[Finding, ...]:
        """Return what is to be said of it."""
        if self.live is None or self.commit is None:
            return ()
        texts = {
            Direction.REWRITTEN: f"the branch was rewritten, or it is another one's: "
            f"{self.live.short}, which is live, is not an ancestor of {self.commit.short}",
            Direction.BACK: f"it goes back: {self.commit.short} is an ancestor of "
            f"{self.live.short}, which is live",
            Direction.UNKNOWN: f"{self.live.short}, which is live, is not among the newest commits "
            f"before {self.commit.short}: it is far behind, or the branch was rewritten",
        }
        text = texts.get(self.direction)
        codes = {Direction.REWRITTEN: "branch-rewritten", Direction.BACK: "goes-back"}
        code = codes.get(self.direction, "history-unknown")
        return (Finding(Weight.TELLS, code, text),) if text else ()


def start_of(live: CommitSha | None, commit: CommitSha | None, *, first: bool) -> Route:
    """Return the route as far as nobody has to be asked; UNKNOWN where somebody has to."""
    if first:
        return Route(Direction.FIRST, live, commit)
    if live == commit:
        return Route(Direction.SAME, live, commit)
    return Route(Direction.UNKNOWN, live, commit)


def find_route(sources: Sources, project: Project, start: Route) -> Route:
    """Ask the source how the two stand.

    Raises:
        SourceError: it did not say.
    """
    live, commit = start.live, start.commit
    if start.direction is not Direction.UNKNOWN or live is None or commit is None:
        return start
    history = sources.history(project, commit, live)
    if history.base_found:
        return Route(Direction.FORWARD, live, commit, history)
    try:
        back = sources.history(project, live, commit)
    except RevisionNotFound:  # nothing leads to it any more, and nobody keeps it
        back = None
    if back and back.base_found:
        return Route(Direction.BACK, live, commit, back)
    direction = Direction.UNKNOWN if history.more else Direction.REWRITTEN
    return Route(direction, live, commit, history)
