"""The compose strategy on a host: a real sshd beside a real engine."""

import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.adapters.git.repositories import BareRepositories, find_hook
from reconciler.adapters.git.scratch import Scratches
from reconciler.adapters.process import LocalRunner
from reconciler.domain.deployment import PreparedTarget
from reconciler.domain.errors import (
    Interrupted,
    InvalidComposeFile,
    PinnedHostAway,
    PreconditionFailed,
    TargetUnreachable,
    WorkTreeDirty,
)
from reconciler.domain.failure import Failure
from reconciler.domain.host import HostName, HostPath
from reconciler.domain.migration import Migration
from reconciler.domain.project import Container, ProjectKind
from reconciler.domain.references import CommitSha, ImageReference, RepositoryPath
from reconciler.domain.secret import Secret
from reconciler.domain.verification import Verdict
from reconciler.ports import MigrationEnd, MigrationRun, RegistryCredentials
from reconciler.strategies.compose import ComposeMigrator, ComposePlanner
from tests.parts.child import free_port
from tests.parts.compose_rig import ComposeRig, compose_file, open_rig
from tests.parts.docker_engine import DockerEngine
from tests.parts.faulty import FaultyProxy
from tests.parts.git_repository import run_git
from tests.parts.hosts import Hosts
from tests.parts.registry import PASSWORD, USERNAME, Registry
from tests.parts.sshd import Sshd
from tests.parts.web_daemon import NoRemote

pytestmark = [
    pytest.mark.needs_docker,
    pytest.mark.needs_registry,
    pytest.mark.needs_git,
    pytest.mark.needs_sshd,
]

HOST = HostName("web1")


@pytest.fixture(scope="module")
def server() -> Iterator[Sshd]:
    """The host's sshd."""
    with Sshd() as running:
        yield running


@pytest.fixture
def hosts(server: Sshd, tmp_path: Path) -> Iterator[Hosts]:
    """The host, declared."""
    with Hosts(tmp_path) as declared:
        declared.declare(server, HOST)
        yield declared


@pytest.fixture
def rig(
    engine: DockerEngine, registry: Registry, tmp_path: Path, hosts: Hosts
) -> Iterator[ComposeRig]:
    """A project that is deployed to the host."""
    with open_rig(engine, registry, tmp_path, hosts=hosts, host=HOST) as made:
        yield made


def git_there(rig: ComposeRig, *arguments: str) -> str:
    """Ask the work tree's repository on the host."""
    return run_git("--git-dir", repository_of(rig), "-C", rig.tree, *arguments)


def repository_of(rig: ComposeRig) -> Path:
    return Path(rig.target.folder) / "repository.git"


def private_of(rig: ComposeRig) -> Path:
    return Path(rig.target.folder) / ".private"


def deployed(rig: ComposeRig, rest: str = "") -> PreparedTarget:
    """Deploy one service."""
    rig.commit(compose_file(rig.engine, web=f"{rig.image('app:1')}{rest}"))
    return rig.deploy()


# ── What a deployment does there ──────────────────────────────────────────────────────────────


def test_e1_a_commit_runs_on_the_host_and_its_work_tree_holds_it(rig: ComposeRig) -> None:
    """E1: fetched, pulled, brought up with the override, and verified by the engine there."""
    prepared = deployed(rig)
    assert rig.judged(prepared).verdict is Verdict.GOOD
    assert git_there(rig, "rev-parse", "HEAD") == rig.repository.tip()
    assert git_there(rig, "status", "--porcelain") == ""
    digest = (rig.tree / ".deploy/web.sha").read_text().strip()
    assert rig.running("web")["name"] == f"{rig.registry.host}/app:1@{digest}"
    assert digest in (rig.tree / prepared.override_file).read_text()
    assert not rig.checkouts.tree(rig.name).exists()
    report = rig.strategy.report(rig.target)
    assert (report.commit, report.state) == (CommitSha(rig.repository.tip()), "1 running")
    # What is judged on the host is what was judged before.
    assert not [line for line in rig.log if "note:" in line]


