"""The compose strategy on a real engine, with images from a real registry."""

import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.domain.deployment import Pin
from reconciler.domain.errors import (
    CommandFailed,
    Interrupted,
    InvalidComposeFile,
    PreconditionFailed,
    ReconcilerError,
    RevisionNotFound,
    TargetUnreachable,
)
from reconciler.domain.host import LOCAL
from reconciler.domain.project import Container, ProjectKind
from reconciler.domain.references import (
    CommitSha,
    Digest,
    ImageReference,
    RepositoryPath,
    ServiceName,
)
from reconciler.domain.secret import Secret
from reconciler.domain.verification import Verdict
from reconciler.ports import Command, CommandResult, CommandRunner, LineSink, RegistryCredentials
from reconciler.strategies.compose.cli import ComposeCall, ComposeCli
from reconciler.strategies.compose.private import PrivateHere, write_variables
from tests.parts.compose_rig import ComposeRig, compose_file, open_rig
from tests.parts.docker_engine import DockerEngine
from tests.parts.registry import PASSWORD, USERNAME, Registry
from tests.parts.waiting import eventually

pytestmark = [pytest.mark.needs_docker, pytest.mark.needs_registry, pytest.mark.needs_git]


@pytest.fixture
def rig(engine: DockerEngine, registry: Registry, tmp_path: Path) -> Iterator[ComposeRig]:
    with open_rig(engine, registry, tmp_path) as made:
        yield made


def test_b1_each_services_digest_is_written_as_one_line(rig: ComposeRig) -> None:
    """B1: ``.deploy/<service>.sha`` holds the digest that the service runs."""
    one, two = rig.image("app:1"), rig.image("side:1", version="side")
    rig.commit(compose_file(rig.engine, web=one, side=two))
    rig.deploy()
    assert (rig.tree / ".deploy/web.sha").read_text() == f"{rig.digest(one)}\n"
    assert (rig.tree / ".deploy/side.sha").read_text() == f"{rig.digest(two)}\n"


@pytest.mark.slow
def test_b1_a_service_that_left_leaves_no_digest_behind(rig: ComposeRig) -> None:
    """B1: what stands in ``.deploy/`` is what is deployed, nothing older."""
    one = rig.image("app:1")
    rig.commit(compose_file(rig.engine, web=one, side=one))
    rig.deploy()
    rig.commit(compose_file(rig.engine, web=one))
    rig.deploy()
    assert sorted(path.name for path in (rig.tree / ".deploy").glob("*.sha")) == ["web.sha"]
    assert [sample.service for sample in rig.observe()] == ["web"]


def test_b2_the_override_pins_and_the_projects_file_stays_as_it_was(rig: ComposeRig) -> None:
    """B2: compose runs the project's file, then ours; theirs is never edited."""
    image = rig.image("app:1")
    text = compose_file(rig.engine, web=image)
    rig.commit(text)
    prepared = rig.deploy()
    assert (rig.tree / "compose.yaml").read_text() == text
    override = (rig.tree / prepared.override_file).read_text()
    assert f'image: "{image}@{rig.digest(image)}"' in override
    (container,) = rig.engine.containers(rig.name)
    files = container["Config"]["Labels"]["com.docker.compose.project.config_files"]
    assert files == f"{rig.tree}/compose.yaml,{rig.tree}/{prepared.override_file}"


@pytest.mark.slow
def test_b3_going_back_needs_no_registry(rig: ComposeRig) -> None:
    """B3: an earlier override applies while the registry is gone and the tag has moved."""
    image = rig.image("app:1", version="one")
    rig.commit(compose_file(rig.engine, web=image))
    first = rig.deploy()
    earlier = rig.running("web")["image"]
    rig.image("app:1", version="two")
    rig.deploy()
    assert rig.running("web")["image"] != earlier
    rig.registry.child.end()
    rig.strategy.apply(rig.work(), first)
    assert rig.running("web")["image"] == earlier
    assert rig.judged(first).verdict is Verdict.GOOD


