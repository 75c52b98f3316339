"""Images that are built from a commit, on a real engine, through the compose strategy."""

import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.domain.deployment import Built, Pin, PreparedTarget, Stage
from reconciler.domain.errors import (
    BuildFailed,
    Interrupted,
    InvalidComposeFile,
    PreconditionFailed,
    ReconcilerError,
    Recovery,
)
from reconciler.domain.host import LOCAL, HostName
from reconciler.domain.migration import Migration
from reconciler.domain.references import ServiceName
from reconciler.domain.secret import Secret
from reconciler.domain.verification import Verdict
from reconciler.ports import MigrationEnd, MigrationRun, RegistryCredentials
from reconciler.strategies.compose import ComposeMigrator
from tests.parts.compose_rig import POLITE, ComposeRig, open_rig
from tests.parts.docker_engine import BUSYBOX, RUN_LABEL, DockerEngine
from tests.parts.hosts import Hosts
from tests.parts.registry import PASSWORD, USERNAME, Registry
from tests.parts.second_engine import SecondEngine
from tests.parts.sshd import Sshd
from tests.parts.waiting import eventually

pytestmark = [pytest.mark.needs_docker, pytest.mark.needs_registry, pytest.mark.needs_git]

REVISION = "org.opencontainers.image.revision"


@pytest.fixture
def rig(engine: DockerEngine, registry: Registry, tmp_path: Path) -> Iterator[ComposeRig]:
    with open_rig(engine, registry, tmp_path) as made:
        yield made


def dockerfile(rig: ComposeRig, *lines: str) -> str:
    """Return one whose image stays up until it is told to end; it inherits the run's label."""
    return "\n".join((f"FROM {rig.engine.busybox_image()}", *lines, f"CMD {json.dumps(POLITE)}"))


def compose(**services: dict[str, Any]) -> str:
    """Return a compose file; one that says nothing else is built from the whole repository."""
    bodies = {name: {"build": ".", **body} for name, body in services.items()}
    for body in bodies.values():
        if body.get("build") is None:
            del body["build"]
    return json.dumps({"services": bodies})


def commit(rig: ComposeRig, version: str = "one", **files: str) -> str:
    """Commit an app of one service, whose image holds ``version``."""
    texts = {"Dockerfile": dockerfile(rig, "COPY version /version"), "version": version, **files}
    return rig.commit(texts.pop("compose", compose(web={})), texts)


def pin_of(prepared: PreparedTarget, service: str = "web") -> Built | Pin:
    (pin,) = (one.pin for one in prepared.services if one.name == service)
    assert isinstance(pin, Built | Pin)
    return pin


def inside(rig: ComposeRig, path: str = "/version", service: str = "web") -> str:
    """Return what the running container reads."""
    return rig.engine.docker("exec", rig.running(service)["id"], "cat", path)


def builds(rig: ComposeRig) -> int:
    """Return how many builds the log tells of."""
    return sum("exporting to image" in line for line in rig.log)


# ── What a deployment does ────────────────────────────────────────────────────────────────────


def test_c3_a_commit_is_built_pinned_and_runs_beside_what_is_pulled(rig: ComposeRig) -> None:
    """C3, B1, B2, B6, B7: one service built, one pulled, each pinned in its own way."""
    side = rig.image("side:1")
    sha = commit(rig, compose=compose(web={}, side={"build": None, "image": side}))
    entered: list[Stage] = []
    prepared = rig.deploy(replace(rig.work(), enter=entered.append))
    assert rig.judged(prepared).verdict is Verdict.GOOD
    assert entered == [Stage.BUILD]

    web, pin = rig.running("web"), pin_of(prepared)
    assert pin == Built(pin.image, pin.digest)
    assert web["image"] == str(pin.digest)
    assert web["name"] == f"{rig.name}-web:{sha[:12]}-{web['image'][7:15]}"
    shown = rig.engine.docker("ps", "--format", "{{.Image}}", "--filter", f"id={web['id']}")
    assert shown == web["name"]
    labels = rig.engine.inspect(web["id"])["Config"]["Labels"]
    assert labels[REVISION] == sha
    assert (rig.tree / ".deploy/web.sha").read_text() == f"{web['image']}\n"
    assert f'image: "{web["name"]}"' in (rig.tree / prepared.override_file).read_text()
    assert rig.running("side")["name"] == f"{side}@{rig.digest(side)}"
    assert inside(rig) == "one"
    report = rig.strategy.report(rig.target)
    assert (str(report.commit), pin.digest.short in report.release) == (sha, True)
    assert prepared.revision.images.keys() == {side}


