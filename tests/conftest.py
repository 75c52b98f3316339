"""The real parts as fixtures, and what happens to a test whose part is missing."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.parts.availability import REQUIRE_ALL, find_missing
from tests.parts.certificates import CertificateAuthority
from tests.parts.docker_engine import DockerEngine
from tests.parts.git_server import GitServer
from tests.parts.postgres import Postgres
from tests.parts.registry import Registry
from tests.parts.sshd import Sshd
from tests.parts.systemd_host import SystemdHost

if TYPE_CHECKING:
    # Playwright takes a while to import, and few tests need it.
    from playwright.sync_api import Browser


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep to one worker what breaks things, and what shares servers that take a while to make."""
    for item in items:
        if item.get_closest_marker("fault"):
            item.add_marker(pytest.mark.xdist_group("faults"))
        elif item.get_closest_marker("needs_systemd") and not item.get_closest_marker(
            "xdist_group"
        ):
            item.add_marker(pytest.mark.xdist_group(f"systemd-{item.path.parent.name}"))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose real part is missing; in CI that is a failure."""
    for marker in item.iter_markers():
        missing = find_missing(marker.name)
        if missing and REQUIRE_ALL:
            pytest.fail(f"{marker.name}: {missing}", pytrace=False)
        if missing:
            pytest.skip(f"{marker.name}: {missing}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line each which parts were missing, and how many tests that cost."""
    reasons: dict[str, int] = {}
    for report in terminalreporter.getreports("skipped"):
        if isinstance(report.longrepr, tuple):
            reason = str(report.longrepr[2]).removeprefix("Skipped: ")
            reasons[reason] = reasons.get(reason, 0) + 1
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"skipped {count}: {reason}", yellow=True)


@pytest.fixture(scope="session")
def engine() -> Iterator[DockerEngine]:
    """A Docker engine, shared by all workers; what the session makes in it goes with it."""
    with DockerEngine() as running:
        yield running


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL cluster of this worker's."""
    with Postgres() as running:
        yield running


@pytest.fixture
def database_url(postgres: Postgres) -> str:
    """An empty PostgreSQL database."""
    return postgres.create_database()


@pytest.fixture
def registry() -> Iterator[Registry]:
    """An empty registry that lets everyone in; it starts in some 50 ms."""
    with Registry() as running:
        yield running


@pytest.fixture
def git_server() -> Iterator[GitServer]:
    """A git server over HTTP without repositories, open to everyone."""
    with GitServer() as running:
        yield running


@pytest.fixture
def sshd() -> Iterator[Sshd]:
    """An SSH server that lets one key in, without repositories."""
    with Sshd() as running:
        yield running


@pytest.fixture(scope="session")
def systemd_host(engine: DockerEngine) -> Iterator[SystemdHost]:
    """A server with systemd and sshd, of this worker's; a test takes its own folders and units."""
    with SystemdHost(engine) as running:
        yield running


@pytest.fixture(scope="session")
def second_systemd_host(engine: DockerEngine) -> Iterator[SystemdHost]:
    """Another such server, with a key of its own."""
    with SystemdHost(engine) as running:
        yield running


@pytest.fixture(scope="session")
def chromium() -> Iterator["Browser"]:
    """A browser without a screen; a test makes its own page in it."""
    from tests.parts.browser import browser

    with browser() as running:
        yield running


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    """A certificate authority that nobody trusts yet."""
    return CertificateAuthority(tmp_path_factory.mktemp("authority"))
