"""A store in a temporary file, and sources that say what they are told to."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest

from reconciler.domain.project import ExternalSource, HostedSource, Project, ProjectKind, Source
from reconciler.domain.promotion import Environment, EnvironmentName
from reconciler.domain.references import (
    BranchName,
    CommitSha,
    Digest,
    GitUrl,
    ImageReference,
    ProjectName,
    RepositoryPath,
    ServiceName,
)
from reconciler.ports import GitCredentials
from reconciler.store.sql_store import SqlStore
from reconciler.testing import ManualClock
from tests.parts.stores import open_copy

T = TypeVar("T")
A, B = (CommitSha(letter * 40) for letter in "ab")
MAIN = BranchName("main")
COMPOSE = RepositoryPath("compose.yaml")


@dataclass
class Sources:
    """Branch tips, files and digests: what the world says. An error is raised instead."""

    tips: dict[str, CommitSha | Exception | None] = field(default_factory=dict)
    files: dict[CommitSha, dict[str, bytes]] = field(default_factory=dict)
    digests: dict[str, Digest | Exception] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def tip(
        self, url: GitUrl, branch: BranchName, credentials: GitCredentials | None = None
    ) -> CommitSha | None:
        return self._answer(str(url), self.tips[url.host])

    def digest(self, image: ImageReference, project: ProjectName | None = None) -> Digest:
        return self._answer(str(image), self.digests[str(image)])

    def read_files(
        self,
        url: GitUrl | ProjectName,
        commit: CommitSha,
        paths: Sequence[RepositoryPath],
        credentials: GitCredentials | None = None,
    ) -> Mapping[RepositoryPath, bytes]:
        self.asked.append(f"{url}@{commit.short}")
        there = self.files[commit]
        return {path: there[path] for path in paths if path in there}

    def _answer(self, name: str, answer: T | Exception) -> T:
        self.asked.append(name)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(sqlite_template: Path, tmp_path: Path, clock: ManualClock) -> Iterator[SqlStore]:
    opened = open_copy(sqlite_template, tmp_path, clock)
    yield opened
    opened.close()


@pytest.fixture
def sources() -> Sources:
    return Sources()


def external(host: str) -> ExternalSource:
    return ExternalSource(GitUrl.parse(f"https://{host}/app.git"), MAIN)


def add_project(
    store: SqlStore, clock: ManualClock, name: str, source: Source | None, **changes: object
) -> Project:
    project = Project(
        ProjectName(name),
        ProjectKind.COMPOSE,
        clock.now(),
        clock.now(),
        source=source,
        auto_deploy=True,
        expose_service=ServiceName("web"),
        expose_port=80,
        **changes,  # type: ignore[arg-type]
    )
    store.create_project(project)
    return project


def promoted(origin: str) -> Environment:
    """Return the environment of a project that is promoted from ``origin``."""
    return Environment(EnvironmentName("production"), ProjectName(origin))


def hosted(name: str) -> HostedSource:
    return HostedSource(ProjectName(name), MAIN)
