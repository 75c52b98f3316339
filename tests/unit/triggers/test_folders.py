"""Folders that are followed: looked at side by side, and acted on where that is wanted."""

import threading
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.domain.deployment import Trigger
from reconciler.domain.errors import (
    InvalidComposeFile,
    NotFound,
    SourceUnreachable,
    StoreError,
)
from reconciler.domain.host import HostName, HostPath
from reconciler.domain.project import Project
from reconciler.domain.references import BranchName, CommitSha, ProjectName
from reconciler.domain.revision import Revision
from reconciler.domain.target import Target, TargetStrategy
from reconciler.domain.wish import Wish
from reconciler.pipeline.sources import Sources
from reconciler.store.sql_store import SqlStore
from reconciler.testing import ManualClock
from reconciler.triggers.push import Pushes
from tests.unit.triggers.conftest import A, B, add_project, hosted

MINUTE = timedelta(minutes=1)


@dataclass
class Folders:
    """What is in folders, and what was recorded of it: the branches' tips."""

    there: dict[str, CommitSha | Exception] = field(default_factory=dict)
    tips: dict[str, CommitSha] = field(default_factory=dict)
    acted: list[str] = field(default_factory=list)
    noticed: list[Wish | None] = field(default_factory=list)  #: by whom, as `acted`
    meet: threading.Barrier | None = None  #: all that fail have to do it at once

    def bring(self, project: Project) -> None:
        if project.followed_folder is None:
            return
        found = self.there[project.name]
        if isinstance(found, Exception):
            if self.meet:
                self.meet.wait(10)
            raise found
        self.tips[project.name] = found

    def tip(self, name: ProjectName, branch: BranchName) -> CommitSha | None:
        return self.tips.get(name)

    def act(
        self, name: ProjectName, tip: CommitSha, tracked: CommitSha | None, wish: Wish | None
    ) -> str:
        self.acted.append(f"{name} {tip.short}")
        self.noticed.append(wish)
        return "admitted"


@pytest.fixture
def folders() -> Folders:
    return Folders()


@pytest.fixture
def pushes(store: SqlStore, clock: ManualClock, folders: Folders) -> Pushes:
    return Pushes(store, folders, clock, folders.act, lambda *_: None, folders.bring)  # type: ignore[arg-type]


def follow(store: SqlStore, clock: ManualClock, name: str, *, auto_deploy: bool = True) -> Project:
    """Declare a project whose files are in a folder on a host."""
    host, base = HostName("web1"), HostPath(f"/srv/{name}")
    target = Target(ProjectName(name), host, TargetStrategy.COMPOSE, base=base)
    project = add_project(store, clock, name, hosted(name), targets=(target,))
    if not auto_deploy:
        store.update_project(project := replace(project, auto_deploy=False))
    return project


def test_what_changed_in_a_folder_is_recorded_and_acted_on(
    pushes: Pushes, store: SqlStore, clock: ManualClock, folders: Folders
) -> None:
    """Once: then nothing moves until the folder changes again."""
    web = follow(store, clock, "web").name
    folders.there["web"] = A
    pushes.look_at_folders(MINUTE)
    assert folders.acted == ["web aaaaaaaa"]
    with store.transaction() as transaction:
        transaction.track(web, Revision(A))
    pushes.look_at_folders(MINUTE)
    assert folders.acted == ["web aaaaaaaa"]
    folders.there["web"] = B
    pushes.look_at_folders(MINUTE)
    assert folders.acted == ["web aaaaaaaa", "web bbbbbbbb"]
    assert store.get_health(web).observed == B


def test_without_auto_deploy_it_is_recorded_alone(
    pushes: Pushes, store: SqlStore, clock: ManualClock, folders: Folders
) -> None:
    """So that one sees what a deployment would be of."""
    web = follow(store, clock, "web", auto_deploy=False).name
    folders.there["web"] = A
    pushes.look_at_folders(MINUTE)
    assert folders.tips == {"web": A}
    assert folders.acted == []
    assert store.get_health(web).observed == A


