"""The real parts as fixtures, and what happens to a test whose part is missing."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from xdist.remote import Producer  # type: ignore[import-untyped]
from xdist.scheduler import LoadGroupScheduling  # type: ignore[import-untyped]

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

#: Files, told by how their paths begin, whose tests share what takes a while to make.
_SHARING = (
    "tests/acceptance/test_as_a_service.py",
    "tests/acceptance/test_bad_input.py",
    "tests/acceptance/test_health_endpoints.py",
    "tests/acceptance/test_units_on_hosts.py",
    "tests/contract/test_image_registry.py",
    "tests/contract/test_machines.py",
    "tests/faults/test_hostile_",
    "tests/integration/test_git_http.py",
    "tests/integration/test_handed_on_releases.py",
    "tests/integration/test_systemd_host.py",
    "tests/integration/test_unit_strategies.py",
    "tests/integration/test_web_",
)


class Scheduling(LoadGroupScheduling):  # type: ignore[misc]  # xdist tells no types
    """Keeps such a file to one worker: each that took a test of it would make it all once more.

    Told by path, because pytest 9.2 takes no notice of the groups that xdist 3.8 writes into ids.
    """

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return path if path.startswith(_SHARING) else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(
    config: pytest.Config, log: Producer | None
) -> LoadGroupScheduling | None:
    """Where tests are grouped at all, group those that share a daemon, too."""
    return Scheduling(config, log) if config.getvalue("dist") == "loadgroup" else None


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