@pytest.mark.slow
def test_b3_an_override_that_was_lost_comes_back(rig: ComposeRig) -> None:
    """B3: what was prepared is enough to go back, whatever happened to the file."""
    rig.commit(compose_file(rig.engine, web=rig.image("app:1")))
    first = rig.deploy()
    rig.strategy.forget(rig.target, first, [])
    assert not (rig.tree / first.override_file).exists()
    rig.strategy.apply(rig.work(), first)
    assert (rig.tree / first.override_file).exists()


@pytest.mark.slow
def test_b4_stateful_services_are_not_pinned(
    engine: DockerEngine, registry: Registry, tmp_path: Path
) -> None:
    """B4: a label or the project's own list exempts a service; its image is still pulled."""
    with open_rig(engine, registry, tmp_path, stateful_services=(ServiceName("cache"),)) as rig:
        image = rig.image("app:1")
        database = f"{image}\nlabels: {{reconciler.stateful: 'true'}}"
        rig.commit(compose_file(engine, web=image, db=database, cache=image))
        prepared = rig.deploy()
        pins = {service.name: service.pin is not None for service in prepared.services}
        assert pins == {"web": True, "db": False, "cache": False}
        assert rig.running("db")["name"] == image


def test_b4_a_new_app_image_leaves_the_database_alone(rig: ComposeRig) -> None:
    """B4: only what changed is recreated."""
    image, database = rig.image("app:1", version="one"), rig.image("db:1", version="db")
    labels = f"{database}\nlabels: {{reconciler.stateful: 'true'}}"
    rig.commit(compose_file(rig.engine, web=image, db=labels))
    rig.deploy()
    before = {name: rig.running(name)["id"] for name in ("web", "db")}
    rig.image("app:1", version="two")
    rig.deploy()
    assert rig.running("db")["id"] == before["db"]
    assert rig.running("web")["id"] != before["web"]


def test_b6_the_followed_tag_stays_readable(rig: ComposeRig) -> None:
    """B6: ``docker ps`` shows the tag, and the container's image names tag and digest."""
    image = rig.image("app:1.2")
    rig.commit(compose_file(rig.engine, web=image))
    rig.deploy()
    shown = rig.engine.docker(
        "ps",
        "--filter",
        f"label=com.docker.compose.project={rig.name}",
        "--format",
        "{{.Image}}",
    )
    assert shown == image
    assert rig.running("web")["name"] == f"{image}@{rig.digest(image)}"


def test_b7_only_the_pinned_digest_is_a_success(rig: ComposeRig) -> None:
    """B7: what runs is compared with what was pinned; another image is bad at once."""
    image = rig.image("app:1", version="one")
    rig.commit(compose_file(rig.engine, web=image))
    first = rig.deploy()
    assert rig.judged(first).verdict is Verdict.GOOD
    rig.image("app:1", version="two")
    second = rig.strategy.prepare(rig.work())
    judgement = rig.judged(second)
    assert judgement.verdict is Verdict.BAD
    assert "pinned is" in judgement.problems[0]


@pytest.mark.slow
def test_repeating_an_apply_changes_nothing(rig: ComposeRig) -> None:
    """Applying what runs already recreates no container."""
    rig.commit(compose_file(rig.engine, web=rig.image("app:1")))
    prepared = rig.deploy()
    before = rig.running("web")["id"]
    rig.strategy.apply(rig.work(), prepared)
    assert rig.running("web")["id"] == before


@pytest.mark.slow
def test_another_deployment_of_the_same_images_recreates_nothing(rig: ComposeRig) -> None:
    """A commit that changes no service touches no container."""
    text = compose_file(rig.engine, web=rig.image("app:1"))
    rig.commit(text)
    rig.deploy()
    before = rig.running("web")["id"]
    rig.commit(text, {"README": "words"})
    rig.deploy()
    assert rig.running("web")["id"] == before


def test_what_was_watched_is_what_is_deployed(rig: ComposeRig) -> None:
    """A digest that a trigger saw wins over what the tag says by now."""
    image = rig.image("app:1", version="one")
    watched = rig.digest(image)
    rig.image("app:1", version="two")
    rig.commit(compose_file(rig.engine, web=image))
    prepared = rig.deploy(rig.work(images={image: watched}))
    assert dict(prepared.revision.images) == {image: watched}
    assert rig.running("web")["name"] == f"{image}@{watched}"


