"""Stores for tests: SQLite in a file and PostgreSQL in a cluster, each empty and ready to use."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from reconciler.adapters.system_clock import SystemClock
from reconciler.adapters.vault import Vault
from reconciler.domain.admission import Request
from reconciler.domain.deployment import (
    Cause,
    Deployment,
    DeploymentId,
    Pin,
    PlannedService,
    PreparedRevision,
    PreparedTarget,
    Trigger,
)
from reconciler.domain.errors import Recovery
from reconciler.domain.failure import Failure
from reconciler.domain.host import HostName
from reconciler.domain.project import ExternalSource, Project, ProjectKind
from reconciler.domain.references import (
    BranchName,
    CommitSha,
    Digest,
    GitUrl,
    ImageReference,
    ProjectName,
    ServiceName,
)
from reconciler.domain.revision import Revision
from reconciler.pipeline.trigger import TriggerResult, trigger_deployment
from reconciler.ports import Claim, Clock
from reconciler.store.opening import open_store
from reconciler.store.sql_store import SqlStore
from tests.parts.postgres import Postgres

KEY = bytes(range(32))
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LEASE = timedelta(minutes=1)
WEB = ProjectName("web")
_numbers = count(1)
_FILE = "reconciler.db"


@dataclass(slots=True)
class Site:
    """An empty database, and every store that a test opens on it."""

    location: str
    opened: list[SqlStore] = field(default_factory=list)

    def open(self) -> SqlStore:
        """Open one more store on the database, as another replica does."""
        self.opened.append(open_store(self.location, lambda _: Vault(KEY), SystemClock()))
        return self.opened[-1]

    def close(self) -> None:
        """Close them all."""
        while self.opened:
            self.opened.pop().close()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with an empty database, to be copied: migrating takes a while."""
    folder = tmp_path_factory.mktemp("store") / "data"
    Site(str(folder / _FILE)).open().close()
    return folder


def open_copy(template: Path, folder: Path, clock: Clock) -> SqlStore:
    """Open a store on a copy of ``sqlite_template`` in ``folder``."""
    copy = shutil.copytree(template, folder / "data")
    return open_store(copy / _FILE, lambda _: Vault(KEY), clock)


@pytest.fixture(scope="session")
def postgres_template(postgres: Postgres) -> str:
    """The URL of an empty database that was migrated, to be copied."""
    url = postgres.create_database()
    Site(url).open().close()
    return url


@pytest.fixture(
    params=[
        pytest.param("sqlite"),
        pytest.param("postgres", marks=pytest.mark.needs_postgres),
    ]
)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        shutil.copytree(request.getfixturevalue("sqlite_template"), tmp_path / "data")
        location = str(tmp_path / "data" / _FILE)
    else:
        server, _, template = request.getfixturevalue("postgres_template").rpartition("/")
        name = f"copy_{next(_numbers)}"
        request.getfixturevalue("postgres").execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        location = f"{server}/{name}"
    made = Site(location)
    yield made
    made.close()


@pytest.fixture
def store(site: Site) -> SqlStore:
    """A store on an empty database."""
    return site.open()


# ── Values ────────────────────────────────────────────────────────────────────────────────────


def commit(letter: str) -> CommitSha:
    """Return a commit, e.g. of ``a``."""
    return CommitSha(letter * 40)


def digest(letter: str) -> Digest:
    """Return a digest, e.g. of ``1``."""
    return Digest(f"sha256:{letter * 64}")


def project(name: str = "web", url: str = "https://git.example/team/app.git") -> Project:
    """Return a project that deploys by itself."""
    return Project(
        name=ProjectName(name),
        kind=ProjectKind.COMPOSE,
        created_at=NOW,
        updated_at=NOW,
        source=ExternalSource(GitUrl.parse(url), BranchName("main")),
        auto_deploy=True,
        expose_service=ServiceName("web"),
        expose_port=8080,
    )


def ask(
    store: SqlStore,
    letter: str,
    *,
    name: ProjectName = WEB,
    trigger: Trigger = Trigger.GIT_POLL,
    images: dict[str, Digest] | None = None,
    force: bool = False,
    hosts: tuple[HostName, ...] = (),
    promotes: DeploymentId | None = None,
    now: datetime = NOW,
) -> TriggerResult:
    """Ask for commit ``letter`` as a trigger does."""
    revision = Revision(commit(letter), images or {})
    cause = Cause(trigger, "test")
    request = Request(name, revision, cause, force, hosts=hosts, promotes=promotes)
    return trigger_deployment(store, request, brakes=lambda switch: switch, now=now)


def queue(store: SqlStore, letter: str, **more: object) -> Deployment:
    """Ask for commit ``letter``, which must be admitted; return what waits now."""
    result = ask(store, letter, **more)  # type: ignore[arg-type]
    assert result.admitted, result
    assert result.deployment is not None
    return result.deployment


def claim(store: SqlStore, owner: str = "worker", now: datetime = NOW) -> Claim:
    """Claim the next deployment; there must be one."""
    found = store.claim_next(owner, now, lease=LEASE)
    assert found is not None
    return found


def prepared(letter: str, images: dict[str, Digest] | None = None) -> PreparedRevision:
    """Return commit ``letter`` with everything resolved."""
    image = ImageReference.parse("registry.example/app:1")
    images = images or {str(image): digest("1")}
    revision = Revision(commit(letter), images)
    target = PreparedTarget(
        revision=revision,
        services=(PlannedService(ServiceName("web"), Pin(image, digest("1"))),),
        compose_file="compose.yaml",
        override_file=".deploy/1.yaml",
        rendered_sha256="0" * 64,
    )
    return PreparedRevision(revision, (target,))


def failure(code: str = "target-unreachable") -> Failure:
    """Return a failure that passes."""
    return Failure(code, "the engine did not answer", Recovery.RETRY, "", {"host": "local"})
