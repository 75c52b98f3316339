"""Of several apps in one repository, a push deploys those that it touches."""

from pathlib import Path

import pytest

from tests.parts.daemon import Daemon
from tests.parts.shop import Images, Pushed, Shop, hosted_shop

pytestmark = [pytest.mark.needs_docker, pytest.mark.needs_registry, pytest.mark.needs_git]


def push(shop: Shop, version: str, *apps: str, message: str = "change") -> Pushed:
    """Change the compose file of each of ``apps``, and what no project watches."""
    files: dict[str, str | bytes | None] = {"README": version}
    files |= {f"apps/{app}/compose.yaml": shop.version(version) for app in apps}
    shop.repository.commit(files, message)
    return shop.push()


def test_a_push_deploys_the_app_that_it_touches(
    shared_daemon: Daemon, images: Images, tmp_path: Path
) -> None:
    """E5: and no other; what a commit kept back by its message comes along with the next one."""
    chosen = {"compose_path": "apps/a/compose.yaml", "watch_paths": ["apps/a"]}
    with hosted_shop(shared_daemon, images, tmp_path, **chosen, skip_markers=True) as one:
        other_chosen = {"compose_path": "apps/b/compose.yaml", "watch_paths": ["apps/b"]}
        with hosted_shop(
            shared_daemon, images, tmp_path, repository=one.name, **other_chosen
        ) as other:
            push(one, "first", "a", "b")
            one.deployed(1)
            other.deployed(1)

            said = push(one, "second", "a").said
            one.deployed(2)
            assert f"{other.name}: passed over" in said
            assert other.running_version() == "first"
            assert other.shown()["passed_over"]["code"] == "path-untouched"

            said = push(one, "third", "a", message="not yet [skip cd]").said
            assert f"{one.name}: passed over" in said
            assert "its message says [skip cd]" in shared_daemon.why(one.name)["verdict"]
            assert one.shown()["state"] == "in-sync"
            assert one.running_version() == "second"

            push(one, "fourth")
            one.deployed(3)
            assert one.running_version() == "third"
            assert len(other.all()) == 1
            assert "was passed over" in shared_daemon.cli("why", other.name).out
