"""Migrations on a real engine: in the new image, beside what runs, and at most once."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.domain.deployment import DeploymentId, PreparedTarget
from reconciler.domain.errors import (
    Interrupted,
    InvalidComposeFile,
    MigrationUnfinished,
    RolloutError,
    WorkTreeDirty,
)
from reconciler.domain.migration import Migration
from reconciler.domain.project import Container, ProjectKind
from reconciler.domain.references import ImageReference, ServiceName
from reconciler.domain.verification import Verdict
from reconciler.ports import MigrationEnd, MigrationRun, Work
from reconciler.strategies.compose import ComposeMigrator
from tests.parts.compose_rig import ComposeRig, compose_file, open_rig
from tests.parts.docker_engine import DockerEngine
from tests.parts.registry import Registry
from tests.parts.waiting import eventually

pytestmark = [pytest.mark.needs_docker, pytest.mark.needs_registry, pytest.mark.needs_git]

#: Goes on until a file is there; ends at once when it is told to.
_UNTIL_TOLD = (
    "trap 'exit 9' TERM; echo once >> /data/runs; while [ ! -e /data/go ]; do sleep 0.1; done"
)


@dataclass
class Migrations:
    """Migrations of one project."""

    rig: ComposeRig
    begun: list[DeploymentId] = field(default_factory=list)

    def declare(self, *command: str, **more: object) -> None:
        migration = Migration(command, **more)  # type: ignore[arg-type]
        self.rig.project = replace(self.rig.project, migration=migration)

    def prepare(self) -> tuple[Work, PreparedTarget]:
        work = self.rig.work()
        return work, self.rig.strategy.prepare(work)

    def run(
        self, work: Work, prepared: PreparedTarget, *command: str, **changes: object
    ) -> MigrationEnd:
        """Run ``command``, or what is declared; each time as a daemon that was just started."""
        migration = self.rig.project.migration
        assert migration is not None
        migration = replace(migration, command=command) if command else migration
        run = MigrationRun(migration, False, lambda: self.begun.append(work.deployment))
        run = replace(run, **changes)  # type: ignore[arg-type]
        return ComposeMigrator(self.rig.strategy, timedelta(seconds=20)).migrate(
            work, prepared, run
        )

    def begin(self, work: Work, prepared: PreparedTarget) -> None:
        """Begin what is declared, and have the daemon end once it is at work."""
        failures: list[Exception] = []

        def begin() -> None:
            try:
                self.run(work, prepared)
            except Interrupted as error:
                failures.append(error)

        thread = threading.Thread(target=begin)
        thread.start()
        try:
            eventually(lambda: self.container(work), within=20, what="the migration is at work")
        finally:
            work.cancel.set()
            thread.join(20)
        assert failures
        work.cancel.clear()

    def container(self, work: Work) -> str:
        """Return the id of the migration's container while it runs."""
        return self.rig.engine.docker("ps", "--quiet", "--filter", f"name={self.name(work)}")

    def name(self, work: Work) -> str:
        return f"{self.rig.name}-{work.deployment}-migration"

    def in_volume(self, *command: str) -> str:
        """Run ``command`` where the project's data is."""
        volume = f"{self.rig.name}_data:/data"
        image = self.rig.engine.busybox_image()
        return self.rig.engine.docker("run", "--rm", "--volume", volume, image, *command)


@pytest.fixture
def migrations(engine: DockerEngine, registry: Registry, tmp_path: Path) -> Iterator[Migrations]:
    with open_rig(engine, registry, tmp_path) as rig:
        made = Migrations(rig)
        made.declare("true")
        yield made


def with_data(rig: ComposeRig, image: str, rest: str = "") -> str:
    """Return a compose file with one service, and one volume."""
    return (
        compose_file(rig.engine, web=f"{image}\nvolumes: ['data:/data']\n{rest}")
        + "volumes: {data: {}}\n"
    )


