"""A deployment can't silently do nothing: a digest moved behind its tag, so the container must."""

from pathlib import Path

import pytest

from reconciler.domain.verification import Verdict
from tests.parts.compose_rig import compose_file, open_rig
from tests.parts.docker_engine import DockerEngine
from tests.parts.registry import Registry

pytestmark = [pytest.mark.needs_docker, pytest.mark.needs_registry, pytest.mark.needs_git]


def test_b5_a_plain_up_leaves_the_old_container_and_the_override_replaces_it(
    engine: DockerEngine, registry: Registry, tmp_path: Path
) -> None:
    """B5: proven against a real registry and a real engine, in the order in which it goes wrong."""
    with open_rig(engine, registry, tmp_path) as rig:
        image = rig.image("app:latest", version="one")
        rig.commit(compose_file(engine, web=image))

        # As a person would start it, by tag alone.
        rig.check_out()
        engine.docker("pull", image)
        rig.compose("up", "--detach")
        before = rig.running("web")
        old_digest = rig.digest(image)

        # Somebody pushes: the same tag, another image. This engine has not heard of it.
        rig.image("app:latest", version="two")
        new_digest = rig.digest(image)
        assert new_digest != old_digest
        engine.docker("tag", before["image"], image)

        rig.compose("up", "--detach")
        assert rig.running("web") == before, "a plain `up` was expected to do nothing"

        prepared = rig.deploy()
        after = rig.running("web")
        assert after["id"] != before["id"]
        assert after["image"] != before["image"]
        assert after["name"] == f"{image}@{new_digest}"
        assert rig.judged(prepared).verdict is Verdict.GOOD
        assert engine.docker("exec", after["id"], "cat", "/version") == "two"