def test_a_repository_that_is_pushed_to_is_no_folder(
    pushes: Pushes, store: SqlStore, clock: ManualClock, folders: Folders
) -> None:
    """Each look has its own projects, and none has both."""
    add_project(store, clock, "pushed", hosted("pushed"))
    follow(store, clock, "web")
    folders.there, folders.tips = {"web": A}, {"pushed": B}
    pushes.look_at_folders(MINUTE)
    assert folders.acted == ["web aaaaaaaa"]
    folders.there["web"] = B
    pushes.look_at_all(MINUTE)
    assert folders.acted == ["web aaaaaaaa", "pushed bbbbbbbb"]
    assert [wish and wish.trigger for wish in folders.noticed] == [Trigger.GIT_POLL, None]


def test_hosts_that_are_away_cost_no_other_its_look(
    pushes: Pushes, store: SqlStore, clock: ManualClock, folders: Folders
) -> None:
    """Ten wait for their hosts at the same time; each has its trouble in its own health."""
    names = [f"p{number}" for number in range(10)]
    for name in names:
        follow(store, clock, name)
        folders.there[name] = SourceUnreachable("host web1 gave no answer within 10 s")
    folders.there["p3"] = A
    folders.meet = threading.Barrier(9)
    pushes.look_at_folders(MINUTE)
    assert folders.acted == ["p3 aaaaaaaa"]
    failures = {name: store.get_health(ProjectName(name)).failures for name in names}
    assert failures == {name: int(name != "p3") for name in names}
    error = store.get_health(ProjectName("p1")).error
    assert error
    assert error.code == "source-unreachable"


def test_a_project_that_is_removed_meanwhile_costs_no_other_its_look(
    store: SqlStore, clock: ManualClock, folders: Folders
) -> None:
    """Its repository may be gone with it."""
    for name in ("gone", "web"):
        follow(store, clock, name)

    def bring(project: Project) -> None:
        if project.name == "gone":
            store.remove_project(project.name)
            raise NotFound("there is no repository gone")
        folders.tips["web"] = A

    act: Any = folders.act
    repositories: Any = folders
    Pushes(store, repositories, clock, act, lambda *_: None, bring).look_at_folders(MINUTE)
    assert store.get_health(ProjectName("web")).observed == A
    assert [project.name for project in store.list_projects()] == ["web"]


def test_a_look_that_a_person_asked_for_tells_what_is_wrong_with_the_folder(
    pushes: Pushes, store: SqlStore, clock: ManualClock, folders: Folders
) -> None:
    """At once: not only when its turn comes the next time."""
    project = follow(store, clock, "web")
    folders.there["web"] = InvalidComposeFile("compose.yaml: the file is not acceptable YAML")
    with pytest.raises(InvalidComposeFile):
        pushes.look_at(project)
    error = store.get_health(project.name).error
    assert error
    assert error.code == "invalid-compose-file"
    folders.there["web"] = A
    pushes.look_at(project)
    assert store.get_health(project.name).error is None


def test_a_store_that_is_gone_is_everybodys_trouble(
    pushes: Pushes, store: SqlStore, clock: ManualClock, folders: Folders
) -> None:
    """Who runs the look has to know."""
    follow(store, clock, "web")
    folders.there["web"] = StoreError("the disk is full")
    with pytest.raises(StoreError, match="full"):
        pushes.look_at_folders(MINUTE)


def test_a_tip_is_asked_for_after_the_folder_was_looked_at(
    store: SqlStore, clock: ManualClock, folders: Folders
) -> None:
    """So a plan and a deployment are of what is there now; a host that is away refuses both."""
    web, nobody = follow(store, clock, "web"), add_project(store, clock, "app", hosted("app"))
    sources = Sources(store, None, folders, folders.bring)  # type: ignore[arg-type]
    folders.there["web"], folders.tips["app"] = B, A
    assert (sources.tip(web), sources.tip(nobody)) == (B, A)
    folders.there["web"] = SourceUnreachable("host web1 is away")
    with pytest.raises(SourceUnreachable):
        sources.tip(web)
