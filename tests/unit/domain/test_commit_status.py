"""What a forge is told of a commit."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from reconciler.domain.commit_status import CommitState, find_forge, forge_origin, report_on
from reconciler.domain.deployment import Deployment, DeploymentId, Status
from reconciler.domain.errors import InvalidInput, Recovery
from reconciler.domain.failure import Failure
from reconciler.domain.forge import WebAddress
from reconciler.domain.project import ExternalSource, HostedSource, Project, ProjectKind
from reconciler.domain.references import BranchName, GitUrl, ProjectName
from reconciler.domain.revision import Revision
from reconciler.domain.webhook import Provider

NOW = datetime(2026, 3, 1, tzinfo=UTC)
MAIN = BranchName("main")
SHOP = Project(
    ProjectName("shop"),
    ProjectKind.COMPOSE,
    NOW,
    NOW,
    source=ExternalSource(GitUrl.parse("https://github.com/team/shop.git"), MAIN),
)
AT_HOME = replace(
    SHOP, source=ExternalSource(GitUrl.parse("ssh://git@git.example:2222/team/shop.git"), MAIN)
)


@pytest.mark.parametrize("status", Status)
def test_a_description_fits_everywhere(status: Status) -> None:
    """Also with the longest code of an error; its message, which may name hosts, is not told."""
    error = Failure("x" * 60, "10.0.0.7 did not answer", Recovery.RETRY)
    one = Deployment(DeploymentId(10**9), SHOP.name, Revision(None), (), status, NOW)
    state, description = report_on(replace(one, error=error, attempt=99))
    assert state in CommitState
    assert len(description) <= 140
    assert "10.0.0.7" not in description


def test_the_way_back_is_told() -> None:
    """A revision that failed and was rolled back is a failure that says so."""
    one = Deployment(DeploymentId(7), SHOP.name, Revision(None), (), Status.ROLLED_BACK, NOW)
    error = Failure("verification-failed", "no", Recovery.STALL)
    assert report_on(replace(one, error=error)) == (
        CommitState.FAILURE,
        "Deployment 7 failed and was rolled back (verification-failed)",
    )


def test_the_token_is_for_the_api() -> None:
    """Whose host may be another than the source's."""
    assert forge_origin(SHOP) == "https://api.github.com"
    known = replace(AT_HOME, forge=Provider.FORGEJO)
    assert forge_origin(known) == "https://git.example"
    moved = replace(known, forge_url=WebAddress.parse("https://forge.example:8443/git"))
    assert forge_origin(moved) == "https://forge.example:8443"
    assert forge_origin(AT_HOME) == ""


@pytest.mark.parametrize(
    ("project", "field", "words"),
    [
        pytest.param(AT_HOME, "forge", "give one of gitea", id="which"),
        pytest.param(replace(AT_HOME, forge=Provider.GOGS), "commit_statuses", "gogs", id="gogs"),
        pytest.param(replace(SHOP, source=None), "commit_statuses", "url", id="none"),
        pytest.param(
            replace(SHOP, source=HostedSource(ProjectName("shop"), MAIN)),
            "commit_statuses",
            "url",
            id="hosted",
        ),
    ],
)
def test_what_has_no_statuses_is_refused(project: Project, field: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as refused:
        find_forge(project)
    assert refused.value.field == field
