"""Which apps a push says that it changed: only what the forge tells in full."""

from typing import Any

import pytest

from reconciler.domain.webhook import Provider
from reconciler.domain.webhook_apps import read_apps

SHOP = {"added": [], "removed": [], "modified": ["apps/shop/main.py"]}
BLOG = {"added": ["apps/blog/a"], "removed": ["docs/x"], "modified": None}
AT = {"ref": "refs/heads/main", "before": "a" * 40}


def push(*commits: object, **more: object) -> dict[str, Any]:
    return {**AT, "commits": list(commits), **more}


@pytest.mark.parametrize(
    ("provider", "payload", "apps"),
    [
        pytest.param(Provider.GITEA, push(SHOP, total_commits=1), {"shop"}, id="one"),
        pytest.param(Provider.FORGEJO, push(SHOP, BLOG), {"shop", "blog"}, id="several"),
        pytest.param(Provider.GITHUB, push(*[SHOP] * 100), {"shop"}, id="github"),
        pytest.param(
            Provider.GITLAB, push(*[SHOP] * 20, total_commits_count=20), {"shop"}, id="gitlab"
        ),
        pytest.param(Provider.GITEA, push({"added": ["README"]}), set(), id="elsewhere"),
        pytest.param(
            Provider.GITEA,
            push({"added": ["apps/README", "apps//x", "x/apps/a/b", "apps/../etc/x"]}),
            {"", ".."},  # no project is named so
            id="no-apps",
        ),
    ],
)
def test_what_is_told(provider: Provider, payload: dict[str, Any], apps: set[str]) -> None:
    """A file in a folder below ``apps/``; one beside these folders is of none."""
    assert read_apps(provider, payload) == apps


@pytest.mark.parametrize(
    ("provider", "payload"),
    [
        pytest.param(Provider.GITLAB, push(SHOP, total_commits_count=21), id="gitlab-cut"),
        pytest.param(Provider.GITEA, push(SHOP, total_commits=6), id="gitea-cut"),
        pytest.param(Provider.GITEA, push(*[SHOP] * 5), id="gitea-of-old"),
        pytest.param(Provider.GITHUB, push(*[SHOP] * 2048), id="github-cut"),
        pytest.param(Provider.GITHUB, push({"added": ["apps/a/x"] * 300}), id="many-files"),
        pytest.param(Provider.GITHUB, push(SHOP, forced=True), id="forced"),
        pytest.param(Provider.GITEA, push(SHOP, before="0" * 40), id="new-branch"),
        pytest.param(Provider.GITEA, push(*[{"added": ["apps/a/x"] * 200}] * 26), id="flood"),
        pytest.param(Provider.GITEA, push({"added": ["apps/" + "a" * 5000 + "/x"]}), id="long"),
        pytest.param(
            Provider.GITEA,
            push({"added": [f"apps/{'a' * 2000}{number}/x" for number in range(10)]}),
            id="long-names",
        ),
        pytest.param(Provider.GITEA, push({"added": [["apps/a/x"]]}), id="no-text"),
        pytest.param(Provider.GITEA, push({"added": "apps/a/x"}), id="no-list"),
        pytest.param(Provider.GITEA, {**AT, "commits": {"a": 1}}, id="no-commits"),
        pytest.param(Provider.GITEA, AT, id="none-at-all"),
        pytest.param(Provider.BITBUCKET_CLOUD, push(SHOP), id="bitbucket-cloud"),
        pytest.param(Provider.BITBUCKET_SERVER, push(SHOP), id="bitbucket-server"),
    ],
)
def test_what_may_not_be_whole_names_nobody(provider: Provider, payload: dict[str, Any]) -> None:
    """Then all that follow the repository are woken, which costs a look each."""
    assert read_apps(provider, payload) == frozenset()
