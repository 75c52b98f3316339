"""A daemon with very many projects, declared while it does not run."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from reconciler.adapters.compose_file import RuamelComposeReader
from reconciler.adapters.master_key import KeySources
from reconciler.adapters.system_clock import SystemClock
from reconciler.domain.project import ExternalSource, HostedSource, Project, ProjectKind
from reconciler.domain.references import (
    BranchName,
    CommitSha,
    GitUrl,
    ProjectName,
    RepositoryPath,
    ServiceName,
)
from reconciler.domain.revision import Revision
from reconciler.ports import GitRemote, Repositories
from reconciler.store.opening import open_store
from reconciler.store.sql_store import SqlStore
from reconciler.triggers.compose_images import ComposeImages
from tests.parts.daemon import Daemon

BRANCH = BranchName("main")


@contextmanager
def stopped(daemon: Daemon) -> Iterator[Path]:
    """Stop the daemon, lend its data folder, and start it again with what was put there."""
    daemon.stop()
    yield daemon.data
    daemon.start()


@contextmanager
def open_state(data: Path) -> Iterator[SqlStore]:
    """Lend the store in a data folder; beside a daemon that runs, to look at only."""
    store = open_store(
        data / "state.db",
        lambda may_create: KeySources(data).open(may_create=may_create),
        SystemClock(),
    )
    try:
        yield store
    finally:
        store.close()


def declare(data: Path, urls: Mapping[str, str], tip: CommitSha) -> None:
    """Declare a project for each name → URL, or hosted repository that is there.

    All of them deploy by themselves. ``tip`` is what was acted on last, and its compose file, which
    names no image, was read: so a daemon that starts has nothing to do for them but to look whether
    something moved. The first is declared as the API does it; the others' rows are copies of its
    rows, which takes a second where declaring them takes minutes.
    """
    (first, url), *others = urls.items()
    with open_state(data) as store:
        _declare(store, _project(first, url), tip)
    with closing(sqlite3.connect(data / "state.db")) as connection, connection:
        _copy(connection, "project", "name", first, others)
        for table in ("project_state", "source_health"):
            _copy(connection, table, "project", first, others)


def _declare(store: SqlStore, project: Project, tip: CommitSha) -> None:
    store.create_project(project)
    with store.transaction() as transaction:
        transaction.track(project.name, Revision(commit=tip))
    nothing = NoFiles()
    images = ComposeImages(
        store, cast("GitRemote", nothing), cast("Repositories", nothing), RuamelComposeReader()
    )
    images.refresh(project, tip)


class NoFiles:
    """A source without a compose file."""

    def read_files(self, *_: object) -> Mapping[RepositoryPath, bytes]:
        return {}


def _copy(
    connection: sqlite3.Connection,
    table: str,
    key: str,
    first: str,
    others: Sequence[tuple[str, str]],
) -> None:
    found = connection.execute(f"SELECT * FROM {table} WHERE {key} = ?", (first,))  # noqa: S608
    columns = [column[0] for column in found.description]
    row = dict(zip(columns, found.fetchone(), strict=True))
    rows = (
        {**row, key: name, **({"source_url": url} if row.get("source_url") else {})}
        for name, url in others
    )
    values = ", ".join(f":{column}" for column in columns)
    connection.executemany(f"INSERT INTO {table} VALUES ({values})", rows)  # noqa: S608


def _project(name: str, url: str) -> Project:
    now = datetime.now(UTC)
    source: ExternalSource | HostedSource = (
        ExternalSource(GitUrl.parse(url), BRANCH)
        if "://" in url
        else HostedSource(ProjectName(url), BRANCH)
    )
    return Project(
        name=ProjectName(name),
        kind=ProjectKind.COMPOSE,
        created_at=now,
        updated_at=now,
        source=source,
        auto_deploy=True,
        expose_service=ServiceName("web"),
        expose_port=8080,
    )