def test_b5_a_digest_that_moved_behind_its_tag_is_what_runs_there(rig: ComposeRig) -> None:
    """B5: the same file and commit, another image; nothing but the pinned digest is a success."""
    first = deployed(rig)
    earlier = rig.running("web")
    reference = rig.image("app:1", version="two")
    second = rig.deploy()
    assert rig.running("web")["name"] == f"{reference}@{rig.digest(reference)}"
    assert rig.running("web")["id"] != earlier["id"]
    assert rig.judged(second).verdict is Verdict.GOOD
    assert rig.judged(first).verdict is Verdict.BAD


@pytest.mark.slow
def test_b3_going_back_on_the_host_needs_no_registry(rig: ComposeRig) -> None:
    """B3: to an earlier commit with another file, while the registry is gone."""
    first = deployed(rig)
    earlier = rig.running("web")["image"]
    rig.image("app:1", version="two")
    rig.commit(compose_file(rig.engine, web=f"{rig.registry.host}/app:1\nenvironment: {{A: b}}"))
    second = rig.deploy()
    assert rig.running("web")["image"] != earlier
    rig.registry.child.end()
    rig.strategy.apply(rig.work(), first)
    assert rig.running("web")["image"] == earlier
    assert rig.judged(first).verdict is Verdict.GOOD
    assert (rig.tree / second.override_file).exists()  # kept, to come back to


@pytest.mark.slow
def test_another_commit_that_changes_no_service_recreates_nothing_there(rig: ComposeRig) -> None:
    """What runs is left alone, with the data in its folders."""
    text = compose_file(rig.engine, web=f"{rig.image('app:1')}\nvolumes: ['./data:/data']")
    rig.commit(text)
    rig.deploy()
    (rig.tree / "data" / "precious").write_text("kept")
    before = rig.running("web")["id"]
    rig.commit(text, {"README": "words"})
    rig.deploy()
    assert rig.running("web")["id"] == before
    assert (rig.tree / "data" / "precious").read_text() == "kept"
    assert (rig.tree / "README").read_text() == "words"


@pytest.mark.slow
def test_an_image_project_runs_on_the_host_and_goes_back(
    engine: DockerEngine, registry: Registry, tmp_path: Path, hosts: Hosts
) -> None:
    """One image without a repository: its compose file is kept there, per deployment."""
    with open_rig(
        engine,
        registry,
        tmp_path,
        hosts=hosts,
        host=HOST,
        kind=ProjectKind.IMAGE,
        source=None,
        image=ImageReference.parse(f"{registry.host}/solo:1"),
        container=Container(volumes=("data:/data",)),
        expose_service=None,
    ) as rig:
        rig.image("solo:1", version="one")
        first = rig.deploy(rig.work(variables={"TOKEN": "a$b"}))
        (container,) = engine.containers(rig.name)
        assert "TOKEN=a$b" in container["Config"]["Env"]
        rig.image("solo:1", version="two")
        rig.project = replace(rig.project, container=Container())
        rig.deploy()
        assert not rig.engine.containers(rig.name)[0]["Mounts"]
        rig.strategy.apply(rig.work(), first)
        assert rig.judged(first).verdict is Verdict.GOOD
        assert rig.engine.containers(rig.name)[0]["Mounts"]


@pytest.mark.slow
def test_c3_a_migration_runs_there_with_nothing_switched(rig: ComposeRig) -> None:
    """C3: in the new image, with the new commit's files, and taken up by its name."""
    rig.project = replace(rig.project, migration=(migration := Migration(("cat", "/steps/2"))))
    mounted = "\nvolumes: ['./steps:/steps:ro']"
    rig.commit(compose_file(rig.engine, web=f"{rig.image('app:1')}{mounted}"), {"steps/1": "one"})
    rig.deploy()
    rig.repository.commit({"steps/2": "two\n"})
    work = rig.work()
    prepared = rig.strategy.prepare(work)
    begun: list[str] = []
    run = MigrationRun(migration, False, lambda: begun.append("begun"))
    migrator = ComposeMigrator(rig.strategy)

    for one in (run, replace(run, begun=True)):
        assert migrator.migrate(work, prepared, one) == MigrationEnd(0, ("two",))

    assert begun == ["begun"]
    assert "two" in rig.log
    assert [path.name for path in (rig.tree / "steps").iterdir()] == ["1"]
    migrator.forget(work)
    assert not list((rig.tree.parent / "laid-out").iterdir())
    assert len(rig.engine.containers(rig.name)) == 1
    rig.strategy.apply(work, prepared)
    assert git_there(rig, "status", "--porcelain") == ""


