"""What the promises are tried with: a daemon, images and a project of its own for each test."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.daemon import Daemon
from tests.parts.docker_engine import DockerEngine
from tests.parts.installed_service import InstalledService, service_options
from tests.parts.registry import Registry
from tests.parts.shop import Images, Shop, hosted_shop
from tests.parts.systemd_host import SystemdHost

#: Seconds. A deployment takes some four; on a machine that is busy with other tests, many more.
_PATIENCE = 180


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every test here the time that several real deployments take."""
    for item in items:
        if not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(_PATIENCE))


@pytest.fixture(scope="session")
def images(engine: DockerEngine) -> Iterator[Images]:
    """Images in a registry that all tests of a worker share."""
    with Registry() as registry:
        yield Images(engine, registry)


@pytest.fixture(scope="session")
def shared_daemon(engine: DockerEngine, images: Images) -> Iterator[Daemon]:
    """A daemon for tests that leave its settings and its life alone; it logs all there is.

    With ``RECONCILER_TEST_AS_A_SERVICE`` set it runs under systemd, on a host of its own.
    """
    if not os.environ.get("RECONCILER_TEST_AS_A_SERVICE"):
        with Daemon({"log_level": "debug"}) as running:
            yield running
        return
    with (
        SystemdHost(engine, options=service_options(engine)) as host,
        host.reaching(images.registry.port),
        InstalledService(host, {"log_level": "debug"}) as service,
    ):
        yield service


@pytest.fixture
def daemon(engine: DockerEngine) -> Iterator[Daemon]:
    """A daemon for one test alone."""
    with Daemon() as running:
        yield running


@pytest.fixture
def spawned_daemon(engine: DockerEngine) -> Iterator[Daemon]:
    """The same, started as users start it, where how it starts or what the system shows matters."""
    with Daemon(prepare=False) as running:
        yield running


@pytest.fixture
def shop(shared_daemon: Daemon, images: Images, tmp_path: Path) -> Iterator[Shop]:
    """A hosted project with auto-deploy on, and nothing pushed yet."""
    with hosted_shop(shared_daemon, images, tmp_path) as ready:
        yield ready


@pytest.fixture
def own_shop(daemon: Daemon, images: Images, tmp_path: Path) -> Iterator[Shop]:
    """The same, of a daemon that the test may stop, kill and set as it likes."""
    with hosted_shop(daemon, images, tmp_path) as ready:
        yield ready
