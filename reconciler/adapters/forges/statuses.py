"""Commit statuses: one request each, in the words of each family of forges.

Sources: Gitea's and Forgejo's ``/api/swagger``, ``repoCreateStatus``; GitHub's REST reference,
"Commit statuses"; GitLab's, "Commits API", "Set the pipeline status of a commit".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from reconciler.adapters.forges.conversation import Conversation
from reconciler.domain.commit_status import CommitState, CommitStatus
from reconciler.domain.errors import ForgeRefused
from reconciler.domain.forge import ForgeRepository
from reconciler.domain.webhook import Provider

#: What GitHub takes, and shorter than any other's limit.
_LONGEST_DESCRIPTION = 140
#: GitLab has a machine of states, and refuses (400) what is no step in it: to wait, or to be under
#: way, once more.
_NO_STEP = "Cannot transition status"


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one kind of forge is told."""

    scope: str  #: what a token needs, in the forge's words
    path_of: Callable[[ForgeRepository], str]  #: of what is below it by commit
    words: Mapping[CommitState, str]


def _path_at_github(repository: ForgeRepository) -> str:
    return f"/repos/{quote(repository.path)}/statuses"


def _path_at_gitlab(repository: ForgeRepository) -> str:
    return f"/projects/{quote(repository.path, safe='')}/statuses"


_OF_GITHUB = {
    CommitState.WAITING: "pending",
    CommitState.UNDER_WAY: "pending",
    CommitState.SUCCESS: "success",
    CommitState.FAILURE: "failure",
    CommitState.ERROR: "error",
    CommitState.CANCELLED: "error",  # it has no word for it
}
_OF_GITLAB = {
    CommitState.WAITING: "pending",
    CommitState.UNDER_WAY: "running",
    CommitState.SUCCESS: "success",
    CommitState.FAILURE: "failed",
    CommitState.ERROR: "failed",
    CommitState.CANCELLED: "canceled",
}
_GITEA = Dialect(
    "write:repository, and belongs to someone who may push", _path_at_github, _OF_GITHUB
)
DIALECTS: Mapping[Provider, Dialect] = {
    Provider.GITEA: _GITEA,
    Provider.FORGEJO: _GITEA,
    Provider.GITHUB: Dialect(
        'repo:status, or, fine-grained, "Commit statuses: read and write" of the repository',
        _path_at_github,
        _OF_GITHUB,
    ),
    Provider.GITLAB: Dialect(
        "the scope api, and the role Developer in the project", _path_at_gitlab, _OF_GITLAB
    ),
}


def put_status(talk: Conversation, dialect: Dialect, status: CommitStatus) -> None:
    """See ``Forges.put_status``."""
    body = {
        "state": dialect.words[status.state],
        "context": status.context,
        "description": status.description[:_LONGEST_DESCRIPTION],
        **({"target_url": status.url} if status.url else {}),
    }
    try:
        talk.ask("POST", f"{dialect.path_of(talk.repository)}/{status.commit.text}", body)
    except ForgeRefused as refused:
        if status.state.final or _NO_STEP not in refused.evidence.get("said", ""):
            raise
