"""Projects of stacks: declared at once, completed after a kill; what runs is left alone."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.compose_file import RuamelComposeReader
from reconciler.adapters.git.repositories import BareRepositories, find_hook
from reconciler.adapters.process import LocalRunner
from reconciler.domain.errors import (
    AlreadyExists,
    Conflict,
    InvalidInput,
    NotFound,
    SourceUnreachable,
    TargetUnreachable,
)
from reconciler.domain.host import LOCAL, HostName
from reconciler.domain.project import HostedSource
from reconciler.domain.references import BranchName, Digest, ProjectName
from reconciler.domain.stack import ComposeContainer, Exposed
from reconciler.domain.target import Target, TargetStrategy, default_folder
from reconciler.pipeline.adopting import Adoption, Folders
from reconciler.store.sql_store import SqlStore
from reconciler.testing import ManualClock
from tests.parts.git_repository import Repository
from tests.parts.stores import open_copy
from tests.parts.stores import project as declared

pytestmark = pytest.mark.needs_git

SHOP, MAIN = ProjectName("shop"), BranchName("main")
BASE = "/srv/apps/shop"
FILE = "services: {web: {image: 'web:1'}, db: {image: 'db:1'}}"


@dataclass
class Site:
    """One machine, whatever it is called: its containers, and the files in its folders."""

    containers: list[ComposeContainer] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=lambda: {f"{BASE}/compose.yaml": FILE})
    away: bool = False

    def get(self, name: HostName) -> Any:
        return self

    def engine(self) -> Any:
        return self

    def compose_containers(self) -> Sequence[ComposeContainer]:
        return self.containers

    def read(self, target: Target, paths: Sequence[str]) -> Mapping[str, bytes]:
        if self.away:
            raise TargetUnreachable(f"host {target.host} is away")
        found = {path: self.files.get(f"{target.base}/{path}") for path in paths}
        return {path: text.encode() for path, text in found.items() if text is not None}

    def run(self, service: str, *published: int, base: str = BASE, files: str = "") -> None:
        labels = {
            "project": "shop",
            "service": service,
            "project.working_dir": base,
            "project.config_files": files or f"{base}/compose.yaml",
        }
        told = {f"com.docker.compose.{name}": text for name, text in labels.items()}
        digest = Digest.parse(f"sha256:{'1' * 64}")
        self.containers.append(
            ComposeContainer(service, "web:1", digest, True, told, tuple(published))
        )


@dataclass
class Scene:
    """A site with a stack, and a daemon that may adopt it."""

    site: Site
    store: SqlStore
    repositories: BareRepositories

    @property
    def adoption(self) -> Adoption:
        site: Any = self.site
        folders = Folders(self.repositories, site, RuamelComposeReader(), ManualClock(), self.store)
        return Adoption(self.store, site, folders)

    def names(self) -> list[str]:
        return [project.name for project in self.store.list_projects()]


@pytest.fixture
def scene(sqlite_template: Path, tmp_path: Path) -> Iterator[Scene]:
    store = open_copy(sqlite_template, tmp_path, ManualClock())
    repositories = BareRepositories(
        tmp_path / "hosted", LocalRunner("tests"), hook=find_hook(), socket=tmp_path / "socket"
    )
    site = Site()
    site.run("web", 8080)
    site.run("db")
    yield Scene(site, store, repositories)
    store.close()


def test_a_stack_becomes_a_project_of_its_name(scene: Scene) -> None:
    """Its source is its own repository, which holds what is in the folder; nothing is switched."""
    project = scene.adoption.adopt(LOCAL, "shop").project
    assert scene.store.get_project(SHOP) == project
    assert project.source == HostedSource(SHOP, MAIN)
    assert (project.expose_service, project.expose_port) == ("web", 8080)
    assert not project.auto_deploy
    (target,) = project.targets
    assert (target.host, target.base, target.compose_files) == (LOCAL, BASE, ())
    assert project.followed_folder == target
    repository = Repository(scene.repositories.path(SHOP))
    assert repository.git("show", "main:compose.yaml") == FILE
    assert repository.git("log", "--format=%s", "main") == (
        f"Take over compose.yaml from {BASE} on {LOCAL}"
    )


def test_all_files_that_it_was_brought_up_with_are_taken(scene: Scene) -> None:
    """Later ones win, as they did."""
    scene.site.containers.clear()
    scene.site.run("web", 8080, files=f"{BASE}/compose.yaml,{BASE}/env/live.yaml")
    scene.site.files[f"{BASE}/env/live.yaml"] = "services: {web: {environment: {A: b}}}"
    (target,) = scene.adoption.adopt(LOCAL, "shop").project.targets
    assert target.compose_files == ("env/live.yaml",)


def test_stacks_are_found_with_what_can_become_of_them(scene: Scene) -> None:
    """What people reach, a project that there is, and what is in the way."""
    (found,) = scene.adoption.find(LOCAL)
    assert (found.stack.name, found.obstacle, found.project) == ("shop", "", None)
    assert found.stack.exposed == Exposed("web", 8080)
    scene.site.run("odd", base="/srv")
    (found,) = scene.adoption.find(LOCAL)
    assert "several folders" in found.obstacle
    scene.site.containers.pop()
    scene.adoption.adopt(LOCAL, "shop")
    (found,) = scene.adoption.find(LOCAL)
    assert (found.obstacle, found.project) == ("", "shop")
    (found,) = scene.adoption.find(HostName("web2"))
    told = f"another project has its name, on {LOCAL}"
    assert (found.obstacle, found.project) == (told, "shop")


def test_what_people_reach_has_to_be_said_where_it_can_not_be_told(scene: Scene) -> None:
    """No published port, or several; and what is said must be one of its services."""
    scene.site.run("web", 9090)
    assert [one.stack.exposed for one in scene.adoption.find(LOCAL)] == [None]
    with pytest.raises(InvalidInput, match="web:8080, web:9090") as refused:
        scene.adoption.adopt(LOCAL, "shop")
    assert refused.value.field == "expose_service"
    with pytest.raises(InvalidInput, match="is none of its services: web, db"):
        scene.adoption.adopt(LOCAL, "shop", Exposed("wbe", 80))
    assert (scene.names(), scene.repositories.names()) == ([], [])
    project = scene.adoption.adopt(LOCAL, "shop", Exposed("db", 5432)).project
    assert (project.expose_service, project.expose_port) == ("db", 5432)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        pytest.param("services: {web: {build: .}}", "web is built from the folder", id="built"),
        pytest.param("services: [", "shop can't be adopted", id="no-yaml"),
        pytest.param("include: [gone.yaml]", "gone.yaml is not in /srv/apps/shop", id="gone"),
    ],
)
def test_files_that_can_not_be_a_projects_make_none(scene: Scene, file: str, said: str) -> None:
    """Nothing is declared, and nothing is made."""
    scene.site.files[f"{BASE}/compose.yaml"] = file
    with pytest.raises(Conflict, match=said):
        scene.adoption.adopt(LOCAL, "shop", Exposed("web", 80))
    assert (scene.names(), scene.repositories.names()) == ([], [])


def test_what_a_second_file_leaves_unsaid_is_as_the_first_one_says(scene: Scene) -> None:
    """A service that is built stays so, whatever comes after."""
    scene.site.files = {
        f"{BASE}/compose.yaml": "services: {web: {build: .}}",
        f"{BASE}/live.yaml": "services: {web: {environment: {A: b}}}",
    }
    scene.site.containers.clear()
    scene.site.run("web", 80, files=f"{BASE}/compose.yaml,{BASE}/live.yaml")
    with pytest.raises(Conflict, match="web is built"):
        scene.adoption.adopt(LOCAL, "shop")


def test_names_that_are_taken_are_left_alone(scene: Scene) -> None:
    """A project, or a repository that somebody pushed to; an unknown stack names those there."""
    with pytest.raises(NotFound, match="no compose project 'sho' runs on local; there is: shop"):
        scene.adoption.adopt(LOCAL, "sho")
    pushed = Repository(scene.repositories.create(SHOP))
    tip = pushed.commit({"a": "theirs"})
    with pytest.raises(AlreadyExists, match="a repository shop"):
        scene.adoption.adopt(LOCAL, "shop")
    assert (pushed.tip(), scene.names()) == (tip, [])
    scene.repositories.remove(SHOP)
    scene.repositories.create(SHOP)
    follower = replace(declared("blog"), source=HostedSource(SHOP, MAIN))
    scene.store.create_project(follower)
    with pytest.raises(AlreadyExists, match="blog follows"):
        scene.adoption.adopt(LOCAL, "shop")
    scene.store.remove_project(follower.name)
    scene.adoption.adopt(LOCAL, "shop")
    with pytest.raises(AlreadyExists, match="a project shop"):
        scene.adoption.adopt(LOCAL, "shop")


def test_what_was_ended_midway_is_completed(scene: Scene) -> None:
    """A repository without a project is used; a project without files gets them when looked at."""
    scene.repositories.create(SHOP)
    project = scene.adoption.adopt(LOCAL, "shop").project
    scene.repositories.remove(SHOP)
    scene.repositories.create(SHOP)
    assert scene.repositories.tip(SHOP, MAIN) is None
    scene.adoption.folders.bring(project)
    tip = scene.repositories.tip(SHOP, MAIN)
    assert tip
    scene.adoption.folders.bring(project)
    assert scene.repositories.tip(SHOP, MAIN) == tip


def test_a_host_that_is_away_makes_nothing(scene: Scene) -> None:
    """It may be tried again; nothing is left to remove first."""
    scene.site.away = True
    with pytest.raises(SourceUnreachable, match="local is away"):
        scene.adoption.adopt(LOCAL, "shop")
    assert (scene.names(), scene.repositories.names()) == ([], [])
    scene.site.away = False
    scene.adoption.adopt(LOCAL, "shop")


@pytest.mark.parametrize(
    "base", ["/opt/apps/blog/source", "/opt/apps/blog", "/opt/apps/blog/.private"]
)
def test_a_folder_that_is_a_projects_on_that_host_is_no_stacks(scene: Scene, base: str) -> None:
    """What we deployed ourselves has a project, or had one; neither is adopted under another."""
    blog, host = ProjectName("blog"), HostName("web1")
    project = scene.adoption.adopt(LOCAL, "shop").project
    target = Target(blog, host, TargetStrategy.COMPOSE, default_folder(blog))
    scene.store.update_project(replace(project, targets=(target,)))
    scene.site.containers.clear()
    scene.site.run("web", 8080, base=base)
    scene.site.containers = [
        replace(one, labels={**one.labels, "com.docker.compose.project": "found"})
        for one in scene.site.containers
    ]
    scene.site.files[f"{base}/compose.yaml"] = FILE
    (found,) = scene.adoption.find(host)
    assert "is that of project" in found.obstacle
    with pytest.raises(Conflict, match="is that of project"):
        scene.adoption.adopt(host, "found")


def test_a_project_that_was_made_anew_keeps_what_was_pushed(scene: Scene) -> None:
    """A look that began before, at a slow host, records nothing over it."""
    old = scene.adoption.adopt(LOCAL, "shop").project
    scene.store.remove_project(SHOP)
    scene.repositories.remove(SHOP)
    pushed = Repository(scene.repositories.create(SHOP))
    tip = pushed.commit({"compose.yaml": "theirs"})
    scene.adoption.folders.bring(old)
    scene.store.create_project(replace(old, targets=()))
    scene.adoption.folders.bring(old)
    assert pushed.tip() == tip