@pytest.mark.slow
def test_a_digest_in_the_file_is_taken_as_it_is(rig: ComposeRig) -> None:
    """``name:tag@sha256`` pins by itself, and is not followed."""
    image = rig.image("app:1", version="one")
    old = rig.digest(image)
    rig.image("app:1", version="two")
    rig.commit(compose_file(rig.engine, web=f"{image}@{old}"))
    prepared = rig.deploy()
    assert dict(prepared.revision.images) == {}
    assert rig.judged(prepared).verdict is Verdict.GOOD
    assert rig.running("web")["name"] == f"{image}@{old}"


def test_variables_reach_compose_unchanged_and_leave_no_trace(rig: ComposeRig) -> None:
    """A value full of syntax arrives as it is; no file with it outlives the deployment."""
    value = "p$word ${HOME} \"q\" 'it''s' \\n #x\nline two"
    rig.commit(
        compose_file(rig.engine, web=f"{rig.image('app:1')}\nenvironment: [TOKEN, MODE]"),
        {".env": "TOKEN=from-the-repository\nMODE=plain\n"},
    )
    rig.deploy(rig.work(variables={"TOKEN": value}))
    (container,) = rig.engine.containers(rig.name)
    assert f"TOKEN={value}" in container["Config"]["Env"]
    assert "MODE=plain" in container["Config"]["Env"]
    files = [path for path in rig.folder.rglob("*") if path.is_file()]
    assert not [path for path in files if b"line two" in path.read_bytes()]
    assert not any("p$word" in line for line in rig.log)


