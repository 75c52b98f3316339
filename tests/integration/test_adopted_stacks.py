"""What runs under compose already, followed in its folder and deployed: on a real engine."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.compose_file import RuamelComposeReader
from reconciler.adapters.system_clock import SystemClock
from reconciler.domain.deployment import PreparedTarget
from reconciler.domain.errors import InvalidComposeFile, NameTaken, PreconditionFailed, SourceError
from reconciler.domain.host import HostName, HostPath
from reconciler.domain.migration import Migration
from reconciler.domain.plan import ImageFate
from reconciler.domain.project import Project
from reconciler.domain.references import CommitSha, ProjectName
from reconciler.domain.stack import files_of, group_stacks
from reconciler.domain.verification import Verdict
from reconciler.pipeline.adopting import Folders
from reconciler.ports import Foreseen, Work
from reconciler.strategies.compose import ComposeBaseFiles, ComposePlanner
from tests.parts.compose_rig import ComposeRig, compose_file, open_rig, scratches_of
from tests.parts.docker_engine import DockerEngine
from tests.parts.hosts import Hosts
from tests.parts.registry import Registry
from tests.parts.sshd import Sshd

pytestmark = [pytest.mark.needs_docker, pytest.mark.needs_registry, pytest.mark.needs_git]

HOST = HostName("web1")
#: All that leads out of a compose file: environment, data, a published port.
REST = """
env_file: app.env
environment: {VERSION: "${VERSION}"}
ports: ["127.0.0.1::80"]
volumes: ["./data:/data", "kept:/kept"]"""


@dataclass
class Adopted:
    """A stack that somebody brought up in ``base``, and a project that follows that folder."""

    rig: ComposeRig
    base: Path

    @property
    def folders(self) -> Folders:
        """What brings its files."""
        _, repositories, _ = scratches_of(self.rig)
        files = ComposeBaseFiles(self.rig.strategy)
        declared: Any = self
        return Folders(repositories, files, RuamelComposeReader(), SystemClock(), declared)

    def list_followers(self, _repository: ProjectName) -> list[Project]:
        """Return what is declared."""
        return [self.rig.project]

    def write(self, web: str, *, version: str = "one", rest: str = REST) -> None:
        """Put its files into the folder; the environment files stay there alone."""
        self.base.mkdir(exist_ok=True)
        text = compose_file(self.rig.engine, web=f"{web}{rest}")
        (self.base / "compose.yaml").write_text(f"{text}volumes: {{kept: {{}}}}\n")
        (self.base / ".env").write_text(f"VERSION={version}\n")
        (self.base / "app.env").write_text("PASSWORD=dollar$$sign\n")

    def up(self, *options: str) -> None:
        """Bring it up as a person does."""
        self.compose("up", "--detach", *options)

    def compose(self, *arguments: str) -> str:
        """Run compose in the folder."""
        file = self.base / "compose.yaml"
        return self.rig.engine.docker(
            "compose", "--project-name", self.rig.name, "--file", file, *arguments
        )

    def bring(self) -> CommitSha:
        """Look at the folder; return the branch's tip."""
        self.folders.bring(self.rig.project)
        return CommitSha(self.rig.repository.tip())

    def work(self, *, first: bool = False, **more: object) -> Work:
        """Return the next deployment's work: of what is in the folder now."""
        return replace(self.rig.work(str(self.bring())), may_take_over=not first, **more)  # type: ignore[arg-type]

    def plan(self, work: Work) -> Foreseen:
        """Return what ``work`` would come to."""
        _, _, scratches = scratches_of(self.rig)
        planner = ComposePlanner(self.rig.strategy)
        with scratches.open() as scratch:
            return planner.foresee(work, scratch)

    def deploy(self, work: Work) -> PreparedTarget:
        """Deploy, and see it well."""
        prepared = self.rig.deploy(work)
        assert self.rig.judged(prepared).verdict is Verdict.GOOD
        return prepared

    def inside(self, *command: str) -> str:
        """Run a command in the one container of the service."""
        return self.rig.engine.docker("exec", self.rig.running("web")["id"], *command)


@pytest.fixture
def adopted(engine: DockerEngine, registry: Registry, tmp_path: Path) -> Iterator[Adopted]:
    with open_rig(engine, registry, tmp_path / "rig") as rig:
        yield follow(rig, tmp_path / "stack")