def test_c3_it_runs_in_the_new_image_while_the_old_version_serves(migrations: Migrations) -> None:
    """C3: its exit status, whatever it is, comes back; what runs is not touched."""
    rig = migrations.rig
    rig.commit(with_data(rig, rig.image(), "restart: always\nports: ['127.0.0.1::80']"))
    rig.deploy()
    before = rig.observe()
    rig.commit(with_data(rig, rig.image("app:2", version="two"), "environment: {LEVEL: high}"))
    work, prepared = migrations.prepare()
    script = "cat; cat /version; echo; echo $LEVEL $RECONCILER_MIGRATION_APPROVED_BY >&2; exit "

    for status in (75, 3):
        end = migrations.run(work, prepared, "sh", "-c", f"{script}{status}", approved_by="ann")
        assert (end.exit_status, end.problem) == (status, "")
        assert set(end.last_lines) == {"two", "high ann"}

    assert {"two", "high ann"} <= set(rig.log)
    assert migrations.begun == [work.deployment] * 2
    assert rig.observe() == before
    assert (rig.tree / ".deploy/web.sha").read_text().strip() != str(prepared.services[0].pin)
    ComposeMigrator(rig.strategy).forget(work)
    assert not migrations.container(work)
    assert len(rig.engine.containers(rig.name)) == 1
    rig.strategy.apply(work, prepared)
    assert rig.judged(prepared).verdict is Verdict.GOOD


def test_c3_what_outlives_the_daemon_is_taken_up_and_never_begins_twice(
    migrations: Migrations,
) -> None:
    """C3: the daemon ends in the middle; the next one sees the end of that very run."""
    rig = migrations.rig
    migrations.declare("sh", "-c", f"{_UNTIL_TOLD}; exit 5")
    rig.commit(with_data(rig, rig.image()))
    work, prepared = migrations.prepare()
    migrations.begin(work, prepared)
    container = migrations.container(work)

    rig.strategy.apply(work, prepared)
    assert [sample.service for sample in rig.observe()] == ["web"]
    assert migrations.container(work) == container
    later = replace(work, deployment=DeploymentId(99))
    with pytest.raises(MigrationUnfinished, match=f"deployment {work.deployment} is still at it"):
        migrations.run(later, prepared, earlier=work.deployment)

    migrations.in_volume("touch", "/data/go")
    for _ in range(2):  # while it may still be at work, and once it has ended
        assert migrations.run(work, prepared, begun=True).exit_status == 5
    assert migrations.in_volume("cat", "/data/runs") == "once"
    assert migrations.begun == [work.deployment]

    ComposeMigrator(rig.strategy).forget(work)
    with pytest.raises(MigrationUnfinished, match=f"no container {migrations.name(work)} is there"):
        migrations.run(work, prepared, begun=True)
    assert migrations.in_volume("cat", "/data/runs") == "once"


@pytest.mark.slow
def test_what_was_created_and_never_started_begins(migrations: Migrations) -> None:
    """A daemon that was killed between the two left nothing that ran."""
    rig = migrations.rig
    rig.commit(with_data(rig, rig.image()))
    work, prepared = migrations.prepare()
    labels = (f"com.docker.compose.{one}" for one in (f"project={rig.name}", "oneoff=True"))
    options = [part for label in labels for part in ("--label", label)]
    image = rig.engine.busybox_image()
    rig.engine.docker("create", "--name", migrations.name(work), *options, image)
    assert migrations.run(work, prepared, begun=True).exit_status == 0
    assert migrations.begun == [work.deployment]


def test_a_stranger_s_container_of_that_name_tells_nothing(migrations: Migrations) -> None:
    """One that another project put there beforehand, and that ended well."""
    rig = migrations.rig
    rig.commit(compose_file(rig.engine, web=rig.image()))
    work, prepared = migrations.prepare()
    rig.engine.docker(
        *("run", "--name", migrations.name(work), "--label", "com.docker.compose.project=evil"),
        *(rig.engine.busybox_image(), "true"),
    )
    end = migrations.run(work, prepared)
    assert (end.exit_status, "already in use" in end.problem) == (None, True)
    with pytest.raises(MigrationUnfinished, match="no container"):
        migrations.run(work, prepared, begun=True)
    rig.engine.docker("rm", migrations.name(work))


@pytest.mark.slow
def test_one_that_takes_too_long_is_stopped(migrations: Migrations) -> None:
    """It gets a chance to end by itself; how it ended then is no success."""
    rig = migrations.rig
    script = "trap 'echo stopping; exit 0' TERM; sleep 60 & wait"
    migrations.declare("sh", "-c", script, timeout=timedelta(seconds=1))
    rig.commit(with_data(rig, rig.image()).replace("stop_signal: KILL", "stop_signal: TERM"))
    end = migrations.run(*migrations.prepare())
    assert end.exit_status is None
    assert end.problem == "it took longer than 1 s, and was stopped"
    assert end.last_lines == ("stopping",)