# ── Files of the host's own ───────────────────────────────────────────────────────────────────


def test_files_changed_by_hand_are_named_and_nothing_is_overwritten(rig: ComposeRig) -> None:
    """A dirty work tree stops a deployment before anything changes; the earlier one runs on."""
    rig.commit(compose_file(rig.engine, web=rig.image("app:1")), {"site/a b": "one", "x": "one"})
    first = rig.deploy()
    (rig.tree / "site/a b").write_text("by hand")
    (rig.tree / "x").unlink()
    rig.commit((rig.tree / "compose.yaml").read_text(), {"site/a b": "two", "y": "new"})
    with pytest.raises(WorkTreeDirty, match=r"on web1 were changed by hand: site/a b, x$"):
        rig.deploy()
    assert (rig.tree / "site/a b").read_text() == "by hand"
    assert not (rig.tree / "y").exists()
    assert rig.judged(first).verdict is Verdict.GOOD


@pytest.mark.slow
def test_untracked_files_in_the_way_are_named_ignored_ones_too(rig: ComposeRig) -> None:
    """Git alone would overwrite what ``.gitignore`` names, an operator's data say."""
    text = compose_file(rig.engine, web=rig.image("app:1"))
    rig.commit(text, {".gitignore": "local\n"})
    rig.deploy()
    (rig.tree / "local").write_text("the operator's")
    rig.commit(text, {"local": "the repository's"})
    with pytest.raises(WorkTreeDirty, match=r"are not tracked, and would be overwritten: local$"):
        rig.deploy()
    assert (rig.tree / "local").read_text() == "the operator's"
    (rig.tree / "local").unlink()
    rig.deploy()
    assert (rig.tree / "local").read_text() == "the repository's"


def test_files_that_were_there_before_the_first_deployment_are_not_overwritten(
    rig: ComposeRig,
) -> None:
    """A folder that an operator filled by hand is none of ours."""
    rig.commit(compose_file(rig.engine, web=rig.image("app:1")))
    rig.tree.mkdir(parents=True)
    (rig.tree / "compose.yaml").write_text("by hand")
    with pytest.raises(WorkTreeDirty, match=r"would be overwritten: compose\.yaml"):
        rig.deploy()
    assert (rig.tree / "compose.yaml").read_text() == "by hand"


def test_a_clone_that_an_operator_made_is_left_alone(rig: ComposeRig) -> None:
    """What is in it may be work of theirs; git's configuration in it is none that we obey."""
    rig.commit(compose_file(rig.engine, web=rig.image("app:1")), {"a": "one"})
    run_git("clone", "--quiet", rig.repository.path, rig.tree)
    rig.commit((rig.tree / "compose.yaml").read_text(), {"a": "two"})
    with pytest.raises(WorkTreeDirty, match=r"would be overwritten: a, compose\.yaml"):
        rig.deploy()
    assert (rig.tree / "a").read_text() == "one"


@pytest.mark.slow
def test_an_operators_own_env_file_on_the_host_counts(rig: ComposeRig) -> None:
    """An untracked ``.env`` there is used as it would be here; the secrets still win over it."""
    rig.commit(compose_file(rig.engine, web=f"{rig.image('app:1')}\nenvironment: [MODE, TOKEN]"))
    rig.tree.mkdir(parents=True)
    (rig.tree / ".env").write_text("MODE=local\nTOKEN=old\n")
    rig.deploy(rig.work(variables={"TOKEN": "new"}))
    (container,) = rig.engine.containers(rig.name)
    assert {"MODE=local", "TOKEN=new"} <= set(container["Config"]["Env"])