def test_nothing_of_the_daemons_environment_reaches_a_project(
    rig: ComposeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``${VARIABLE}`` and a bare name see the project's variables only."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "ours")
    rig.commit(
        compose_file(
            rig.engine,
            web=f'{rig.image("app:1")}\nenvironment: ["A=${{AWS_SECRET_ACCESS_KEY:-none}}", HOME]',
        )
    )
    rig.deploy()
    (container,) = rig.engine.containers(rig.name)
    assert "A=none" in container["Config"]["Env"]
    assert not [one for one in container["Config"]["Env"] if one.startswith("HOME=")]


@pytest.mark.slow
def test_an_operators_own_env_file_in_the_work_tree_counts(rig: ComposeRig) -> None:
    """An untracked ``.env`` beside the compose file is used, as by a person's ``up``."""
    rig.commit(compose_file(rig.engine, web=f"{rig.image('app:1')}\nenv_file: .env"))
    rig.tree.mkdir(parents=True)
    (rig.tree / ".env").write_text("MODE=local\n")
    rig.deploy()
    (container,) = rig.engine.containers(rig.name)
    assert "MODE=local" in container["Config"]["Env"]


def test_private_images_are_pulled_with_their_own_registrys_credentials(
    engine: DockerEngine, tmp_path: Path
) -> None:
    """A registry that asks who we are is shown its credentials, in a file that is gone after."""
    with Registry("htpasswd") as registry:
        known = RegistryCredentials(registry.host, USERNAME, Secret.of(PASSWORD))
        with open_rig(engine, registry, tmp_path, credentials=known) as rig:
            engine.docker(
                "login", "-u", USERNAME, "--password-stdin", registry.host, stdin=PASSWORD.encode()
            )
            image = rig.image("app:1")
            engine.docker("logout", registry.host)
            digest = rig.digest(image)
            engine.docker("rmi", "--force", image, f"{engine.run_id}/app:1")
            rig.commit(compose_file(engine, web=image))
            prepared = rig.deploy()
            assert isinstance(prepared.services[0].pin, Pin)
            assert prepared.services[0].pin.digest == digest
            assert rig.judged(prepared).verdict is Verdict.GOOD
            assert not list((tmp_path / "data").rglob("config.json"))


def test_an_image_project_is_deployed_and_rolled_back(
    engine: DockerEngine, registry: Registry, tmp_path: Path
) -> None:
    """One image without a repository takes the same way, its ports and variables included."""
    image = f"{registry.host}/solo:1"
    with open_rig(
        engine,
        registry,
        tmp_path,
        kind=ProjectKind.IMAGE,
        source=None,
        image=ImageReference.parse(image),
        container=Container(ports=("127.0.0.1::80",), volumes=("data:/data",)),
        expose_service=None,
    ) as rig:
        rig.image("solo:1", version="one")
        first = rig.deploy(rig.work(variables={"TOKEN": "a$b"}))
        assert rig.judged(first).verdict is Verdict.GOOD
        (container,) = engine.containers(rig.name)
        assert "TOKEN=a$b" in container["Config"]["Env"]
        assert container["HostConfig"]["PortBindings"]["80/tcp"]
        rig.image("solo:1", version="two")
        second = rig.deploy(rig.work())
        assert second.revision.images != first.revision.images
        rig.strategy.apply(rig.work(variables={"TOKEN": "a$b"}), first)
        assert rig.judged(first).verdict is Verdict.GOOD


@pytest.mark.parametrize(
    ("rest", "problem"),
    [
        pytest.param("command: ['false']\nrestart: unless-stopped", "restarting", id="crash-loop"),
        pytest.param("command: ['true']", "should keep running", id="exposed-service-ends"),
        pytest.param("command: ['sh', '-c', 'sleep 1; exit 3']", "exit status 3", id="exits-later"),
        pytest.param(
            "healthcheck: {test: ['CMD', 'false'], interval: 200ms, timeout: 1s, retries: 2}",
            "unhealthy",
            id="unhealthy",
        ),
    ],
)
def test_c5_what_compose_calls_a_success_is_none(rig: ComposeRig, rest: str, problem: str) -> None:
    """C5: ``up`` exits 0 on each of these; looking at the containers finds them out."""
    rig.commit(compose_file(rig.engine, web=f"{rig.image('app:1')}\n{rest}"))
    prepared = rig.deploy()
    judgement = rig.judged(prepared)
    assert judgement.verdict is Verdict.BAD
    assert problem in "; ".join(judgement.problems)


@pytest.mark.slow
def test_a_one_shot_that_ends_well_is_a_success(rig: ComposeRig) -> None:
    """A migration that exits 0 is no failure, and what waits for it is up."""
    image = rig.image("app:1")
    rig.commit(
        compose_file(
            rig.engine,
            web=f"{image}\ndepends_on: {{migrate: {{condition: service_completed_successfully}}}}",
            migrate=f"{image}\ncommand: ['true']",
        )
    )
    prepared = rig.deploy()
    assert rig.judged(prepared).verdict is Verdict.GOOD


@pytest.mark.slow
def test_a_one_shot_that_fails_stops_the_roll_out(rig: ComposeRig) -> None:
    """A migration that exits 1 fails the deployment, with what it said."""
    image = rig.image("app:1")
    rig.commit(
        compose_file(
            rig.engine,
            web=f"{image}\ndepends_on: {{migrate: {{condition: service_completed_successfully}}}}",
            migrate=f"{image}\ncommand: ['sh', '-c', 'echo no such table; exit 1']",
        )
    )
    with pytest.raises(CommandFailed, match="migrate"):
        rig.deploy()
    rig.strategy.diagnose(rig.target, rig.log.append)
    assert any("no such table" in line for line in rig.log)


def test_dangerous_grants_are_named_in_the_log(rig: ComposeRig) -> None:
    """What gives a project power over the machine is allowed, and said."""
    rest = "privileged: true\nvolumes: ['/var/run/docker.sock:/s:ro', './data:/data', 'v:/v']"
    rig.commit(compose_file(rig.engine, web=f"{rig.image('app:1')}\n{rest}") + "volumes: {v: {}}\n")
    rig.strategy.prepare(rig.work())
    notes = [line for line in rig.log if line.startswith("note:")]
    assert len(notes) == 2
    assert any("docker.sock" in note for note in notes)
    assert any("privileged" in note for note in notes)


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{c}: &{c} [{','.join(['*' + p] * 9)}]\n" for p, c in zip("abcdefgh", "bcdefghi", strict=True)
)
WEB = "services: {web: {image: IMAGE, REST}}\n"
BAD_INPUT = [
    pytest.param({"compose.yaml": ""}, "empty", id="empty"),
    pytest.param({"compose.yaml": "volumes: {}\n"}, "no services", id="no-services"),
    pytest.param({"compose.yaml": "services:\n\tweb: {}\n"}, "line 2", id="tabs"),
    pytest.param({"compose.yaml": BOMB}, "aliases expand", id="alias-bomb"),
    pytest.param({"compose.yaml": "#" * (2 << 20)}, "1 MiB", id="two-megabytes"),
    pytest.param(
        {"compose.yaml": "services: {web: {image: a, image: b}}"}, "twice", id="duplicate-key"
    ),
    pytest.param({"compose.yaml": None, "README": "x"}, "not in the repository", id="no-file"),
    pytest.param({"compose.yaml": "LINK:/etc/passwd"}, "out of the repository", id="link-out"),
    pytest.param(
        {"compose.yaml": "LINK:real.yaml", "real.yaml": WEB}, "symbolic link", id="link-in"
    ),
    pytest.param({".env": "LINK:/etc/passwd"}, "out of the repository", id="dotenv-link-out"),
    pytest.param(
        {"compose.yaml": WEB.replace("REST", "env_file: ../../../outside")},
        "leaves",
        id="env-file-out",
    ),
    pytest.param(
        {"compose.yaml": WEB.replace("REST", "env_file: l"), "l": "LINK:/etc/passwd"},
        "leads out",
        id="env-file-link-out",
    ),
    pytest.param(
        {"compose.yaml": WEB.replace("REST", "volumes: ['../../..:/x']")}, "leaves", id="mount-out"
    ),
    pytest.param(
        {"compose.yaml": WEB.replace("REST", "volumes: ['./d:/x']"), "d": "LINK:/etc"},
        "leads out",
        id="mount-link-out",
    ),
    pytest.param(
        {"compose.yaml": WEB.replace("REST", "volumes: ['${UP:-..}/x:/x']")},
        "leaves",
        id="mount-variable-out",
    ),
    pytest.param(
        {"compose.yaml": WEB.replace("REST", "volumes: ['DATA/x:/x']")},
        "our own data",
        id="mount-our-data",
    ),
    pytest.param(
        {"compose.yaml": WEB.replace("REST", "env_file: DATA/x")},
        "our own data",
        id="env-file-of-our-data",
    ),
    pytest.param(
        {"compose.yaml": WEB.replace("REST", "extends: {file: ../x.yaml, service: a}")},
        "leaves",
        id="extends-out",
    ),
    pytest.param(
        {"compose.yaml": "include: ['https://example.test/x.git']\n" + WEB},
        "remote",
        id="include-remote",
    ),
    pytest.param(
        {"compose.yaml": "include: [part.yaml]\n" + WEB, "part.yaml": BOMB},
        "part.yaml: ",
        id="include-bomb",
    ),
    pytest.param(
        {"compose.yaml": WEB.replace("image: IMAGE", "build: .")}, "no Dockerfile", id="no-recipe"
    ),
    pytest.param(
        {"compose.yaml": WEB.replace("web:", "other:")}, "expose_service", id="exposed-missing"
    ),
    pytest.param(
        {"compose.yaml": WEB.replace("REST", "profiles: [x]")}, "no service", id="all-profiles"
    ),
    pytest.param(
        {"compose.yaml": WEB.replace("REST", "privileged: [a]")}, "privileged", id="compose-refuses"
    ),
    pytest.param({"compose.yaml": WEB, ".deploy/x": "x"}, "ours", id="own-deploy-folder"),
    pytest.param(
        {"compose.yaml": WEB.replace("REST", "provider: {type: sh}")}, "provider", id="provider"
    ),
]