@pytest.mark.slow
def test_the_same_commit_again_builds_and_recreates_nothing(rig: ComposeRig) -> None:
    """Built once: it is found by what it was built from. A person may insist."""
    commit(rig)
    first, before = rig.deploy(), rig.running("web")
    entered: list[Stage] = []
    second = rig.deploy(replace(rig.work(), enter=entered.append))
    assert pin_of(second) == pin_of(first)
    assert (rig.running("web"), entered, builds(rig)) == (before, [], 1)
    assert any("nothing to build" in line for line in rig.log)
    # From the cache, so that nothing is recreated unless something changed.
    rig.deploy(replace(rig.work(), forced=True))
    assert (rig.running("web"), builds(rig)) == (before, 2)


def test_b3_c5_going_back_builds_nothing(rig: ComposeRig) -> None:
    """B3, C5, B7: the image is there, whatever became of its name, and only its id counts."""
    commit(rig)
    first = rig.deploy()
    commit(rig, "two")
    second = rig.deploy()
    assert inside(rig) == "two"
    assert rig.judged(first).verdict is Verdict.BAD
    rig.engine.docker("tag", str(pin_of(second).digest), str(pin_of(first)))  # by a hand
    rig.log.clear()
    rig.strategy.apply(rig.work(), first)
    assert inside(rig) == "one"
    assert rig.running("web")["name"] == str(pin_of(first))
    assert rig.judged(first).verdict is Verdict.GOOD
    assert builds(rig) == 0

    before = rig.running("web")
    rig.engine.docker("rmi", str(pin_of(second)))
    with pytest.raises(PreconditionFailed, match="deploy its commit again") as caught:
        rig.strategy.apply(rig.work(), second)
    assert caught.value.recovery is Recovery.OPERATOR
    assert rig.running("web") == before


@pytest.mark.slow
def test_services_that_are_built_alike_share_an_image(rig: ComposeRig) -> None:
    """It is built once, and each service has its own name for it."""
    commit(rig, compose=compose(web={}, worker={}))
    prepared = rig.deploy()
    assert rig.running("web")["image"] == rig.running("worker")["image"]
    assert rig.running("worker")["name"].startswith(f"{rig.name}-worker:")
    assert builds(rig) == 1
    assert rig.judged(prepared).verdict is Verdict.GOOD


@pytest.mark.slow
def test_of_an_image_with_a_name_the_policy_tells_whether_it_is_built(rig: ComposeRig) -> None:
    """``pull_policy: build`` is compose's own word for it; without it the image is pulled."""
    pulled, name = rig.image("pulled:1"), f"{rig.registry.host}/{rig.name}:7"
    web = {"image": name, "pull_policy": "build"}
    sha = commit(rig, compose=compose(web=web, other={"image": pulled}))
    rig.deploy()
    assert rig.running("web")["name"].startswith(f"{rig.registry.host}/{rig.name}:{sha[:12]}-")
    assert rig.running("other")["name"] == f"{pulled}@{rig.digest(pulled)}"
    # The tag that people follow was not moved.
    assert rig.engine.docker("images", "--quiet", name) == ""


@pytest.mark.slow
def test_b4_what_keeps_data_is_built_once(rig: ComposeRig) -> None:
    """B4: another commit leaves it alone, with the container that it runs in."""
    db = {"build": {"context": "db"}, "labels": {"reconciler.stateful": "true"}}
    files = {"db/Dockerfile": dockerfile(rig, "LABEL is=database")}
    commit(rig, compose=compose(web={}, db=db), **files)
    rig.deploy()
    before = rig.running("db"), rig.running("web")
    commit(rig, "two")
    text = compose(web={}, db=db)
    rig.commit(text, {"version": "two"})
    prepared = rig.deploy()
    assert rig.running("db") == before[0]
    assert rig.running("web")["id"] != before[1]["id"]
    assert rig.judged(prepared).verdict is Verdict.GOOD