def follow(rig: ComposeRig, base: Path) -> Adopted:
    rig.target = replace(rig.target, base=HostPath(str(base)))
    rig.project = replace(rig.project, targets=(rig.target,))
    return Adopted(rig, base)


def kept_of(adopted: Adopted) -> dict[str, str]:
    """Return what must outlive every deployment, and where it is from."""
    return {
        "data": adopted.inside("cat", "/data/mark"),
        "kept": adopted.inside("cat", "/kept/mark"),
        "password": adopted.inside("sh", "-c", "echo $PASSWORD"),
        "version": adopted.inside("sh", "-c", "echo $VERSION"),
    }


def test_f12_the_first_deployment_runs_what_ran_and_the_second_what_the_tag_means(
    adopted: Adopted,
) -> None:
    """F12: same image, data and values, though the tag moved; then the new one, and back."""
    rig = adopted.rig
    image = rig.image("app:1", version="one")
    adopted.write(image)
    adopted.up()
    before, digest = rig.running("web"), rig.digest(image)
    adopted.inside("sh", "-c", "echo mine > /data/mark; echo too > /kept/mark")
    kept = kept_of(adopted)
    assert kept["password"] == "dollar$sign"
    rig.image("app:1", version="two")
    moved = rig.digest(image)
    assert moved != digest
    work = adopted.work(first=True)
    (service,) = adopted.plan(work).services
    assert service.fate is ImageFate.PINNED
    assert service.note == "as it runs"
    assert str(digest) in str(service.exact)
    first = adopted.deploy(work)
    assert rig.running("web")["image"] == before["image"]
    assert rig.running("web")["name"] == f"{image}@{digest}"
    assert list(first.revision.images.values()) == [digest]
    assert kept_of(adopted) == kept
    assert (adopted.base / "data/mark").read_text() == "mine\n"
    second = rig.deploy(adopted.work())
    assert list(second.revision.images.values()) == [moved]
    assert rig.running("web")["image"] != before["image"]
    assert kept_of(adopted) == kept
    rig.strategy.apply(rig.work(str(adopted.bring())), first)
    assert rig.running("web")["image"] == before["image"]
    adopted.up()
    assert rig.running("web")["image"] != before["image"]
    assert rig.judged(first).verdict is Verdict.BAD, "what a person brought up is not it"
    assert sorted(path.name for path in adopted.base.iterdir()) == [
        *(".env", "app.env", "compose.yaml", "data")
    ]
    text = (adopted.base / "compose.yaml").read_text()
    assert rig.repository.git("show", "main:compose.yaml") == text.rstrip()
    assert rig.repository.git("ls-tree", "-r", "--name-only", "main") == "compose.yaml"


def test_f12_what_is_included_and_extended_is_of_the_commit(adopted: Adopted) -> None:
    """F12: compose would read both in the folder, where they may be newer than what is deployed."""
    rig, image = adopted.rig, adopted.rig.image("app:1")
    adopted.write(image, rest="\nextends: {file: parts/common.yaml, service: web}")
    file = adopted.base / "compose.yaml"
    file.write_text(f"include: [more.yaml]\n{file.read_text()}")
    (adopted.base / "parts").mkdir()

    def write(version: str) -> None:
        common = f"services: {{web: {{volumes: [./own:/own], environment: {{AT: {version}}}}}}}\n"
        (adopted.base / "parts/common.yaml").write_text(common)
        side = f"{image}\nenvironment: {{AT: {version}}}"
        (adopted.base / "more.yaml").write_text(compose_file(rig.engine, side=side))

    def versions() -> list[str]:
        found = [rig.engine.inspect(rig.running(one)["id"]) for one in ("web", "side")]
        return [entry for one in found for entry in one["Config"]["Env"] if entry[:3] == "AT="]

    write("one")
    adopted.up()
    first = rig.deploy(adopted.work(first=True))
    write("two")
    rig.deploy(adopted.work())
    assert versions() == ["AT=two", "AT=two"]
    rig.strategy.apply(rig.work(str(first.revision.commit)), first)
    assert versions() == ["AT=one", "AT=one"]
    (mount,) = rig.engine.inspect(rig.running("web")["id"])["Mounts"]
    assert mount["Source"] == str(adopted.base / "parts/own")