def test_a_link_that_was_planted_on_the_host_is_not_followed(rig: ComposeRig) -> None:
    """By a container with a folder of the work tree, say: it would hand out any file there is."""
    rest = "\nvolumes: ['./data:/data', './data/sub:/sub']"
    deployed(rig, rest)
    (rig.tree / "data/sub").rmdir()
    (rig.tree / "data/sub").symlink_to("/etc")
    with pytest.raises(InvalidComposeFile, match="leaves the repository by a symbolic link"):
        rig.deploy()
    (rig.tree / ".env").symlink_to("/etc/hostname")
    with pytest.raises(InvalidComposeFile, match="on web1 is no regular file, or leaves"):
        rig.deploy()


def test_git_obeys_nothing_that_lies_in_the_work_tree(rig: ComposeRig, tmp_path: Path) -> None:
    """A container with the work tree mounted would run programs as our user of the host."""
    deployed(rig)
    run_git("init", "--quiet", rig.tree)
    trap = tmp_path / "trap"
    run_git("-C", rig.tree, "config", "filter.trap.clean", f"touch {trap}; cat")
    run_git("-C", rig.tree, "config", "filter.trap.smudge", f"touch {trap}; cat")
    (rig.tree / ".git/info").mkdir(exist_ok=True)
    (rig.tree / ".git/info/attributes").write_text("* filter=trap\n")
    rig.commit(compose_file(rig.engine, web=rig.image("app:1")), {"a": "one"})
    rig.deploy()
    assert (rig.tree / "a").read_text() == "one"
    assert not trap.exists()


@pytest.mark.slow
def test_a_switch_that_was_cut_short_is_no_change_by_hand(rig: ComposeRig) -> None:
    """Files that git left half written when the host lost power are made whole."""
    text = compose_file(rig.engine, web=rig.image("app:1"))
    rig.commit(text, {"a": "one", "b": "one"})
    rig.deploy()
    rig.commit(text, {"a": "two, and longer", "b": "two", "c": "new"})
    rig.strategy.prepare(rig.work())
    (repository_of(rig) / "reconciler-switching").write_text(f"{rig.repository.tip()}\n")
    (repository_of(rig) / "index.lock").touch()
    (rig.tree / "a").write_text("two, an")
    (rig.tree / "c").write_text("n")
    rig.deploy()
    assert [(rig.tree / name).read_text() for name in "abc"] == ["two, and longer", "two", "new"]
    assert git_there(rig, "status", "--porcelain") == ""
    assert git_there(rig, "show", "refs/reconciler-interrupted:a") == "two, an"


@pytest.mark.slow
def test_a_first_switch_that_was_cut_short_is_taken_up(rig: ComposeRig) -> None:
    """Half a file is there, and no earlier commit to compare with."""
    rig.commit(compose_file(rig.engine, web=rig.image("app:1")))
    prepared = rig.strategy.prepare(rig.work())
    (repository_of(rig) / "reconciler-switching").write_text(f"{rig.repository.tip()}\n")
    (rig.tree / "compose.yaml").write_text("serv")
    rig.strategy.apply(rig.work(), prepared)
    assert rig.running("web")["name"] == str(prepared.services[0].pin)


# ── Secrets and settings ──────────────────────────────────────────────────────────────────────


def test_secrets_reach_the_container_and_nothing_else(rig: ComposeRig) -> None:
    """No argument, no environment, no file that outlives the deployment; private while it runs."""
    value = "p$word ${HOME} \"q\" 'it''s' \\n #x\nline two"
    rig.commit(compose_file(rig.engine, web=f"{rig.image('app:1')}\nenvironment: [TOKEN]"))
    seen: set[str] = set()
    modes: set[str] = set()

    def look(line: str) -> None:
        rig.log.append(line)
        seen.update(processes_that_show("p$word"))
        for path in private_of(rig).rglob("*"):
            modes.add(f"{path.name} {stat.S_IMODE(path.stat().st_mode):o}")

    work = replace(rig.work(variables={"TOKEN": value}), log=look)
    rig.deploy(work)
    (container,) = rig.engine.containers(rig.name)
    assert f"TOKEN={value}" in container["Config"]["Env"]
    assert seen == set()
    assert modes == {"variables.env 600"}
    assert not private_of(rig).exists()
    files = [path for path in rig.folder.rglob("*") if path.is_file()]
    assert not [path for path in files if b"line two" in path.read_bytes()]
    assert not any("p$word" in line for line in rig.log)