@pytest.mark.slow
def test_two_projects_of_one_repository_have_images_of_their_own(
    engine: DockerEngine, registry: Registry, tmp_path: Path
) -> None:
    """What one of them drops the other one still has."""
    with (
        open_rig(engine, registry, tmp_path / "a") as one,
        open_rig(engine, registry, tmp_path / "b") as two,
    ):
        text = compose(web={"image": f"acme/{engine.run_id}", "pull_policy": "build"})
        for rig in (one, two):
            commit(rig, compose=text)
        first, second = one.deploy(), two.deploy()
        assert pin_of(first).digest != pin_of(second).digest
        one.engine.remove_project(one.name)
        one.strategy.forget(one.target, first, [])
        assert engine.docker("images", "--quiet", str(pin_of(first))) == ""
        assert two.judged(second).verdict is Verdict.GOOD
        two.strategy.apply(two.work(), second)


@pytest.mark.slow
def test_b3_what_a_kept_override_names_stays_and_the_rest_goes(rig: ComposeRig) -> None:
    """B3: of failed attempts, too; names that are not ours are left alone."""
    made = []
    for version in ("old", "kept", "runs", "failed"):
        commit(rig, version)
        made.append(rig.strategy.prepare(rig.work()))
    rig.strategy.apply(rig.work(), made[2])
    by_hand = f"{rig.engine.run_id}/mine:1"
    rig.engine.docker("tag", str(pin_of(made[3]).digest), by_hand)
    rig.strategy.forget(rig.target, made[0], made[1:3])
    there = rig.engine.docker("images", "--format", "{{.Repository}}:{{.Tag}}").split()
    assert [str(pin_of(one)) in there for one in made] == [False, True, True, False]
    assert by_hand in there
    rig.strategy.apply(rig.work(), made[1])
    assert inside(rig) == "kept"


def test_a_migration_runs_in_what_was_built_whatever_its_name_means(rig: ComposeRig) -> None:
    """Once the image is gone nothing runs in its place, and nothing began."""
    commit(rig)
    work, made = rig.work(), rig.strategy.prepare(rig.work())
    pin, begun = pin_of(made), list[str]()
    migration = Migration(("cat", "/version"), ServiceName("web"))
    run = MigrationRun(migration, False, lambda: begun.append("it"))
    migrator = ComposeMigrator(rig.strategy)
    rig.engine.docker("tag", rig.engine.busybox_image(), str(pin))  # by a hand
    assert migrator.migrate(work, made, run) == MigrationEnd(0, ("one",))
    migrator.forget(work)
    rig.engine.docker("rmi", "--force", pin.digest.text)
    with pytest.raises(PreconditionFailed, match="deploy its commit again"):
        migrator.migrate(work, made, run)
    assert begun == ["it"]


# ── What it is built from ─────────────────────────────────────────────────────────────────────


def test_nothing_but_the_commit_is_built_from(rig: ComposeRig) -> None:
    """Neither what lies in the work tree, nor the ``.env`` that an operator put there."""
    rig.tree.mkdir(parents=True)
    (rig.tree / ".env").write_text("GREETING=hello\n")
    (rig.tree / "stray").write_text("dirty")
    web = {"build": {"context": ".", "args": {"GREETING": "${GREETING}"}}}
    recipe = dockerfile(rig, "ARG GREETING", "RUN echo $GREETING >/greeting", "COPY . /all")
    rig.commit(compose(web=web), {"Dockerfile": recipe, "sub/link": "x"})
    rig.deploy()
    assert inside(rig, "/greeting") == "hello"
    found = rig.engine.docker("exec", rig.running("web")["id"], "find", "/all", "-type", "f")
    assert sorted(found.split()) == ["/all/Dockerfile", "/all/compose.yaml", "/all/sub/link"]


