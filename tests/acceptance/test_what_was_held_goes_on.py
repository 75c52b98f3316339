"""F7: what was held is looked at as soon as it may go, not at the next poll."""

from collections.abc import Iterator

import pytest

from tests.parts.daemon import Daemon
from tests.parts.git_server import GitServer
from tests.parts.waiting import eventually

pytestmark = pytest.mark.needs_git

#: So long that no poll finds anything while the test runs.
HOURLY = {"auto_deploy_poll_interval_seconds": 3600}


@pytest.fixture
def server() -> Iterator[GitServer]:
    with GitServer(tls=True) as running:
        yield running


@pytest.fixture
def daemon(server: GitServer) -> Iterator[Daemon]:
    with Daemon({"git_ca_file": str(server.ca_path), "settings": HOURLY}) as running:
        yield running


@pytest.mark.slow
def test_a_freeze_that_ends_by_itself(daemon: Daemon, server: GitServer) -> None:
    """The look that it held is made anew within seconds; a person needs a reason of their own."""
    commit = server.repository("team/shop.git").commit({"README": "it fails without compose file"})
    url = server.url("team/shop.git")
    exposed = {"expose_service": "web", "expose_port": 80}
    daemon.post("projects", {"name": "shop", "kind": "compose", "url": url, **exposed})
    assert daemon.cli("project", "freeze", "shop", "--reason", "month end").status == 0
    assert "by local:" in daemon.cli("project", "show", "shop").out
    refused = daemon.cli("deploy", "shop")
    assert refused.status == 10
    assert "--override" in refused.err
    assert daemon.cli("project", "thaw", "shop").out == "shop may change again\n"

    daemon.put("projects/shop/freeze", {"reason": "month end", "for_seconds": 5})
    daemon.patch("projects/shop", {"auto_deploy": True})
    held = eventually(lambda: [one for one in daemon.triggers("shop") if one["outcome"] == "held"])
    assert held[0]["reasons"][0]["code"] == "frozen"
    assert daemon.project("shop")["tracked_commit"] is None
    (made,) = eventually(lambda: daemon.deployments("shop"), within=20)
    assert made["revision"]["commit"] == commit