@pytest.mark.slow
def test_a_command_that_is_not_there_is_named_with_its_image(migrations: Migrations) -> None:
    """The engine's own words help nobody."""
    rig = migrations.rig
    image = rig.image()
    rig.commit(with_data(rig, image))
    work, prepared = migrations.prepare()
    exact = f"{image}@{rig.digest(image)}"

    missing = migrations.run(work, prepared, "no-such-tool", "--now")
    assert missing.exit_status is None
    assert missing.problem == f"'no-such-tool' is no program of {exact} (no-such-tool --now)"
    for script, said, status in (
        ("no-such-tool", "a command was not found", 127),
        ("/version", "a command can't be executed", 126),
    ):
        end = migrations.run(work, prepared, "sh", "-c", script)
        assert end.exit_status == status
        assert end.problem == f"{said} (exit status {status}): sh -c {script} in {exact}"


@pytest.mark.slow
def test_what_it_depends_on_is_started_and_stays(migrations: Migrations) -> None:
    """A first deployment brings its database up; the roll-out finds it as it is."""
    rig = migrations.rig
    image = rig.image()
    healthy = "healthcheck: {test: [CMD, test, -e, /tmp/up], interval: 200ms}"
    database = f"""{image}
command: [sh, -c, "cat /init; touch /tmp/up; trap 'exit 0' TERM; sleep 600 & wait"]
volumes: ["./init.sql:/init:ro", "./data:/data"]
{healthy}"""
    needed = {"db": "service_healthy", "setup": "service_completed_successfully"}
    web = f"{image}\ndepends_on:" + "".join(
        f"\n  {name}: {{condition: {condition}}}" for name, condition in needed.items()
    )
    setup = f"{image}\ncommand: ['true']\nrestart: 'no'\ndepends_on: [db]"
    rig.commit(
        compose_file(rig.engine, web=web, db=database, setup=setup, other=image),
        {"init.sql": "first\n"},
    )
    work, prepared = migrations.prepare()

    assert migrations.run(work, prepared, "ping", "-c1", "-W2", "db").exit_status == 0

    assert sorted(sample.service for sample in rig.observe()) == ["db", "setup"]
    before = {name: rig.running(name)["id"] for name in ("db", "setup")}
    assert rig.engine.docker("logs", before["db"]) == "first"
    ComposeMigrator(rig.strategy).forget(work)
    rig.strategy.apply(work, prepared)
    assert {name: rig.running(name)["id"] for name in ("db", "setup")} == before
    assert rig.judged(prepared).verdict is Verdict.GOOD


@pytest.mark.slow
def test_a_service_of_that_name_is_not_taken_for_it(migrations: Migrations) -> None:
    """Of the first deployment compose would give both the same name, and that one ends well."""
    rig = migrations.rig
    image = rig.image()
    web = f"{image}\ndepends_on: {{migration: {{condition: service_completed_successfully}}}}"
    own = f"{image}\ncommand: ['true']\nrestart: 'no'"
    rig.commit(compose_file(rig.engine, web=web, migration=own))
    work, prepared = migrations.prepare()
    assert work.deployment == 1
    assert migrations.run(work, prepared, "sh", "-c", "exit 3") == MigrationEnd(3)


@pytest.mark.slow
def test_a_service_that_takes_its_name_on_purpose_is_not_taken_for_it(
    migrations: Migrations,
) -> None:
    """Numbers of deployments are foreseen easily, and the gate must not be passed by one."""
    rig = migrations.rig
    image = rig.image()
    web = f"{image}\ndepends_on: {{fake: {{condition: service_completed_successfully}}}}"
    fake = f"{image}\ncommand: ['true']\nrestart: 'no'\ncontainer_name: {rig.name}-1-migration"
    rig.commit(compose_file(rig.engine, web=web, fake=fake))
    end = migrations.run(*migrations.prepare(), "sh", "-c", "exit 3")
    assert (end.exit_status, "already in use" in end.problem) == (None, True)