@pytest.mark.parametrize(("files", "problem"), BAD_INPUT)
def test_bad_input_is_refused_before_anything_changes(
    rig: ComposeRig, files: dict[str, str | None], problem: str
) -> None:
    """Each is refused with what is wrong, nothing is left over, and what runs stays."""
    image = rig.engine.busybox_image()
    texts = {
        path: text
        and text.replace("IMAGE", image)
        .replace(", REST", "")
        .replace("DATA", str(rig.folder / "data"))
        for path, text in {"compose.yaml": WEB, **files}.items()
    }
    commit_with_links(rig, texts)
    with pytest.raises(ReconcilerError, match=problem) as caught:
        rig.strategy.prepare(rig.work())
    assert isinstance(caught.value, InvalidComposeFile | CommandFailed)
    assert caught.value.recovery == "stall"
    assert not rig.tree.exists()
    assert not list((rig.folder / "data").rglob("deployments/*"))
    assert not list((rig.folder / "data").rglob("variables.env"))


def commit_with_links(rig: ComposeRig, files: dict[str, str | None]) -> None:
    """Commit files, those that read ``LINK:target`` as symbolic links."""
    plain = {
        p: text for p, text in files.items() if text is not None and not text.startswith("LINK:")
    }
    rig.repository.commit(plain or {"README": "x"})
    for path, text in files.items():
        if text and text.startswith("LINK:"):
            blob = rig.repository.git("hash-object", "-w", "--stdin", stdin=text[5:].encode())
            listing = rig.repository.git("ls-tree", "main") + f"\n120000 blob {blob}\t{path}"
            tree = rig.repository.git("mktree", stdin=f"{listing}\n".encode())
            parent = rig.repository.tip()
            commit = rig.repository.git("commit-tree", tree, "-p", parent, "-m", "link")
            rig.repository.git("update-ref", "refs/heads/main", commit)


