"""Pushes, and the branch tips of hosted repositories: read from disk, whatever a push says.

A push to a repository that another server keeps is a hint to look there now.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from reconciler.domain.deployment import Trigger
from reconciler.domain.errors import NotFound, ReconcilerError, SourceError, StoreError
from reconciler.domain.failure import Failure
from reconciler.domain.project import ExternalSource, HostedSource, Project
from reconciler.domain.references import CommitSha, ProjectName
from reconciler.domain.state import SourceHealth
from reconciler.domain.wish import Wish
from reconciler.log import correlated
from reconciler.ports import Bring, Clock, PollResult, Repositories, Store, bring_nothing

_FOLDERS_AT_ONCE = 16
#: Acts on a tip (project, tip, what was acted on before, who wanted the look if anybody did);
#: returns in plain words what came of it.
ActOnTip = Callable[[ProjectName, CommitSha, CommitSha | None, Wish | None], str]
#: Looks at an external source in the background, in somebody's name if there is one.
LookElsewhere = Callable[[ProjectName, Wish | None], object]


@dataclass(slots=True)
class Pushes:
    """Accepted pushes, and the hosted repositories as the projects follow them.

    What a push says is not believed: the branch is read again, one reader per project at a time,
    so that of two pushes in a row the later tip is always the last one acted on.
    """

    store: Store
    repositories: Repositories
    clock: Clock
    act: ActOnTip
    look_elsewhere: LookElsewhere
    bring: Bring = bring_nothing
    _guard: threading.Lock = field(default_factory=threading.Lock, init=False)
    _locks: dict[ProjectName, threading.Lock] = field(init=False)

    def __post_init__(self) -> None:
        self._locks = defaultdict(threading.Lock)

    def receive(self, repository: ProjectName, refs: Collection[str]) -> Sequence[str]:
        """Act on an accepted push to ``repository``; return lines for whoever pushed.

        Args:
            repository: which one.
            refs: in full; those that the push moved.
        """
        followers = [
            project
            for project in self.store.list_followers(repository)
            if project.source and project.source.branch.ref in refs
        ]
        if not followers:
            moved = ", ".join(sorted(ref.removeprefix("refs/heads/") for ref in refs)) or "nothing"
            return [f"no project follows {moved} of {repository}"]
        return [f"{project.name}: {self._look_aside(project)}" for project in followers]

    def _look_aside(self, project: Project) -> str:
        """Look at one follower; what is wrong with its source keeps no other from being seen.

        Raises:
            StoreError: which is everybody's.
        """
        try:
            return self.look_at(project)
        except SourceError as error:
            return f"{error.message}; it is looked at again soon"

    def look_at(self, project: Project, wish: Wish | None = None) -> str:
        """Look at one project's branch now, and act on it; elsewhere it takes a moment."""
        if not project.follows_its_source:
            return f"it gets what {project.promoted_from} verified"
        match project.source:
            case HostedSource() as source:
                return self._look(project, source, wish)
            case ExternalSource(url):
                self.look_elsewhere(project.name, wish)
                return f"{url} is looked at now"
            case None:
                return "it follows no repository"

    def look_at_all(self, interval: timedelta) -> None:
        """Look at the branch of every auto-deploying project, and act on those that moved."""
        looks = self._looks(interval, lambda one: one.auto_deploy and one.followed_folder is None)
        self.store.record_polls([look() for look in looks])

    def look_at_folders(self, interval: timedelta) -> None:
        """Look at every folder that is followed, on whichever host, and act where that moved.

        Apart from the others, and side by side: who waits for a host keeps few from being looked
        at.
        """
        looks = self._looks(interval, lambda one: one.followed_folder is not None)
        with ThreadPoolExecutor(_FOLDERS_AT_ONCE, thread_name_prefix="folders") as pool:
            self.store.record_polls(list(pool.map(lambda look: look(), looks)))

    def _looks(
        self, interval: timedelta, wanted: Callable[[Project], bool]
    ) -> list[Callable[[], PollResult]]:
        """Return a look at each project that is wanted."""
        states = self.store.list_states()
        looks: list[Callable[[], PollResult]] = []
        for project in self.store.list_projects():
            if not isinstance(project.source, HostedSource) or not project.follows_its_source:
                continue
            if not wanted(project):
                continue
            tracked = states[project.name].tracked_commit if project.name in states else None
            looks.append(partial(self._compare, project, project.source, tracked, interval))
        return looks

    def _compare(
        self,
        project: Project,
        source: HostedSource,
        tracked: CommitSha | None,
        interval: timedelta,
    ) -> PollResult:
        """Look at one branch in its turn; what is wrong with its repository is its trouble alone.

        Raises:
            StoreError: which is everybody's.
        """
        try:
            self.bring(project)
            tip = self.repositories.tip(source.repository, source.branch)
            if tip not in {None, tracked} and project.auto_deploy:
                self._look(project, source)
        except StoreError:
            raise
        except ReconcilerError as error:
            return self._failed(project, error, interval)
        return self._seen(project, tip, tracked, interval)

    def _look(self, project: Project, source: HostedSource, wish: Wish | None = None) -> str:
        with self._alone(project.name), correlated(wish.correlation if wish else ""):
            self._bring(project)
            tip = self.repositories.tip(source.repository, source.branch)
            tracked = self.store.get_state(project.name).tracked_commit
            # Acted on first: somebody waits for that, and nobody for the record of the look.
            said = (
                self.act(project.name, tip, tracked, wish or _wish_of(project))
                if tip is not None
                else f"branch {source.branch} is gone; what runs stays as it is"
            )
            self.store.record_polls([self._seen(project, tip, tracked, timedelta(minutes=1))])
            return said

    def _bring(self, project: Project) -> None:
        """Record what changed in a folder; what is wrong there is told by the project, too."""
        try:
            self.bring(project)
        except StoreError:
            raise
        except ReconcilerError as error:
            self.store.record_polls([self._failed(project, error, timedelta(minutes=1))])
            raise

    def _failed(self, project: Project, error: ReconcilerError, interval: timedelta) -> PollResult:
        now = self.clock.now()
        try:
            before = self.store.get_health(project.name)
        except NotFound:
            before = SourceHealth()  # the project was removed while its host was waited for
        health = before.after_failure(Failure.of(error), now, now + interval)
        return PollResult(project.name, health)

    def _seen(
        self,
        project: Project,
        tip: CommitSha | None,
        tracked: CommitSha | None,
        interval: timedelta,
    ) -> PollResult:
        now = self.clock.now()
        health = SourceHealth(
            looked_at=now,
            next_look_at=now + interval,
            observed=tip,
            observed_at=now if tip else None,
            # A branch that nobody pushed yet is not gone.
            branch_gone=tip is None and tracked is not None,
        )
        return PollResult(project.name, health)

    @contextmanager
    def _alone(self, name: ProjectName) -> Iterator[None]:
        with self._guard:
            lock = self._locks[name]
        with lock:
            yield


def _wish_of(project: Project) -> Wish | None:
    """Return who notices that a folder changed: nobody pushes what we record of it."""
    if project.followed_folder is None:
        return None
    return Wish(Trigger.GIT_POLL, str(Trigger.GIT_POLL))