@pytest.mark.slow
def test_a_dependency_that_fails_keeps_it_from_beginning(migrations: Migrations) -> None:
    """Nothing is on record as begun."""
    rig = migrations.rig
    image = rig.image()
    web = f"{image}\ndepends_on: {{db: {{condition: service_healthy}}}}"
    database = f"{image}\ncommand: [sh, -c, 'exit 4']\nhealthcheck: {{test: [CMD, 'true']}}"
    rig.commit(compose_file(rig.engine, web=web, db=database))
    with pytest.raises(RolloutError, match="db, which the migration depends on, ended with"):
        migrations.run(*migrations.prepare())
    assert migrations.begun == []


@pytest.mark.slow
def test_files_of_the_commit_are_the_new_ones_and_data_is_where_it_is(
    migrations: Migrations,
) -> None:
    """Read-only mounts come from the commit; the work tree keeps the version that runs.

    One that was changed by hand is found before anything begins.
    """
    rig = migrations.rig
    mounts = "volumes: ['./steps:/steps:ro', './state:/state']\nsecrets: [key]"
    migrations.declare("true", service=ServiceName("job"))
    job = f"{rig.image()}\n{mounts}\ndeploy: {{replicas: 0}}"
    text = compose_file(rig.engine, web=rig.image(), job=job)
    text += "secrets: {key: {file: ./key.txt}}\n"
    kept = {"state/.gitkeep": "", "key.txt": "old"}
    rig.commit(text, {"steps/1.sql": "one", **kept})
    rig.deploy()
    (rig.tree / "state/rows").write_text("kept")
    rig.commit(text, {"steps/2.sql": "two", "key.txt": "new"})
    work, prepared = migrations.prepare()
    (rig.tree / "key.txt").write_text("mine")
    with pytest.raises(WorkTreeDirty, match=r"key\.txt"):
        migrations.run(work, prepared)
    assert migrations.begun == []
    (rig.tree / "key.txt").write_text("old")

    script = "cat /steps/* /run/secrets/key /state/rows && echo done > /state/rows"
    end = migrations.run(work, prepared, "sh", "-c", script)

    assert end == MigrationEnd(0, ("onetwonewkept",))
    assert (rig.tree / "state/rows").read_text() == "done\n"
    assert [path.name for path in (rig.tree / "steps").iterdir()] == ["1.sql"]
    ComposeMigrator(rig.strategy).forget(work)
    assert not list((rig.tree.parent / "laid-out").iterdir())
    rig.strategy.apply(work, prepared)
    assert rig.judged(prepared).verdict is Verdict.GOOD


@pytest.mark.parametrize(
    ("rest", "service", "problem"),
    [
        pytest.param(
            "", "worker", "migration.service: 'worker' is not one of the services", id="no-service"
        ),
        pytest.param(
            "volumes: ['./steps:/steps']", None, "'./steps' has files of the repository", id="files"
        ),
    ],
)
def test_what_can_not_run_is_refused_before_anything_begins(
    migrations: Migrations, rest: str, service: ServiceName | None, problem: str
) -> None:
    """While it is made ready, with the name of what is wrong."""
    rig = migrations.rig
    migrations.declare("true", service=service)
    rig.commit(compose_file(rig.engine, web=f"{rig.image()}\n{rest}"), {"steps/1.sql": "one"})
    with pytest.raises(InvalidComposeFile, match=problem):
        migrations.prepare()


@pytest.mark.slow
def test_an_image_project_s_runs_before_its_first_container(
    engine: DockerEngine, registry: Registry, tmp_path: Path
) -> None:
    """With its variables and its volume, though there is no repository."""
    with open_rig(
        engine,
        registry,
        tmp_path,
        kind=ProjectKind.IMAGE,
        source=None,
        image=ImageReference.parse(f"{registry.host}/solo:1"),
        container=Container(volumes=("data:/data",)),
        expose_service=None,
        migration=Migration(("sh", "-c", "echo $LEVEL > /data/rows")),
    ) as rig:
        rig.image("solo:1")
        work = rig.work(variables={"LEVEL": "a $high one"})
        assert Migrations(rig).run(work, rig.strategy.prepare(work)).exit_status == 0
        assert not rig.observe()
        assert Migrations(rig).in_volume("cat", "/data/rows") == "a $high one"