def test_secrets_reach_a_build_and_stay_out_of_its_image(rig: ComposeRig) -> None:
    """From a variable, and from a file of the work tree; an argument with one is told."""
    rig.tree.mkdir(parents=True)
    (rig.tree / "npm").write_text("from-a-file")
    recipe = dockerfile(
        rig,
        "RUN --mount=type=secret,id=token --mount=type=secret,id=npm "
        "cat /run/secrets/token /run/secrets/npm | sha256sum >/sum",
        "ARG KEY",
        "COPY Dockerfile /",
    )
    build = {"context": ".", "secrets": ["token", "npm", "lost"], "args": {"KEY": "${OTHER}"}}
    text = json.loads(compose(web={"build": build}))
    text["secrets"] = {
        "token": {"environment": "TOKEN"},
        "npm": {"file": "./npm"},
        "lost": {"environment": "LOST"},
    }
    rig.commit(json.dumps(text), {"Dockerfile": recipe})
    rig.deploy(rig.work(variables={"TOKEN": "s3cret-value", "OTHER": "more-secret"}))
    both = hashlib.sha256(b"s3cret-valuefrom-a-file").hexdigest()
    assert inside(rig, "/sum").split()[0] == both
    history = rig.engine.docker("history", "--no-trunc", rig.running("web")["image"])
    assert "s3cret-value" not in history
    assert any("build argument KEY has a secret" in line for line in rig.log)
    assert [line for line in rig.log if "goes without its secret lost" in line]
    assert not [line for line in rig.log if "goes without its secret token" in line]
    assert not list((rig.folder / "data").rglob("*secret-*"))


@pytest.mark.slow
def test_a_private_base_image_is_pulled_with_the_projects_credentials(
    engine: DockerEngine, tmp_path: Path
) -> None:
    """They are found by the registry that the Dockerfile names."""
    with Registry("htpasswd") as private:
        known = RegistryCredentials(private.host, USERNAME, Secret.of(PASSWORD))
        with open_rig(engine, private, tmp_path, credentials=known) as rig:
            engine.docker(
                "login", "-u", USERNAME, "--password-stdin", private.host, stdin=PASSWORD.encode()
            )
            base = rig.image("base:1")
            engine.docker("logout", private.host)
            engine.docker("rmi", "--force", base, f"{engine.run_id}/base:1")
            rig.commit(compose(web={}), {"Dockerfile": f"ARG BASE={base}\nFROM $BASE"})
            assert rig.judged(rig.deploy()).verdict is Verdict.GOOD


# ── When it goes wrong ────────────────────────────────────────────────────────────────────────


def test_a_build_that_fails_leaves_what_runs(rig: ComposeRig) -> None:
    """It says at which step, and keeps the last lines."""
    commit(rig)
    rig.deploy()
    before = rig.running("web")
    rig.commit(compose(web={}), {"Dockerfile": dockerfile(rig, "RUN echo so far; exit 3")})
    with pytest.raises(BuildFailed, match=r"at .web 2/2. RUN echo so far; exit 3.*: 3") as caught:
        rig.strategy.prepare(rig.work())
    assert (caught.value.code, caught.value.recovery) == ("build-failed", Recovery.STALL)
    assert "so far" in caught.value.evidence["output"]
    assert rig.running("web") == before
    assert rig.tree.joinpath("version").read_text() == "one"


FAILING = [
    ("RUNN x", "line 2: unknown instruction: RUNN"),
    ("COPY missing /", '"/missing" not found'),
    ("COPY --from=localhost:9/base:1 / /", "localhost:9/.*connection refused"),
]


def test_a_build_that_can_not_begin_says_why(rig: ComposeRig) -> None:
    """In one line, without the builder's own layers; a base image out of reach is no exception."""
    for line, problem in FAILING:
        rig.commit(compose(web={}), {"Dockerfile": dockerfile(rig, line)})
        with pytest.raises(BuildFailed, match=problem) as caught:
            rig.strategy.prepare(rig.work())
        assert "failed to solve" not in caught.value.message