def test_an_image_that_does_not_exist_is_named(rig: ComposeRig) -> None:
    """The registry's 'not found' ends the deployment before anything changes."""
    missing = f"{rig.registry.host}/none:1"
    rig.commit(compose_file(rig.engine, web=missing))
    with pytest.raises(RevisionNotFound, match="none"):
        rig.strategy.prepare(rig.work())


def test_a_stateful_image_that_does_not_exist_is_named(rig: ComposeRig) -> None:
    """Compose's own pull says it for images that are not looked up."""
    missing = f"{rig.registry.host}/none:1\nlabels: {{reconciler.stateful: 'true'}}"
    rig.commit(compose_file(rig.engine, web=rig.image("app:1"), db=missing))
    with pytest.raises(RevisionNotFound, match="none"):
        rig.strategy.prepare(rig.work())


def test_a_cancelled_apply_ends_compose(rig: ComposeRig) -> None:
    """Cancelling ends the command, and says that it was interrupted."""
    image = rig.image("app:1")
    slow = f"{image}\ncommand: ['sh', '-c', 'sleep 60']"
    waits = f"{image}\ndepends_on: {{slow: {{condition: service_completed_successfully}}}}"
    rig.commit(compose_file(rig.engine, web=waits, slow=slow))
    work = rig.work()
    prepared = rig.strategy.prepare(work)

    def stop_once_started(line: str) -> None:
        if "slow" in line and "Started" in line:
            work.cancel.set()

    with pytest.raises(Interrupted):
        rig.strategy.apply(replace(work, log=stop_once_started), prepared)


def test_no_compose_is_said_with_its_remedy(rig: ComposeRig) -> None:
    """A machine without the plugin can't deploy, and is told what to install."""
    rig.commit(compose_file(rig.engine, web=rig.image("app:1")))
    for program in (("docker", "no-such-plugin"), ("no-such-docker", "compose")):
        options = replace(rig.strategy.options, program=program)
        with pytest.raises(PreconditionFailed, match=r"docker-compose-plugin|can't be started"):
            replace(rig.strategy, options=options).prepare(rig.work())


def test_an_engine_that_is_gone_is_worth_another_try(rig: ComposeRig) -> None:
    """Compose that finds no engine is 'unreachable', not a bad revision."""
    rig.commit(compose_file(rig.engine, web=rig.image("app:1")))
    prepared = rig.deploy()
    options = replace(rig.strategy.options, docker_host="unix:///nonexistent/docker.sock")
    with pytest.raises(TargetUnreachable):
        replace(rig.strategy, options=options).apply(rig.work(), prepared)