def processes_that_show(text: str) -> Iterator[str]:
    """Return the processes outside containers that have ``text`` where others may read it."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "ns/pid").readlink() != Path("/proc/self/ns/pid").readlink():
                continue
            for name in ("cmdline", "environ"):
                if text.encode() in (process / name).read_bytes():
                    yield f"{name} of {(process / 'comm').read_text().strip()}"
        except OSError:
            continue  # it has ended


@pytest.mark.slow
def test_what_a_kill_left_in_the_private_folder_is_swept_at_the_next_use(rig: ComposeRig) -> None:
    """Also where the connection was lost before it could be removed."""
    deployed(rig)
    private_of(rig).mkdir()
    (private_of(rig) / "left-over").write_text("TOKEN=secret")
    seen: list[set[str]] = []

    def look(line: str) -> None:
        seen.append({path.name for path in private_of(rig).rglob("*")})

    rig.image("app:1", version="two")
    rig.deploy(replace(rig.work(), log=look))
    used = [names for names in seen if "variables.env" in names]
    assert used
    assert not [names for names in used if "left-over" in names]
    assert not private_of(rig).exists()


@pytest.mark.slow
def test_private_images_are_pulled_there_with_credentials_that_do_not_stay(
    engine: DockerEngine, tmp_path: Path, hosts: Hosts
) -> None:
    """The engine of the host shows its registry who we are, for as long as it pulls."""
    with Registry("htpasswd") as registry:
        known = RegistryCredentials(registry.host, USERNAME, Secret.of(PASSWORD))
        with open_rig(engine, registry, tmp_path, credentials=known, hosts=hosts, host=HOST) as rig:
            engine.docker(
                "login", "-u", USERNAME, "--password-stdin", registry.host, stdin=PASSWORD.encode()
            )
            image = rig.image("app:1")
            engine.docker("logout", registry.host)
            engine.docker("rmi", "--force", image, f"{engine.run_id}/app:1")
            rig.commit(compose_file(engine, web=image))
            assert rig.judged(rig.deploy()).verdict is Verdict.GOOD
            assert not list(Path(rig.target.folder).rglob("config.json"))


@pytest.mark.slow
def test_e2_extra_compose_files_win_and_relative_paths_are_the_first_ones(rig: ComposeRig) -> None:
    """E2: later files win; the target's environment joins, and secrets win over it."""
    text = compose_file(
        rig.engine, web=f"{rig.image('app:1')}\nenvironment: {{A: first, B: first, C: '$C$D'}}"
    )
    extra = "services: {web: {environment: {B: extra}, volumes: ['./site:/site:ro']}}\n"
    rig.commit(text, {"hosts/web1.yaml": extra, "site/index": "hello"})
    rig.target = replace(
        rig.target,
        compose_files=(RepositoryPath("hosts/web1.yaml"),),
        environment={"C": "of the target ", "D": "of the target"},
    )
    first = rig.deploy(rig.work(variables={"D": "secret"}))
    (container,) = rig.engine.containers(rig.name)
    wanted = {"A=first", "B=extra", "C=of the target secret"}
    assert wanted <= set(container["Config"]["Env"])
    assert container["Mounts"][0]["Source"] == str(rig.tree / "site")
    # Going back takes the files that it was prepared with, whatever is declared by then.
    rig.target = replace(rig.target, compose_files=())
    rig.deploy()
    assert "B=first" in rig.engine.containers(rig.name)[0]["Config"]["Env"]
    rig.strategy.apply(rig.work(), first)
    assert "B=extra" in rig.engine.containers(rig.name)[0]["Config"]["Env"]


@pytest.mark.parametrize(
    ("rest", "problem"),
    [
        ("env_file: /etc/hostname", "another machine than web1"),
        ("volumes: ['PRIVATE:/x']", "our own data"),
        ("volumes: ['/:/x:ro']", "our own data"),
    ],
    ids=["file-of-the-daemons-machine", "our-secrets", "all-of-the-host"],
)
def test_what_a_project_must_not_reach_is_refused_before_anything_changes(
    rig: ComposeRig, rest: str, problem: str
) -> None:
    """Files of the daemon's machine are none of the host's; secrets lie there for a while."""
    rest = rest.replace("PRIVATE", str(private_of(rig)))
    rig.commit(compose_file(rig.engine, web=f"{rig.image('app:1')}\n{rest}"))
    with pytest.raises(InvalidComposeFile, match=problem):
        rig.strategy.prepare(rig.work())
    assert not rig.tree.exists()