def test_a_build_that_does_not_end_is_ended(rig: ComposeRig) -> None:
    """At its time limit, and in the engine too."""
    rig.commit(compose(web={}), {"Dockerfile": dockerfile(rig, f"RUN echo {rig.name}; sleep 987")})
    options = replace(rig.strategy.options, build_timeout=timedelta(seconds=2))
    with pytest.raises(BuildFailed, match=r"took more than 0\.03"):
        replace(rig.strategy, options=options).prepare(rig.work())
    assert_nothing_builds(rig)


def test_a_build_can_be_cancelled(rig: ComposeRig) -> None:
    """Once it is under way; the next worker builds it anew."""
    rig.commit(compose(web={}), {"Dockerfile": dockerfile(rig, f"RUN echo {rig.name}; sleep 987")})
    work, cancel = rig.work(), threading.Event()

    def follow(line: str) -> None:
        if f"{rig.name}; sleep" in line:
            cancel.set()

    with pytest.raises(Interrupted):
        rig.strategy.prepare(replace(work, log=follow, cancel=cancel))
    assert_nothing_builds(rig)


def assert_nothing_builds(rig: ComposeRig) -> None:
    def steps() -> list[str]:
        lines = (path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline"))
        return [str(line) for line in lines if rig.name.encode() in line and b"sleep" in line]

    eventually(lambda: not steps(), within=15, what="the step of the build ends")


def test_what_leaves_the_repository_is_not_built_from(rig: ComposeRig) -> None:
    """Refused before anything is built; the unit tests know more ways."""
    for build in ({"context": ".."}, {"context": ".", "dockerfile": "/etc/passwd"}):
        commit(rig, compose=compose(web={"build": build}))
        with pytest.raises(InvalidComposeFile, match="leaves the repository"):
            rig.strategy.prepare(rig.work())
    assert builds(rig) == 0


def link(rig: ComposeRig, name: str, target: Path) -> None:
    """Commit a symbolic link in the place of whatever has that name."""
    git = rig.repository.git
    kept = [one for one in git("ls-tree", "main").splitlines() if one.split("\t")[1] != name]
    blob = git("hash-object", "-w", "--stdin", stdin=str(target).encode())
    lines = "\n".join([*kept, f"120000 blob {blob}\t{name}", ""])
    tree = git("mktree", stdin=lines.encode())
    made = git("commit-tree", tree, "-p", rig.repository.tip(), "-m", "link")
    git("update-ref", "refs/heads/main", made)


def test_no_link_leads_a_build_out_of_the_commit(rig: ComposeRig) -> None:
    """What it points to is not in the image: no such commit is ever checked out."""
    outside = rig.folder / "outside"
    outside.mkdir()
    (outside / "Dockerfile").write_text("FROM scratch")
    for name in ("Dockerfile", ".dockerignore", "context", "content"):
        commit(rig, compose=compose(web={"build": "context" if name == "context" else "."}))
        link(rig, name, outside / "Dockerfile" if name == "Dockerfile" else outside)
        with pytest.raises(ReconcilerError, match=r"leads out|symbolic link|leaves"):
            rig.strategy.prepare(rig.work())
    assert builds(rig) == 0


def test_powers_over_the_machine_are_said(rig: ComposeRig) -> None:
    """As those of containers are."""
    commit(rig, compose=compose(web={"build": {"context": ".", "network": "host"}}))
    rig.strategy.prepare(rig.work())
    assert "note: services.web.build uses the network host" in rig.log


# ── Pushed ────────────────────────────────────────────────────────────────────────────────────


def docker_that_pushes(image: str, folder: Path) -> Path:
    """Return a docker client that has a name mean ``image`` just before it is pushed."""
    client = shutil.which("docker")
    script = folder / "docker"
    script.write_text(
        "#!/bin/sh\n"
        f'[ "$1 $2" != "image push" ] || {client} tag {image} "$4" || exit\n'
        f'exec {client} "$@"\n'
    )
    script.chmod(0o755)
    return script


def test_what_is_built_goes_to_its_registry(engine: DockerEngine, tmp_path: Path) -> None:
    """With the project's credentials, under the very tag that the file says; pinned by digest."""
    with Registry("htpasswd") as private:
        known = RegistryCredentials(private.host, USERNAME, Secret.of(PASSWORD))
        with open_rig(engine, private, tmp_path, credentials=known, push_images=True) as rig:
            name = f"{private.host}/{rig.name}:1.2"
            commit(rig, compose=compose(web={"image": name, "pull_policy": "build"}))
            prepared = rig.deploy()
            assert pin_of(prepared) == Pin(pin_of(prepared).image, rig.digest(name))
            assert rig.running("web")["name"] == f"{name}@{rig.digest(name)}"
            # Here the name means nothing: another project may run by it what somebody else pulled.
            assert engine.docker("images", "--quiet", name) == ""
            assert rig.judged(prepared).verdict is Verdict.GOOD
            # To another host it is given like any image.
            rig.log.clear()
            there = rig.strategy.prepare(replace(rig.work(), elsewhere=prepared))
            assert (pin_of(there), builds(rig)) == (pin_of(prepared), 0)
            # Another project that pushes under that name, too.
            docker = docker_that_pushes(engine.busybox_image(), tmp_path)
            options = replace(rig.strategy.options, program=(str(docker), "compose"))
            rig.strategy = replace(rig.strategy, options=options)
            with pytest.raises(BuildFailed, match="meant another image while it was pushed"):
                rig.strategy.prepare(rig.work())


def test_what_has_no_name_can_not_be_pushed(
    engine: DockerEngine, registry: Registry, tmp_path: Path
) -> None:
    """The service is named, and what helps."""
    with open_rig(engine, registry, tmp_path, push_images=True) as rig:
        commit(rig)
        with pytest.raises(InvalidComposeFile, match=r"services\.web.*REGISTRY/NAME:TAG"):
            rig.strategy.prepare(rig.work())


# ── Several hosts ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.needs_sshd
@pytest.mark.slow
def test_what_one_engine_built_another_one_is_given(
    engine: DockerEngine, registry: Registry, tmp_path: Path
) -> None:
    """Over the connection to its host: one build, one id; from other sources it builds itself."""
    host = HostName("web1")
    with (
        Sshd() as sshd,
        SecondEngine() as second,
        Hosts(tmp_path, second.address) as hosts,
        open_rig(engine, registry, tmp_path, hosts=hosts, host=host) as rig,
    ):
        hosts.declare(sshd, host)
        build = {"context": ".", "labels": {RUN_LABEL: engine.run_id}, "args": {"A": "${A}"}}
        recipe = "FROM scratch\nCOPY --chmod=755 busybox /\nARG A\n"
        recipe += 'CMD ["/busybox", "sleep", "infinity"]'
        text = compose(web={"build": build, "stop_signal": "KILL"})
        rig.commit(text, {"Dockerfile": recipe, "busybox": BUSYBOX.read_bytes()})
        here = replace(rig.work(variables={"A": "1"}), target=replace(rig.target, host=LOCAL))
        first = rig.strategy.prepare(here)
        assert (builds(rig), engine.docker("images", "--quiet", str(pin_of(first)))) == (1, "")

        entered: list[Stage] = []
        there = replace(rig.work(variables={"A": "1"}), elsewhere=first, enter=entered.append)
        prepared = rig.deploy(there)
        assert (pin_of(prepared), builds(rig), entered) == (pin_of(first), 1, [Stage.BUILD])
        assert rig.running("web")["image"] == str(pin_of(first).digest)
        assert rig.judged(prepared).verdict is Verdict.GOOD
        assert not list(tmp_path.rglob("*.tar"))

        other = rig.strategy.prepare(replace(rig.work(variables={"A": "2"}), elsewhere=first))
        assert (pin_of(other).digest != pin_of(first).digest, builds(rig)) == (True, 2)
        assert any("built on web1 itself: it is built from something else" in x for x in rig.log)
