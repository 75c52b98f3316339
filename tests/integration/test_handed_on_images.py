"""D5 on real engines: what the environment before verified, and nothing else."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.domain.deployment import Built, Pin, PreparedRevision, PreparedTarget, Stage
from reconciler.domain.errors import NotHandedOn, SourceUnreachable
from reconciler.domain.host import LOCAL, Host, HostName
from reconciler.domain.migration import Migration
from reconciler.domain.project import ProjectKind
from reconciler.domain.promotion import Environment, EnvironmentName, handed_on
from reconciler.domain.references import Digest, ImageReference, ProjectName, ServiceName
from reconciler.domain.secret import Secret
from reconciler.domain.verification import Verdict
from reconciler.pipeline.planning.images import Digests, steps_of
from reconciler.ports import MigrationEnd, MigrationRun, Work
from reconciler.strategies.compose import ComposeMigrator, ComposePlanner
from tests.parts.child import free_port
from tests.parts.compose_rig import (
    CREATED_AT,
    POLITE,
    ComposeRig,
    compose_file,
    open_rig,
    scratches_of,
)
from tests.parts.docker_engine import BUSYBOX, RUN_LABEL, DockerEngine
from tests.parts.hosts import Hosts
from tests.parts.registry import Registry
from tests.parts.second_engine import SecondEngine
from tests.parts.ssh_keys import make_key, public_key
from tests.parts.sshd import Sshd

pytestmark = [pytest.mark.needs_docker, pytest.mark.needs_registry, pytest.mark.needs_git]


@pytest.fixture
def test(engine: DockerEngine, registry: Registry, tmp_path: Path) -> Iterator[ComposeRig]:
    with open_rig(engine, registry, tmp_path) as made:
        yield made


@pytest.fixture
def production(test: ComposeRig) -> Iterator[ComposeRig]:
    """The next environment: of the same repository, on the same engine."""
    made = next_one(test)
    yield made
    made.engine.remove_project(made.name)


def next_one(test: ComposeRig) -> ComposeRig:
    name = ProjectName(f"{test.name}-production")
    environment = Environment(EnvironmentName("production"), test.name)
    project = replace(test.project, name=name, environment=environment)
    return replace(test, project=project, target=replace(test.target, project=name), log=[])


def promotion(test: ComposeRig, to: ComposeRig, *prepared: PreparedTarget, **said: str) -> Work:
    """Return the work of promoting what was verified, with the files of the branch's tip."""
    before, work = verified(*prepared), to.work(variables=said)
    revision = replace(handed_on(before), commit=work.revision.commit)
    return replace(work, revision=revision, handed_on=before)


def verified(*prepared: PreparedTarget) -> PreparedRevision:
    return PreparedRevision(prepared[0].revision, prepared)


def foreseen(rig: ComposeRig, work: Work) -> dict[str, Digest | None]:
    """Return the digest that a plan of ``work`` shows of each service."""
    source, commit = work.project.source, work.revision.commit
    assert source is not None
    assert commit is not None
    with scratches_of(rig)[2].open() as scratch:
        scratch.fetch(rig.name, source, commit, None)
        seen = ComposePlanner(rig.strategy).foresee(work, scratch)
    steps = steps_of(seen.services, {}, Digests())
    assert {one.note for one in steps} == {"handed on"}, seen.refusal
    return {one.service: one.after.digest if one.after else None for one in steps}


def pin_of(prepared: PreparedTarget, service: str = "web") -> Pin | Built | None:
    (pin,) = (one.pin for one in prepared.services if one.name == service)
    assert pin is None or isinstance(pin, Pin | Built)
    return pin


def digest_of(prepared: PreparedTarget) -> Digest:
    pin = pin_of(prepared)
    assert pin is not None
    return pin.digest


def lose(rig: ComposeRig, digest: Digest) -> None:
    """Have the engine forget an image, as one that never had it."""
    listing = ("images", "--no-trunc", "--digests", "--format", "{{.ID}} {{.Digest}}")
    lines = rig.engine.docker(*listing).splitlines()
    (image,) = {line.split()[0] for line in lines if str(digest) in line}
    rig.engine.docker("rmi", "--force", image)


