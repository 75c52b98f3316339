"""What payloads are taken for, as the forges send them and as nobody should."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.domain.errors import InvalidInput
from reconciler.domain.payload import parse_payload
from reconciler.domain.project import ExternalSource, HostedSource, Project, ProjectKind, Source
from reconciler.domain.references import BranchName, GitUrl, ProjectName
from reconciler.domain.webhook import (
    FORGES,
    Provider,
    Webhook,
    parse_provider,
    parse_webhook_name,
)
from reconciler.domain.webhook_payload import PushHint, make_push, read_push

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ZERO, SHA = "0" * 40, "9a" * 20
GITEA: dict[str, Any] = {
    "ref": "refs/heads/main",
    "before": ZERO,
    "after": SHA,
    "commits": [],
    "repository": {"id": 1, "name": "app", "full_name": "Team/app"},
}
GITLAB: dict[str, Any] = {
    "object_kind": "push",
    "ref": "refs/heads/main",
    "checkout_sha": SHA,
    "project": {"path_with_namespace": "group/sub/app", "git_http_url": "https://x/app.git"},
}
CLOUD: dict[str, Any] = {
    "push": {
        "changes": [
            {"old": None, "new": {"type": "branch", "name": "feature/x"}},
            {"old": {"type": "branch", "name": "gone"}, "new": None},
        ]
    },
    "repository": {"full_name": "team/app"},
}
SERVER: dict[str, Any] = {
    "repository": {"slug": "app", "project": {"key": "TEAM"}},
    "changes": [{"ref": {"id": "refs/heads/main", "type": "BRANCH"}, "toHash": SHA}],
}


def hint(repository: str, *branches: str) -> PushHint:
    return PushHint(repository, frozenset(branches))


def project(source: Source | None) -> Project:
    return Project(ProjectName("web"), ProjectKind.COMPOSE, NOW, NOW, source=source)


def external(url: str, branch: str = "main") -> ExternalSource:
    return ExternalSource(GitUrl.parse(url), BranchName(branch))


@pytest.mark.parametrize(
    ("provider", "payload", "expected"),
    [
        pytest.param(Provider.GITEA, GITEA, hint("Team/app", "main"), id="gitea"),
        pytest.param(Provider.FORGEJO, GITEA, hint("Team/app", "main"), id="forgejo"),
        pytest.param(Provider.GOGS, GITEA, hint("Team/app", "main"), id="gogs"),
        pytest.param(
            Provider.GITHUB,
            {**GITEA, "deleted": True, "after": ZERO, "head_commit": None},
            hint("Team/app", "main"),
            id="github-branch-deleted",
        ),
        pytest.param(
            Provider.GITHUB, {**GITEA, "ref": "refs/tags/v1"}, hint("Team/app"), id="github-tag"
        ),
        pytest.param(Provider.GITLAB, GITLAB, hint("group/sub/app", "main"), id="gitlab"),
        pytest.param(
            Provider.GITLAB_SIGNED,
            {**GITLAB, "ref": "refs/tags/v1", "checkout_sha": None},
            hint("group/sub/app"),
            id="gitlab-tag",
        ),
        pytest.param(
            Provider.BITBUCKET_CLOUD, CLOUD, hint("team/app", "feature/x", "gone"), id="cloud"
        ),
        pytest.param(Provider.BITBUCKET_SERVER, SERVER, hint("TEAM/app", "main"), id="server"),
    ],
)
def test_what_moved(provider: Provider, payload: dict[str, Any], expected: PushHint) -> None:
    """Repository and branches; never which commit."""
    assert read_push(provider, parse_payload(json.dumps(payload).encode())) == expected


@pytest.mark.parametrize("provider", FORGES)
def test_what_we_make_up_ourselves_is_read_alike(provider: Provider) -> None:
    """A test says what the forge would say."""
    assert read_push(provider, make_push(provider, "team/app", "a/b")) == hint("team/app", "a/b")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="cut"),
        pytest.param(b"\xff\xfe{}", id="not-utf-8"),
        pytest.param(b"[" * 500_000, id="deep"),
        pytest.param(b'{"a":' * 100_000, id="deep-objects"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="list"),
        pytest.param(b'"text"', id="text"),
        pytest.param(b'{"a": ' + b"9" * 10_000 + b"}", id="endless-number"),
        pytest.param(b"payload=%7B%7D", id="form"),
    ],
)
def test_what_is_no_payload(body: bytes) -> None:
    """It is said to be none; nothing breaks."""
    with pytest.raises(InvalidInput, match="body"):
        parse_payload(body)


@pytest.mark.parametrize("provider", FORGES)
@pytest.mark.parametrize(
    "payload",
    [
        pytest.param({}, id="empty"),
        pytest.param({**GITEA, **GITLAB, **CLOUD, "ref": None, "push": None}, id="nulls"),
        pytest.param({"ref": 1, "repository": [], "project": "x", "changes": {}}, id="other-types"),
        pytest.param(
            {**GITEA, **GITLAB, "ref": "refs/pull/1/head", "push": {"changes": []}, "changes": []},
            id="no-branch",
        ),
        pytest.param(
            {
                "ref": "refs/heads/" + "x" * 400,
                "repository": {"full_name": "a\nb", "slug": "", "project": {"key": "\0"}},
                "project": {"path_with_namespace": "\ud800"},
                "push": {"changes": [None] * 2000},
            },
            id="no-names",
        ),
    ],
)
def test_what_says_nothing_usable(provider: Provider, payload: dict[str, Any]) -> None:
    """Missing, null, of another type, too long or unprintable: refused with the field."""
    with pytest.raises(InvalidInput):
        read_push(provider, payload)


@pytest.mark.parametrize(
    ("source", "repository", "follows"),
    [
        pytest.param(external("https://git.example/team/app.git"), "team/app", True, id="https"),
        pytest.param(external("git@git.example:team/app.git"), "Team/app", True, id="ssh"),
        pytest.param(external("https://x.example/git/team/app"), "team/app", True, id="subpath"),
        pytest.param(
            external("https://x.example/scm/team/app.git"), "TEAM/app", True, id="bitbucket-server"
        ),
        pytest.param(external("https://git.example/team/app.git"), "other/app", False, id="owner"),
        pytest.param(external("https://git.example/a/myteam/app"), "team/app", False, id="suffix"),
        pytest.param(HostedSource(ProjectName("app"), BranchName("main")), "team/app", True),
        pytest.param(HostedSource(ProjectName("app"), BranchName("main")), "team/api", False),
        pytest.param(None, "team/app", False, id="no-source"),
    ],
)
def test_whose_source_it_is(source: Source | None, repository: str, follows: bool) -> None:
    """Compared by path: the forge may know itself by another host than we do."""
    assert hint(repository, "main").is_source_of(project(source)) is follows


def test_of_many_branches_some_are_looked_at_and_fewer_shown() -> None:
    """Thousands of such deliveries may wait in memory, and every list of them shows the text."""
    changes = [{"ref": {"id": f"refs/heads/{number:03}"}} for number in range(1000)]
    found = read_push(Provider.BITBUCKET_SERVER, {**SERVER, "changes": changes})
    assert (len(found.branches), max(found.branches)) == (100, "099")
    assert str(found) == "000, 001, 002, 003, 004 and 95 more of TEAM/app"


def test_which_branch_it_concerns() -> None:
    """Compared whole; a tag may be on any branch."""
    main = project(external("https://git.example/team/app.git"))
    assert hint("team/app", "main", "next").concerns_branch_of(main)
    assert not hint("team/app", "main-2").concerns_branch_of(main)
    assert hint("team/app").concerns_branch_of(main)
    assert not hint("team/app", "main").concerns_branch_of(project(None))


def test_events_and_deliveries_are_named_by_the_declared_provider() -> None:
    """Copies for other receivers are not looked at, nor what is no plain name."""
    github = Webhook(parse_webhook_name("gh"), Provider.GITHUB, NOW)
    gitlab = Webhook(parse_webhook_name("gl"), Provider.GITLAB, NOW)
    headers = {
        "x-gitea-event": ["push"],
        "x-github-event": ["ping"],
        "x-github-delivery": ["72d3162e"],
        "x-gitlab-event": ["Push Hook"],
        "x-gitlab-event-uuid": ["uuid-1"],
    }
    assert (github.event_of(headers), github.delivery_of(headers)) == ("ping", "72d3162e")
    assert github.is_ping("ping")
    assert not github.is_push("Push Hook")
    assert (gitlab.event_of(headers), gitlab.delivery_of(headers)) == ("Push Hook", "uuid-1")
    retried = {**headers, "idempotency-key": ["key-1"]}
    assert gitlab.delivery_of(retried) == "key-1"
    for bad in ("", "\x1b[31m", "x" * 300, "ä"):
        odd = {"x-github-event": [bad], "x-github-delivery": [bad]}
        assert (github.event_of(odd), github.delivery_of(odd)) == ("", "")


@pytest.mark.parametrize("name", ["", "A", "-a", "a/b", "..", "a" * 64, "ä", "a\n"])
def test_what_is_no_name_of_a_webhook(name: str) -> None:
    """It is a part of a path."""
    with pytest.raises(InvalidInput, match="name"):
        parse_webhook_name(name)


def test_what_is_no_provider() -> None:
    """The message lists those that there are."""
    with pytest.raises(InvalidInput, match="bitbucket-server"):
        parse_provider("svn")
