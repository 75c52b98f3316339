"""What a verified delivery says: a hint at which branch of which repository to look."""

from dataclasses import dataclass

from reconciler.domain.errors import InvalidInput
from reconciler.domain.payload import Payload, list_at, object_of, text_at
from reconciler.domain.project import ExternalSource, HostedSource, Project
from reconciler.domain.webhook import Provider

_HEADS, _TAGS = "refs/heads/", "refs/tags/"
#: Of one delivery; more are left to the polls. Thousands of deliveries may wait in memory.
_MOST_BRANCHES = 100
_MOST_SHOWN = 5


@dataclass(frozen=True, slots=True)
class PushHint:
    """That something moved. Which commit it is now, the source itself is asked."""

    repository: str  #: as the forge names it, e.g. ``team/app``
    branches: frozenset[str]  #: that moved, appeared or went; empty: only tags did
    #: Names of folders below ``apps/`` that it changed; empty: none, or it does not tell them all.
    apps: frozenset[str] = frozenset()

    @property
    def repository_name(self) -> str:
        """Its last part."""
        return self.repository.rpartition("/")[2]

    def concerns_branch_of(self, project: Project) -> bool:
        """Tell whether ``project`` follows a branch that moved; a tag may be on any."""
        followed = project.followed_branch
        return followed is not None and (not self.branches or followed.text in self.branches)

    def is_source_of(self, project: Project) -> bool:
        """Tell whether ``project`` follows this repository, at whatever host we reach it.

        A forge may know itself by another name than we do, and below another path.
        """
        match project.source:
            case HostedSource(repository):
                return repository == self.repository_name
            case ExternalSource(url):
                path = f"/{url.path.removesuffix('.git')}".lower()
                return path.endswith(f"/{self.repository.lower()}")
            case None:
                return False

    def may_concern(self, project: Project) -> bool:
        """Tell whether ``project`` is named like a folder that it changed."""
        return project.name in self.apps

    def __str__(self) -> str:
        first, more = sorted(self.branches)[:_MOST_SHOWN], len(self.branches) - _MOST_SHOWN
        others = f" and {more} more" if more > 0 else ""
        return f"{', '.join(first) or 'a tag'}{others} of {self.repository}"


def read_push(provider: Provider, payload: Payload) -> PushHint:
    """Return what a payload of ``provider`` says that moved.

    Raises:
        InvalidInput: naming what is not there, or not what it should be.
    """
    match provider:
        case Provider.BITBUCKET_CLOUD:
            changes = list_at(payload, "push", "changes")
            refs = [_cloud_ref(change) for change in changes]
            return _hint(text_at(payload, "repository", "full_name"), refs)
        case Provider.BITBUCKET_SERVER:
            key = text_at(payload, "repository", "project", "key")
            name = f"{key}/{text_at(payload, 'repository', 'slug')}"
            changes = list_at(payload, "changes")
            return _hint(name, [text_at(object_of(change), "ref", "id") for change in changes])
        case Provider.GITLAB | Provider.GITLAB_SIGNED:
            name = text_at(payload, "project", "path_with_namespace")
            return _hint(name, [text_at(payload, "ref")])
    return _hint(text_at(payload, "repository", "full_name"), [text_at(payload, "ref")])


def make_push(provider: Provider, repository: str, branch: str) -> Payload:
    """Return a payload that ``read_push`` reads as a push of ``branch``, to try the way with."""
    ref = f"{_HEADS}{branch}"
    owner, _, name = repository.rpartition("/")
    match provider:
        case Provider.BITBUCKET_CLOUD:
            change = {"new": {"type": "branch", "name": branch}, "old": None}
            return {"repository": {"full_name": repository}, "push": {"changes": [change]}}
        case Provider.BITBUCKET_SERVER:
            where = {"slug": name, "project": {"key": owner}}
            return {"repository": where, "changes": [{"ref": {"id": ref}}]}
        case Provider.GITLAB | Provider.GITLAB_SIGNED:
            return {"ref": ref, "project": {"path_with_namespace": repository}}
    return {"ref": ref, "repository": {"full_name": repository}}


def _hint(repository: str, refs: list[str]) -> PushHint:
    branches = dict.fromkeys(ref.removeprefix(_HEADS) for ref in refs if ref.startswith(_HEADS))
    if not branches and not any(ref.startswith(_TAGS) for ref in refs):
        raise InvalidInput("ref", refs[0] if refs else None, "is neither a branch nor a tag")
    return PushHint(repository.strip("/"), frozenset(list(branches)[:_MOST_BRANCHES]))


def _cloud_ref(change: object) -> str:
    """Return the ref of a change; one that went has no ``new``, one that came no ``old``."""
    told = object_of(change)
    ref = object_of(told.get("new") or told.get("old"))
    name = text_at(ref, "name")
    return f"{_TAGS if ref.get('type') == 'tag' else _HEADS}{name}"
