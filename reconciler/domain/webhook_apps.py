"""Which apps of a repository a push says that it changed, in folders named like them.

No more than a hint whom to wake: forges cut their lists, and a forced push takes back what none of
its commits names. So nothing is made of a list that may not be whole.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.domain.webhook import Provider

_FOLDER = "apps/"
_MOST_PATHS = 5000
_LONGEST_PATH = 4096
#: Of all names together: thousands of deliveries may wait in memory.
_MOST_LETTERS = 16 << 10
#: A commit of which GitHub names so many files may have changed more.
_MOST_OF_A_COMMIT = 300
#: Where a forge does not say how many commits there are, it names no more than these. Sources:
#: GitHub's page on push events; ``FEED_MAX_COMMIT_NUM`` of Gitea, Forgejo and Gogs.
_MOST_COMMITS = {Provider.GITHUB: 2048}
_USUAL_MOST_COMMITS = 5
_TOTALS = {
    Provider.GITEA: "total_commits",
    Provider.FORGEJO: "total_commits",
    Provider.GITLAB: "total_commits_count",
    Provider.GITLAB_SIGNED: "total_commits_count",
}
_LISTS = ("added", "removed", "modified")


class _NotWhole(Exception):
    """The payload does not tell every path, or tells them in another way than it should."""


def read_apps(provider: Provider, payload: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of the folders below ``apps/`` that a push changed.

    Empty: there are none, or the payload may leave some out. Never raises, for nothing depends on
    it.
    """
    if provider in {Provider.BITBUCKET_CLOUD, Provider.BITBUCKET_SERVER}:
        return frozenset()  # they name no files
    try:
        paths = list(_paths(provider, payload))
    except _NotWhole:
        return frozenset()
    inner = (path.removeprefix(_FOLDER) for path in paths if path.startswith(_FOLDER))
    names = {path.partition("/")[0] for path in inner if "/" in path}
    return frozenset(names if sum(map(len, names)) <= _MOST_LETTERS else ())


def _paths(provider: Provider, payload: Mapping[str, Any]) -> Iterator[str]:
    commits = payload.get("commits")
    if not isinstance(commits, list) or not _has_all(provider, payload, len(commits)):
        raise _NotWhole
    room = _MOST_PATHS
    for commit in commits:
        named = [path for name in _LISTS for path in _list(commit, name)]
        room -= len(named)
        if room < 0 or len(named) >= _MOST_OF_A_COMMIT:
            raise _NotWhole
        yield from named


def _has_all(provider: Provider, payload: Mapping[str, Any], told: int) -> bool:
    """Tell whether the ``told`` commits are all that make the difference."""
    if payload.get("forced") or payload.get("created") or payload.get("deleted"):
        return False
    if not str(payload.get("before", "unknown")).strip("0"):
        return False  # a new branch: what it differs from is not told
    total = payload.get(_TOTALS.get(provider, ""))
    if total is not None:
        return bool(total == told)
    return told < _MOST_COMMITS.get(provider, _USUAL_MOST_COMMITS)


def _list(commit: object, name: str) -> list[str]:
    found = commit.get(name) if isinstance(commit, dict) else None
    found = [] if found is None else found  # Gitea's way to say that there are none
    if not isinstance(found, list) or not all(map(_is_path, found)):
        raise _NotWhole
    return found


def _is_path(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_PATH