# ── Hosts that go away ────────────────────────────────────────────────────────────────────────


def test_a15_a_host_that_is_gone_is_waited_for(rig: ComposeRig, hosts: Hosts, server: Sshd) -> None:
    """A15: its named volumes are there, so it goes nowhere else; once it is back, it deploys."""
    deployed(rig)
    hosts.change(HOST, port=free_port())
    with pytest.raises(PinnedHostAway, match=r"refusing to migrate .* named volumes") as caught:
        rig.strategy.prepare(rig.work())
    failure = Failure.of(caught.value)
    assert (failure.code, failure.recovery) == ("refusing-to-migrate", "retry")
    hosts.change(HOST, port=server.port)
    rig.deploy()


def test_a_host_that_never_had_the_project_is_just_unreachable(
    rig: ComposeRig, hosts: Hosts
) -> None:
    """Nothing of it is there yet, so there is nothing to refuse."""
    rig.commit(compose_file(rig.engine, web="app:1"))
    hosts.change(HOST, port=free_port())
    with pytest.raises(TargetUnreachable) as caught:
        rig.strategy.prepare(replace(rig.work(), may_take_over=False))
    assert not isinstance(caught.value, PinnedHostAway)


@pytest.mark.slow
def test_a_connection_that_is_lost_while_it_comes_up_is_taken_up_again(
    rig: ComposeRig, hosts: Hosts, server: Sshd
) -> None:
    """The same apply, repeated, waits for what still runs there, and ends as it should have."""
    image = rig.image("app:1")
    slow = f"{image}\ncommand: ['sleep', '2']"
    waits = f"{image}\ndepends_on: {{slow: {{condition: service_completed_successfully}}}}"
    rig.commit(compose_file(rig.engine, web=waits, slow=slow))
    with FaultyProxy(server.port) as proxy:
        hosts.change(HOST, port=proxy.port)
        work = rig.work()
        prepared = rig.strategy.prepare(work)

        def cut(line: str) -> None:
            if "slow" in line and "Started" in line:
                proxy.break_connections()

        with pytest.raises(TargetUnreachable):
            rig.strategy.apply(replace(work, log=cut), prepared)
        rig.strategy.apply(work, prepared)
        assert rig.judged(prepared).verdict is Verdict.GOOD
        hosts.machines.forget(HOST)


def test_a_claim_that_is_over_changes_nothing_there(rig: ComposeRig) -> None:
    """Its worker may only have slept: what a newer one did stays."""
    prepared = deployed(rig)
    work = rig.work()
    rig.deploy()
    with pytest.raises(Interrupted, match="another worker"):
        rig.strategy.apply(work, prepared)


def test_a_host_without_docker_says_what_to_install(
    engine: DockerEngine, registry: Registry, tmp_path: Path
) -> None:
    """Before anything is sent to it."""
    hidden = tmp_path / "hide-docker"
    hidden.write_text(HIDE_DOCKER)
    hidden.chmod(0o755)
    with Sshd({"ForceCommand": str(hidden)}) as bare, Hosts(tmp_path) as hosts:
        hosts.declare(bare, HOST)
        with open_rig(engine, registry, tmp_path, hosts=hosts, host=HOST) as rig:
            rig.commit(compose_file(engine, web=f"{registry.host}/app:1"))
            for step in (rig.strategy.prepare, rig.strategy.set_up):
                with pytest.raises(PreconditionFailed, match="web1 lacks compose, docker"):
                    step(rig.work())
            assert not Path(rig.target.folder).exists()


#: In a mount namespace of its own, so that nobody else misses it.
HIDE_DOCKER = """#!/bin/sh
exec unshare --mount sh -c '
    while docker=$(command -v docker); do mount --bind /dev/null "$docker" || exit 1; hash -r; done
    exec sh -c "$SSH_ORIGINAL_COMMAND"
'
"""