@pytest.mark.slow
def test_a_compose_file_in_a_folder_resolves_paths_there(
    engine: DockerEngine, registry: Registry, tmp_path: Path
) -> None:
    """Relative paths and ``.env`` belong to the compose file's own folder."""
    with open_rig(
        engine, registry, tmp_path, compose_path=RepositoryPath("deploy/prod.yaml")
    ) as rig:
        text = compose_file(
            engine, web=f"{rig.image('app:1')}\nvolumes: ['../site:/site:ro']\nenvironment: [A]"
        )
        rig.repository.commit(
            {"deploy/prod.yaml": text, "deploy/.env": "A=b\n", "site/index": "hello"}
        )
        rig.deploy()
        (container,) = engine.containers(rig.name)
        assert container["Mounts"][0]["Source"] == str(rig.tree / "site")
        assert "A=b" in container["Config"]["Env"]


@pytest.mark.slow
def test_e2_extra_files_win_here_too_and_the_commit_that_runs_is_told(rig: ComposeRig) -> None:
    """E2: later files win; what the target's own environment says joins the project's variables."""
    image = rig.image("app:1")
    text = compose_file(rig.engine, web=f"{rig.image('old:1')}\nenvironment: [A, B]")
    extra = f"services: {{web: {{image: '{image}', environment: {{B: extra}}}}}}\n"
    rig.commit(text, {"hosts/local.yaml": extra})
    rig.target = replace(
        rig.target,
        compose_files=(RepositoryPath("hosts/local.yaml"),),
        environment={"A": "target", "B": "target"},
    )
    rig.deploy()
    (container,) = rig.engine.containers(rig.name)
    assert {"A=target", "B=extra"} <= set(container["Config"]["Env"])
    assert rig.running("web")["name"] == f"{image}@{rig.digest(image)}"
    assert rig.strategy.report(rig.target).commit == CommitSha(rig.repository.tip())
    rig.compose("up", "--detach")  # somebody else's version of it
    assert rig.strategy.report(rig.target).commit is None


def test_an_extra_file_that_is_not_there_is_named(rig: ComposeRig) -> None:
    """As the first one would be."""
    rig.commit(compose_file(rig.engine, web=rig.image("app:1")))
    rig.target = replace(rig.target, compose_files=(RepositoryPath("more.yaml"),))
    with pytest.raises(InvalidComposeFile, match=r"more\.yaml is not in the repository"):
        rig.strategy.prepare(rig.work())


@pytest.mark.slow
def test_replicas_are_all_waited_for(rig: ComposeRig) -> None:
    """A service with two replicas is well when both run."""
    rig.commit(compose_file(rig.engine, web=f"{rig.image('app:1')}\nscale: 2"))
    prepared = rig.deploy()
    assert prepared.services[0].replicas == 2
    assert len(rig.observe()) == 2
    assert rig.judged(prepared).verdict is Verdict.GOOD


def test_the_rendered_hash_tells_meaning_not_place_or_secrets(rig: ComposeRig) -> None:
    """One revision always renders alike, with another secret too; another port is a change."""
    image = rig.image("app:1")
    text = f"{image}\nvolumes: ['./d:/d']\nenvironment: [TOKEN]"
    rig.commit(compose_file(rig.engine, web=text))
    hashes = [
        rig.strategy.prepare(rig.work(variables={"TOKEN": token})).rendered_sha256
        for token in ("first secret", "first secret", "second secret")
    ]
    rig.commit(compose_file(rig.engine, web=f"{text}\nports: ['127.0.0.1::80']"))
    hashes.append(rig.strategy.prepare(rig.work(variables={"TOKEN": "x"})).rendered_sha256)
    assert hashes[0] == hashes[1] == hashes[2] != hashes[3]


def test_files_in_the_deploy_folder_are_readable_and_whole(rig: ComposeRig) -> None:
    """Overrides are for people to read too; nothing half-written stays beside them."""
    rig.commit(compose_file(rig.engine, web=rig.image("app:1")))
    prepared = rig.deploy()
    mode = stat.S_IMODE((rig.tree / prepared.override_file).stat().st_mode)
    assert mode == 0o644
    assert not list((rig.tree / ".deploy").glob(".*"))


