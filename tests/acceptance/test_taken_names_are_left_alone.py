"""What somebody else runs under a project's name is not ours to replace."""

from pathlib import Path

import pytest

from tests.parts.daemon import Daemon
from tests.parts.docker_engine import RUN_LABEL, DockerEngine
from tests.parts.shop import Images, hosted_shop

pytestmark = [pytest.mark.needs_docker, pytest.mark.needs_registry, pytest.mark.needs_git]


def test_containers_of_others_stay_until_a_person_insists(
    shared_daemon: Daemon, engine: DockerEngine, images: Images, tmp_path: Path
) -> None:
    """The first deployment is refused with the way out, and `--force` is that way."""
    with hosted_shop(shared_daemon, images, tmp_path) as shop:
        foreign = engine.run(
            images.plain(),
            options=[
                *("--label", f"com.docker.compose.project={shop.name}"),
                *("--label", "com.docker.compose.service=old"),
                *("--label", "com.docker.compose.oneoff=False"),
                *("--label", f"{RUN_LABEL}={engine.run_id}"),
            ],
        )
        shop.push(shop.version("first"))
        refused = shop.settled(1)
        assert (refused["status"], refused["error"]["code"]) == ("failed", "name-taken")
        assert "--force" in refused["error"]["remedy"]
        assert engine.inspect(foreign)["State"]["Running"]

        forced = shared_daemon.cli("deploy", shop.name, "--force", "--wait")
        assert forced.status == 0, forced.err
        assert shop.running_version() == "first"
        # From then on the name is ours: nobody has to insist again.
        shop.push(shop.version("second"))
        shop.deployed(3)