@pytest.mark.slow
def test_hosts_are_prepared_side_by_side(rig: ComposeRig, hosts: Hosts, server: Sshd) -> None:
    """Neither sweeps what the other is at work with, nor shares its index."""
    hosts.declare(server, "web2")
    rig.commit(compose_file(rig.engine, web=rig.image("app:1")), {"x": "x"})
    folder = HostPath(f"{rig.target.folder}-2")
    works = [
        rig.work(),
        replace(rig.work(), target=replace(rig.target, host=HostName("web2"), folder=folder)),
    ]
    rig.strategy.prepare(works[0])  # fetched once, before the others are
    with ThreadPoolExecutor(2) as pool:
        for _ in range(3):
            first, second = pool.map(rig.strategy.prepare, works)
            assert (first.host, second.host) == ("web1", "web2")
            assert first.rendered_sha256 == second.rendered_sha256


# ── Housekeeping ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_setting_up_says_what_it_did_and_can_be_repeated(rig: ComposeRig) -> None:
    """The folder is made once; the engine is asked each time."""
    rig.commit(compose_file(rig.engine, web="app:1"))
    rig.strategy.set_up(rig.work())
    assert any(line.startswith("made ") for line in rig.log)
    assert rig.tree.is_dir()
    rig.log.clear()
    rig.strategy.set_up(rig.work())
    assert any("is there already" in line for line in rig.log)
    deployed(rig)


@pytest.mark.slow
def test_what_is_forgotten_while_the_host_is_gone_goes_the_next_time(
    rig: ComposeRig, hosts: Hosts, server: Sshd
) -> None:
    """Overrides and commits that nobody goes back to; what runs is kept."""
    prepared = [deployed(rig)]
    for number in range(2):
        rig.commit((rig.tree / "compose.yaml").read_text(), {"number": str(number)})
        prepared.append(rig.deploy())
    hosts.change(HOST, port=free_port())
    rig.strategy.forget(rig.target, prepared[0], [])
    hosts.change(HOST, port=server.port)
    assert (rig.tree / prepared[0].override_file).exists()
    rig.strategy.forget(rig.target, prepared[1], [])
    kept = sorted(path.name for path in (rig.tree / ".deploy").glob("override-*"))
    assert kept == ["override-3.yaml"]
    refs = git_there(rig, "for-each-ref", "--format=%(refname)", "refs/reconciler/")
    assert refs == f"refs/reconciler/{rig.repository.tip()}"
    # One that is gone comes back when it is needed.
    rig.strategy.apply(rig.work(), prepared[0])
    assert rig.judged(prepared[0]).verdict is Verdict.GOOD


@pytest.mark.slow
def test_f4_what_a_host_would_get_is_foreseen_without_a_trace(rig: ComposeRig) -> None:
    """F4: files that an operator keeps there count, and nothing there changes."""
    prepared = deployed(rig)
    (rig.tree / "kept.env").write_text("TOKEN=canary-on-the-host\n")
    rest = "\nenv_file: kept.env\nvolumes: ['/srv:/srv']\nlabels: {a: canary-on-the-host}"
    rig.commit(compose_file(rig.engine, web=rig.image("app:1") + rest))
    runner = LocalRunner("tests")
    hosted = BareRepositories(
        rig.folder / "repositories", runner, hook=find_hook(), socket=rig.folder / "daemon.sock"
    )
    scratches = Scratches(rig.folder / "scratch", runner, NoRemote(), hosted, rig.checkouts)
    before = {path: path.lstat().st_mtime_ns for path in Path(rig.target.folder).rglob("*")}
    with scratches.open() as scratch:
        work = replace(rig.work(), earlier=prepared)
        foreseen = ComposePlanner(rig.strategy).foresee(work, scratch)
    assert foreseen.refusal is None
    assert [one.name for one in foreseen.services] == ["web"]
    assert foreseen.platform.startswith("linux/")
    assert any("source: /srv" in line for line in foreseen.difference.lines)
    assert "canary" not in repr(foreseen)
    after = {path: path.lstat().st_mtime_ns for path in Path(rig.target.folder).rglob("*")}
    assert after == before
