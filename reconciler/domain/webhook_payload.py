"""What a verified delivery says: a hint at which branch of which repository to look."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.domain.errors import InvalidInput
from reconciler.domain.project import ExternalSource, HostedSource, Project
from reconciler.domain.webhook import Provider

Payload = Mapping[str, Any]

_HEADS, _TAGS = "refs/heads/", "refs/tags/"
_LONGEST_NAME = 300
_MOST_CHANGES = 1000


@dataclass(frozen=True, slots=True)
class PushHint:
    """That something moved. Which commit it is now, the source itself is asked."""

    repository: str  #: as the forge names it, e.g. ``team/app``
    branches: frozenset[str]  #: that moved, appeared or went; empty: only tags did

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

    def __str__(self) -> str:
        return f"{', '.join(sorted(self.branches)) or 'a tag'} of {self.repository}"


def parse_payload(body: bytes) -> Payload:
    """Return the object that ``body`` is.

    Raises:
        InvalidInput: not a JSON object in UTF-8, or one that is nested too deeply.
    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidInput("body", None, "is not JSON") from None
    if not isinstance(found, dict):
        raise InvalidInput("body", None, "is not a JSON object")
    return found


def read_push(provider: Provider, payload: Payload) -> PushHint:
    """Return what a payload of ``provider`` says that moved.

    Raises:
        InvalidInput: naming what is not there, or not what it should be.
    """
    match provider:
        case Provider.BITBUCKET_CLOUD:
            changes = _list(payload, "push", "changes")
            refs = [_cloud_ref(change) for change in changes]
            return _hint(_text(payload, "repository", "full_name"), refs)
        case Provider.BITBUCKET_SERVER:
            key = _text(payload, "repository", "project", "key")
            name = f"{key}/{_text(payload, 'repository', 'slug')}"
            changes = _list(payload, "changes")
            return _hint(name, [_text(_object(change), "ref", "id") for change in changes])
        case Provider.GITLAB | Provider.GITLAB_SIGNED:
            name = _text(payload, "project", "path_with_namespace")
            return _hint(name, [_text(payload, "ref")])
    return _hint(_text(payload, "repository", "full_name"), [_text(payload, "ref")])


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
    branches = {ref.removeprefix(_HEADS) for ref in refs if ref.startswith(_HEADS)}
    if not branches and not any(ref.startswith(_TAGS) for ref in refs):
        raise InvalidInput("ref", refs[0] if refs else None, "is neither a branch nor a tag")
    return PushHint(repository.strip("/"), frozenset(branches))


def _cloud_ref(change: object) -> str:
    """Return the ref of a change; one that went has no ``new``, one that came no ``old``."""
    told = _object(change)
    ref = _object(told.get("new") or told.get("old"))
    name = _text(ref, "name")
    return f"{_TAGS if ref.get('type') == 'tag' else _HEADS}{name}"


def _object(value: object) -> Payload:
    if not isinstance(value, dict):
        raise InvalidInput("body", None, "holds something else where an object should be")
    return value


def _at(payload: Payload, path: tuple[str, ...]) -> object:
    found: object = payload
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _text(payload: Payload, *path: str) -> str:
    found = _at(payload, path)
    if not isinstance(found, str) or not 0 < len(found) <= _LONGEST_NAME or not _is_plain(found):
        raise InvalidInput(".".join(path), None, "is missing, or no name that can be one")
    return found


def _list(payload: Payload, *path: str) -> list[object]:
    found = _at(payload, path)
    if not isinstance(found, list) or len(found) > _MOST_CHANGES:
        raise InvalidInput(".".join(path), None, f"is not a list of at most {_MOST_CHANGES}")
    return found


def _is_plain(text: str) -> bool:
    return text.isprintable() and " " not in text