def test_f12_a_service_that_only_a_profile_starts_is_not_taken_away(adopted: Adopted) -> None:
    """F12: the first deployment ends nothing that runs; by then it is said what to do."""
    image = adopted.rig.image("app:1")
    adopted.write(image, rest="")
    file = adopted.base / "compose.yaml"
    side = compose_file(adopted.rig.engine, side=f"{image}\nprofiles: [extra]")
    file.write_text(side + file.read_text().removeprefix("services:\n"))
    adopted.compose("--profile", "extra", "up", "--detach")
    work = adopted.work(first=True)
    refusal = adopted.plan(work).refusal
    assert refusal
    assert "side runs, and the files do not start it" in refusal.message
    with pytest.raises(InvalidComposeFile, match="side runs"):
        adopted.rig.strategy.prepare(work)
    (adopted.base / ".env").write_text("COMPOSE_PROFILES=extra\n")
    adopted.rig.deploy(work)
    assert adopted.rig.running("side")


def test_f12_data_is_not_left_behind_by_a_variable_that_only_a_shell_had(
    adopted: Adopted,
) -> None:
    """F12: by the files alone another folder would be mounted, or another volume."""
    adopted.write(adopted.rig.image("app:1"), rest="\nvolumes: ['${DATA:-.}/data:/data/']")
    (adopted.base / ".env").write_text(f"DATA={adopted.base}/there\n")
    adopted.up()
    (adopted.base / ".env").unlink()
    work = adopted.work(first=True)
    with pytest.raises(InvalidComposeFile, match=rf"web has {adopted.base}/there/data at /data"):
        adopted.rig.strategy.prepare(work)
    adopted.rig.strategy.prepare(replace(work, may_take_over=True))
    (adopted.base / ".env").write_text("DATA=./there\n")
    adopted.rig.strategy.prepare(work)
    adopted.write(adopted.rig.image("app:1"), rest="\nvolumes: ['kept:/data']")
    with pytest.raises(InvalidComposeFile, match=rf"it would be {adopted.rig.name}_kept"):
        adopted.rig.strategy.prepare(adopted.work(first=True))


def test_f12_what_was_brought_up_elsewhere_under_the_name_is_left_alone(
    adopted: Adopted, tmp_path: Path
) -> None:
    """F12: the name alone makes nobody its owner, nor does one container of the folder."""
    image = adopted.rig.image("app:1")
    adopted.write(image, rest="")
    other = Adopted(adopted.rig, tmp_path / "other")
    other.write(image, rest="")
    other.up()
    with pytest.raises(NameTaken):
        adopted.rig.strategy.prepare(adopted.work(first=True))
    adopted.up("--force-recreate")
    adopted.rig.strategy.prepare(adopted.work(first=True))


def test_f12_a_folder_that_holds_or_lies_in_our_own_data_is_not_read(
    adopted: Adopted, tmp_path: Path
) -> None:
    """F12: neither by its name nor through a link; and nothing of it is deployed."""
    data = adopted.rig.strategy.options.data_folder
    (data / "projects").mkdir(parents=True, exist_ok=True)
    link = tmp_path / "link"
    link.symlink_to(data / "projects")
    for base in (data, data / "projects", data.parent, link):
        inside = follow(adopted.rig, base)
        (base / "compose.yaml").write_text(compose_file(adopted.rig.engine, web="web:1"))
        with pytest.raises(InvalidComposeFile, match="can't be a base"):
            inside.bring()
        adopted.rig.commit((base / "compose.yaml").read_text())
        work = adopted.rig.work()
        with pytest.raises(InvalidComposeFile, match="can't be a base"):
            adopted.rig.strategy.prepare(work)
        refusal = inside.plan(work).refusal
        assert refusal
        assert "can't be a base" in refusal.message