def test_d5_a_tag_that_moves_or_goes_changes_nothing(
    test: ComposeRig, production: ComposeRig
) -> None:
    """No tag is looked up, whatever production's own variables make of it."""
    app, side = test.image("app:1"), test.image("side:1", version="side")
    good, other = test.digest(app), test.digest(side)
    files = compose_file(test.engine, web=f"{test.registry.host}/app:${{TAG:-1}}", side=side)
    test.commit(files)
    first = test.strategy.prepare(test.work())
    test.image("app:1", version="moved")
    moved = test.digest(app)
    test.registry.delete("app", str(moved))
    for digest in (good, moved):
        lose(test, digest)
    asked = len(test.registry.requests())

    work = promotion(test, production, first, TAG="stable")
    assert foreseen(production, work) == {"web": good, "side": other}
    prepared = production.deploy(work)
    assert production.judged(prepared).verdict is Verdict.GOOD
    assert production.running("web")["name"] == f"{app}@{good}"
    assert production.running("side")["name"] == f"{side}@{other}"
    assert prepared.revision == work.revision
    assert (production.tree / ".deploy/web.sha").read_text() == f"{good}\n"
    requests = test.registry.requests()[asked:]
    manifests = [one.target for one in requests if "/manifests/" in one.target]
    assert manifests
    assert all(re.search(f"/manifests/{good}$", target) for target in manifests)

    test.registry.delete("app", str(good))
    before = production.running("web")
    production.strategy.apply(production.work(test.repository.tip()), prepared)
    assert production.running("web") == before  # it is there: no registry is needed
    production.engine.remove_project(production.name)
    lose(test, good)
    with pytest.raises(NotHandedOn, match=f"what {test.name} verified is not to be had") as caught:
        production.strategy.prepare(promotion(test, production, first))
    assert "push the image again" in caught.value.remedy
    assert production.observe() == []


def test_what_nothing_is_handed_on_for_is_refused_by_name(
    test: ComposeRig, production: ComposeRig
) -> None:
    """By service first, then by image; what keeps data is exempt, and nothing is resolved."""
    app, base = test.image("app:1"), f"{test.registry.host}/app"
    digest = test.digest(app)
    other = Digest(f"sha256:{'0' * 64}")
    test.commit(compose_file(test.engine, web=app))
    first = test.strategy.prepare(test.work())
    data = f"{base}:1\nlabels: {{reconciler.stateful: 'true', {RUN_LABEL}: {test.engine.run_id}}}"
    extra = {"web": f"{base}:gone", "worker": app, "fixed": f"{app}@{digest}", "db": data}
    production.commit(compose_file(test.engine, **extra))
    prepared = production.strategy.prepare(promotion(test, production, first))
    pins = {one.name: one.pin for one in prepared.services}
    pin = pin_of(first)
    assert pins == {"web": pin, "worker": pin, "fixed": pin, "db": None}

    forgotten = replace(promotion(test, production, first), handed_on=None)
    with pytest.raises(NotHandedOn, match="is not on record any more"):
        production.strategy.prepare(forgotten)

    for name, image, said in (
        ("cron", f"{base}:2", f"the service has nothing verified for it, {base}:2"),
        ("web", f"{base}:1@{other}", f"is fixed to {other}.*, and {digest} was verified"),
    ):
        production.commit(compose_file(test.engine, **{"web": app, name: image}))
        asked = len(test.registry.requests())
        with pytest.raises(NotHandedOn, match=said) as caught:
            production.strategy.prepare(promotion(test, production, first))
        assert caught.value.evidence == {"service": name, "image": image}
        assert "under the same service name" in caught.value.remedy
        assert len(test.registry.requests()) == asked


def built(rig: ComposeRig) -> PreparedTarget:
    """Have an app built, of one service, and return what was made ready."""
    body = {"build": {"context": ".", "labels": {RUN_LABEL: rig.engine.run_id}}}
    recipe = f"FROM {rig.engine.busybox_image()}\nCOPY version /\nCMD {json.dumps(POLITE)}\n"
    rig.commit(
        json.dumps({"services": {"web": body}}),
        {"Dockerfile": recipe, "version": rig.engine.unique("version")},
    )
    return rig.strategy.prepare(rig.work())