def test_the_index_digest_of_a_multi_architecture_image_is_what_is_compared(
    rig: ComposeRig,
) -> None:
    """B7: a pinned index is the digest by which the engine knows the image it pulled."""
    image = rig.image("multi:amd64")
    repository, tag = "multi", "amd64"
    single = rig.registry.manifest(repository, tag)
    index = rig.registry.put_manifest(
        repository,
        "1",
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.list.v2+json",
            "manifests": [
                {
                    "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
                    "digest": str(rig.digest(image)),
                    "size": len(single),
                    "platform": {"os": "linux", "architecture": architecture()},
                }
            ],
        },
    )
    rig.commit(compose_file(rig.engine, web=f"{rig.registry.host}/multi:1"))
    prepared = rig.deploy()
    assert isinstance(prepared.services[0].pin, Pin)
    assert prepared.services[0].pin.digest == Digest(index) != rig.digest(image)
    assert rig.judged(prepared).verdict is Verdict.GOOD


def architecture() -> str:
    """Return this machine's architecture as images name it."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


@pytest.mark.slow
def test_containers_of_compose_run_are_no_part_of_the_project(rig: ComposeRig) -> None:
    """Somebody's ``compose run`` neither fails a verification nor passes one."""
    rig.commit(compose_file(rig.engine, web=rig.image("app:1")))
    prepared = rig.deploy()
    rig.compose("run", "--rm", "--detach", "web", "sleep", "30")
    assert len(rig.engine.containers(rig.name)) == 2
    eventually(lambda: len(rig.observe()) == 1, within=5)
    assert rig.judged(prepared).verdict is Verdict.GOOD


@pytest.mark.slow
def test_an_apply_that_was_cut_short_is_repeated_to_its_end(rig: ComposeRig) -> None:
    """Stopped after the first container was made, the same apply ends where it should have."""
    image = rig.image("app:1")
    rig.commit(compose_file(rig.engine, web=image, side=image, more=image))
    work = rig.work()
    prepared = rig.strategy.prepare(work)

    def stop_half_way(line: str) -> None:
        if line.strip().endswith("Created") and "Container" in line:
            work.cancel.set()

    with pytest.raises(Interrupted):
        rig.strategy.apply(replace(work, log=stop_half_way), prepared)
    rig.strategy.apply(rig.work(), prepared)
    assert rig.judged(prepared).verdict is Verdict.GOOD
    assert len(rig.observe()) == 3


def test_rendering_can_not_eat_the_machine(rig: ComposeRig) -> None:
    """A bomb that got past the reader dies of the limits that compose runs under."""
    folder = rig.folder / "bomb"
    folder.mkdir()
    (folder / "compose.yaml").write_text(f"services: {{web: {{image: a}}}}\nx-a:\n{indented(BOMB)}")
    variables = write_variables(PrivateHere(folder), {})
    call = ComposeCall(rig.name, folder, (folder / "compose.yaml",), variables, folder)
    limits = replace(
        rig.strategy.options,
        render_memory_bytes=1 << 30,
        render_timeout=timedelta(seconds=2),
    )
    runner = RememberingRunner(rig.strategy.machines.get(LOCAL))
    # Of the limit on time, or before that of the one on memory.
    with pytest.raises((CommandFailed, InvalidComposeFile)):
        ComposeCli(runner, limits).render(call, threading.Event())
    # Go ignores a polite signal while it is busy; the group is killed 10 s later.
    assert runner.took < timedelta(seconds=14)


class RememberingRunner:
    """``CommandRunner`` that remembers how long the last command took."""

    def __init__(self, runner: CommandRunner) -> None:
        self._runner = runner
        self.took = timedelta(0)

    def run(
        self,
        command: Command,
        *,
        on_line: LineSink | None = None,
        cancel: threading.Event | None = None,
    ) -> CommandResult:
        result = self._runner.run(command, on_line=on_line, cancel=cancel)
        self.took = result.duration
        return result


def indented(text: str) -> str:
    return "".join(f"  {line}\n" for line in text.splitlines())