def test_f12_links_that_lead_out_of_the_folder_are_not_followed(
    adopted: Adopted, tmp_path: Path
) -> None:
    """F12: of compose files, of environment files, and of what is mounted."""
    image, outside = adopted.rig.image("app:1"), tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("TOKEN=x\n")
    adopted.write(image, rest="\nenv_file: leads\nvolumes: ['./data:/data']")
    (adopted.base / "leads").symlink_to(outside / "secret")
    prepare = adopted.rig.strategy.prepare
    with pytest.raises(InvalidComposeFile, match="symbolic link"):
        prepare(adopted.work())
    (adopted.base / "leads").unlink()
    (adopted.base / "leads").write_text("A=b\n")
    (adopted.base / "data").symlink_to(outside)
    with pytest.raises(InvalidComposeFile, match="symbolic link"):
        prepare(adopted.work())
    (adopted.base / "data").unlink()
    prepare(adopted.work())
    (outside / "compose.yaml").write_text((adopted.base / "compose.yaml").read_text())
    (adopted.base / "compose.yaml").unlink()
    (adopted.base / "compose.yaml").symlink_to(outside / "compose.yaml")
    with pytest.raises(InvalidComposeFile, match="symbolic link"):
        adopted.bring()


def test_f12_what_needs_more_than_compose_files_is_refused(adopted: Adopted) -> None:
    """F12: a build, or a migration, has only the commit; the files beside it are not in that."""
    adopted.write(adopted.rig.image("app:1"), rest="\nbuild: .\npull_policy: build")
    with pytest.raises(InvalidComposeFile, match="web can't be built"):
        adopted.rig.strategy.prepare(adopted.work())
    adopted.write(adopted.rig.image("app:1"), rest="")
    project = replace(adopted.rig.project, migration=Migration(("true",)))
    with pytest.raises(InvalidComposeFile, match="a migration can't be run"):
        adopted.rig.strategy.prepare(adopted.work(project=project))


def test_f12_a_host_that_is_gone_or_a_file_that_is_gone_records_nothing(adopted: Adopted) -> None:
    """F12: the branch stays where it was, and the error names the file and the folder."""
    adopted.write(adopted.rig.image("app:1"), rest="")
    tip = adopted.bring()
    assert adopted.bring() == tip, "nothing changed"
    (adopted.base / "compose.yaml").rename(adopted.base / "away")
    with pytest.raises(SourceError, match=rf"compose.yaml is not in {adopted.base}"):
        adopted.bring()
    assert adopted.rig.repository.tip() == str(tip)
    work = adopted.rig.work()
    adopted.base.rename(adopted.base.with_name("unmounted"))
    with pytest.raises(SourceError, match=f"{adopted.base} is not there"):
        adopted.bring()
    with pytest.raises(PreconditionFailed, match=f"{adopted.base} is not there"):
        adopted.rig.strategy.prepare(work)  # else without its values, on empty folders


@pytest.mark.needs_sshd
def test_f12_a_stack_on_a_host_is_followed_there(
    engine: DockerEngine, registry: Registry, tmp_path: Path
) -> None:
    """F12, E1: files, values and data are the host's; only compose files come here."""
    with (
        Sshd() as server,
        Hosts(tmp_path) as hosts,
        open_rig(engine, registry, tmp_path / "rig", hosts=hosts, host=HOST) as rig,
    ):
        hosts.declare(server, HOST)
        adopted = follow(rig, tmp_path / "stack")
        adopted.write(rig.image("app:1"))
        adopted.up()
        machine = hosts.machines.get(HOST).engine()
        stacks = {one.name: one for one in group_stacks(machine.compose_containers())}
        place = files_of(stacks[rig.name])
        assert (place.base, place.compose_path) == (str(adopted.base), "compose.yaml")
        before = rig.running("web")["image"]
        adopted.inside("sh", "-c", "echo mine > /data/mark; echo too > /kept/mark")
        kept = kept_of(adopted)
        rig.image("app:1", version="two")
        work = adopted.work(first=True)
        assert adopted.plan(work).refusal is None
        adopted.deploy(work)
        assert (rig.running("web")["image"], kept_of(adopted)) == (before, kept)
        adopted.write(rig.image("app:1", version="two"), version="two")
        rig.deploy(adopted.work())
        assert kept_of(adopted) == {**kept, "version": "two"}
        assert rig.running("web")["image"] != before
        work = adopted.work()
        adopted.base.rename(adopted.base.with_name("unmounted"))
        with pytest.raises(PreconditionFailed, match=f"{adopted.base} is not there on {HOST}"):
            rig.strategy.prepare(work)
        own = Path(rig.target.folder)
        for base in (own, own / "source", own.parent):
            with pytest.raises(InvalidComposeFile, match="can't be a base"):
                follow(rig, base).bring()