def test_d5_what_was_built_is_what_runs_and_each_keeps_its_own_name(
    test: ComposeRig, production: ComposeRig
) -> None:
    """Nothing is built again; either may forget it, and the other one goes on."""
    first = built(test)
    image = pin_of(first)
    assert isinstance(image, Built)
    entered: list[Stage] = []
    # What would fail, if anybody built it.
    broken = {"Dockerfile": "FROM scratch\nCOPY nothing /\n"}
    work = promotion(test, production, first)
    test.repository.commit(broken)
    prepared = production.strategy.prepare(replace(work, enter=entered.append))
    pin = pin_of(prepared)
    assert isinstance(pin, Built)
    assert (pin.digest, entered) == (image.digest, [])
    assert str(pin) == f"{production.name}-web:{str(image).partition(':')[2]}-{production.name}"
    assert prepared.revision == work.revision

    # Also where its own compose file does not build it.
    production.commit(compose_file(test.engine, web="localhost:1/app:1"))
    pulled = production.strategy.prepare(promotion(test, production, first))
    assert digest_of(pulled) == image.digest

    # The migration runs in it, too.
    run = MigrationRun(Migration(("true",), ServiceName("web")), False, lambda: None)
    assert ComposeMigrator(production.strategy).migrate(work, prepared, run) == MigrationEnd(0)
    ComposeMigrator(production.strategy).forget(work)

    test.strategy.forget(test.target, first, [])
    names = test.engine.docker("images", "--format", "{{.Repository}}:{{.Tag}}").split()
    assert (str(image) in names, str(pin) in names) == (False, True)
    production.strategy.apply(work, prepared)
    assert production.running("web")["image"] == str(image.digest)
    assert production.judged(prepared).verdict is Verdict.GOOD
    production.engine.remove_project(production.name)
    production.strategy.forget(production.target, prepared, [])
    assert test.engine.docker("images", "--quiet", str(pin)) == ""

    with pytest.raises(NotHandedOn, match=f"built for web is not on {LOCAL} any more") as caught:
        production.strategy.prepare(work)
    assert caught.value.evidence["digest"] == image.digest.text
    assert "push_images" in caught.value.remedy


def test_a_host_that_is_away_is_no_target_that_is_away(
    engine: DockerEngine, registry: Registry, tmp_path: Path
) -> None:
    """Production is not left out for test's sake: it is tried again. One that is gone is not."""
    away = Host(HostName("away"), CREATED_AT, address="127.0.0.1", port=free_port())
    with (
        Hosts(tmp_path) as hosts,
        open_rig(engine, registry, tmp_path, hosts=hosts) as test,
    ):
        first = replace(built(test), host=away.name)
        lose(test, digest_of(first))
        work = promotion(test, next_one(test), first)
        with pytest.raises(NotHandedOn, match="is not on away any more"):
            test.strategy.prepare(work)
        key = make_key(tmp_path / "key")
        hosts.put(replace(away, host_keys=(public_key(key),)))
        hosts.keys[away.name] = Secret.of(key.read_text())
        with pytest.raises(SourceUnreachable, match="away has it: host away"):
            test.strategy.prepare(work)


@pytest.mark.slow
def test_an_image_project_gets_the_image_of_a_compose_project(
    test: ComposeRig, production: ComposeRig
) -> None:
    """It keeps the commit that is told of it, and needs no files of that."""
    app, other = test.image("app:1"), ImageReference.parse(f"{test.registry.host}/app:stable")
    test.commit(compose_file(test.engine, web=app))
    first = test.strategy.prepare(test.work())
    declared = {"kind": ProjectKind.IMAGE, "image": other, "source": None}
    production.project = replace(production.project, **declared, expose_service=None)  # type: ignore[arg-type]
    with pytest.raises(NotHandedOn, match="app:stable"):
        production.strategy.prepare(promotion(test, production, first))
    production.project = replace(production.project, image=ImageReference.parse(app))
    work = replace(promotion(test, production, first), revision=handed_on(verified(first)))
    prepared = production.deploy(work)
    assert production.judged(prepared).verdict is Verdict.GOOD
    assert prepared.revision.commit == first.revision.commit
    assert production.running("app")["name"] == f"{app}@{test.digest(app)}"


@pytest.mark.needs_sshd
@pytest.mark.slow
def test_d5_what_one_engine_built_the_next_environments_is_given(
    engine: DockerEngine, registry: Registry, tmp_path: Path
) -> None:
    """Without a registry: moved by its id to an engine that has nothing."""
    host = HostName("web1")
    with (
        Sshd() as sshd,
        SecondEngine() as second,
        Hosts(tmp_path, second.address) as hosts,
        open_rig(engine, registry, tmp_path, hosts=hosts) as test,
    ):
        hosts.declare(sshd, host)
        build = {"context": ".", "labels": {RUN_LABEL: engine.run_id}}
        recipe = "FROM scratch\nCOPY --chmod=755 busybox /\n"
        recipe += 'CMD ["/busybox", "sleep", "infinity"]'
        text = json.dumps({"services": {"web": {"build": build, "stop_signal": "KILL"}}})
        test.commit(text, {"Dockerfile": recipe, "busybox": BUSYBOX.read_bytes()})
        first = test.strategy.prepare(test.work())  # on the second engine, this machine's own
        production = next_one(test)
        production.target = replace(production.target, host=host)
        prepared = production.deploy(promotion(test, production, first))
        try:
            assert digest_of(prepared) == digest_of(first)
            assert production.running("web")["image"] == str(digest_of(first))
            assert production.judged(prepared).verdict is Verdict.GOOD
            assert not list(tmp_path.rglob("*.tar"))
        finally:
            engine.remove_project(production.name)
