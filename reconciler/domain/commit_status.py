"""What a forge is told of a commit, and where."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from reconciler.domain.deployment import Deployment, Status
from reconciler.domain.errors import InvalidInput
from reconciler.domain.forge import ForgeRepository, find_repository
from reconciler.domain.project import ExternalSource, Project
from reconciler.domain.references import CommitSha
from reconciler.domain.webhook import Provider

#: Source: its ``internal/route/api/v1/api.go``, which has no route for them.
_WITHOUT_STATUSES = frozenset({Provider.GOGS})


class CommitState(StrEnum):
    """How a commit fares; each forge has words of its own for it."""

    WAITING = "waiting"
    UNDER_WAY = "under-way"
    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"  #: a person has to look
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether nothing more is to come of the same deployment."""
        return self not in {CommitState.WAITING, CommitState.UNDER_WAY}


@dataclass(frozen=True, slots=True)
class CommitStatus:
    """One status of one commit. A forge keeps the newest of each context."""

    commit: CommitSha
    state: CommitState
    description: str  #: at most 140 characters, which is what GitHub takes
    context: str
    url: str = ""  #: where it links to; empty: nowhere


def context_of(project: Project) -> str:
    """Return what tells a project's statuses from those of others on the same commit."""
    return f"reconciler/{project.name}"


def find_forge(project: Project) -> ForgeRepository:
    """Return the forge that the project's source is at, as far as it takes commit statuses.

    Raises:
        InvalidInput: there is none, or which one it is can't be told.
    """
    if not isinstance(project.source, ExternalSource):
        problem = "needs a project that follows a `url`: no forge knows of the others"
        raise InvalidInput("commit_statuses", None, problem)
    provider = project.forge
    url = str(project.forge_url) if project.forge_url else None
    found = find_repository(project.source.url, provider, url, field="forge")
    if found.provider in _WITHOUT_STATUSES:
        problem = f"{found.provider} has no commit statuses"
        raise InvalidInput("commit_statuses", None, problem)
    return found


def forge_origin(project: Project) -> str:
    """Return the origin that a project's token for its forge is for; empty without a forge."""
    try:
        return find_forge(project).origin
    except InvalidInput:
        return ""


def report_on(deployment: Deployment) -> tuple[CommitState, str]:
    """Return how its commit fares, and a description.

    That names codes and no more: whoever may read the repository reads it, and messages of errors
    tell of hosts and paths.
    """
    state, words = _REPORTS[deployment.status]
    return state, f"Deployment {deployment.id} {words(deployment)}"


def _waits(deployment: Deployment) -> str:
    if deployment.attempt == 1:
        return "waits for its turn"
    return f"waits for attempt {deployment.attempt}{_because(deployment)}"


def _because(deployment: Deployment) -> str:
    return f" ({deployment.error.code})" if deployment.error else ""


def _plain(words: str) -> Callable[[Deployment], str]:
    return lambda _: words


_REPORTS: Mapping[Status, tuple[CommitState, Callable[[Deployment], str]]] = {
    Status.QUEUED: (CommitState.WAITING, _waits),
    Status.RUNNING: (CommitState.UNDER_WAY, _plain("is under way")),
    Status.DEPLOYED: (CommitState.SUCCESS, _plain("runs, and is verified")),
    Status.ROLLED_BACK: (
        CommitState.FAILURE,
        lambda one: f"failed and was rolled back{_because(one)}",
    ),
    Status.FAILED: (CommitState.FAILURE, lambda one: f"failed{_because(one)}"),
    Status.NEEDS_OPERATOR: (CommitState.ERROR, lambda one: f"needs a person{_because(one)}"),
    Status.SUPERSEDED: (CommitState.CANCELLED, _plain("gave way to a newer one")),
    Status.WITHDRAWN: (CommitState.CANCELLED, _plain("was stopped before it changed anything")),
}
