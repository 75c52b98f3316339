"""D5 and D7 for units on real hosts: what the environment before verified, and no build."""

import itertools
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.domain.deployment import (
    Built,
    Pin,
    PlannedService,
    PreparedRevision,
    PreparedTarget,
)
from reconciler.domain.errors import CommandFailed, NotHandedOn
from reconciler.domain.host import LOCAL, HostPath
from reconciler.domain.promotion import Environment, EnvironmentName, handed_on
from reconciler.domain.references import (
    CommitSha,
    Digest,
    ImageReference,
    ProjectName,
    RepositoryPath,
    ServiceName,
)
from reconciler.domain.revision import Revision
from reconciler.domain.secret import Secret
from reconciler.domain.target import TargetStrategy
from reconciler.domain.verification import Verdict
from reconciler.ports import RegistryCredentials, Work
from tests.parts.docker_engine import DockerEngine
from tests.parts.hosts import Hosts
from tests.parts.registry import PASSWORD, USERNAME, Registry
from tests.parts.systemd_host import SystemdHost
from tests.parts.unit_rig import UnitRig, app, declare, open_unit_rig, release_of

pytestmark = [pytest.mark.needs_systemd, pytest.mark.needs_sshd, pytest.mark.needs_git]

#: A release of two files, which is built with a tool that goes.
BUILD = "#!/bin/sh\necho built >>$HOME/builds\ncp source.sh app\nmkdir lib\ncp source.sh lib/more\n"
LIB = (RepositoryPath("lib"),)
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def hosts(systemd_host: SystemdHost, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    with Hosts(tmp_path_factory.mktemp("hosts")) as made:
        declare(made, systemd_host)
        yield made


@pytest.fixture
def production(systemd_host: SystemdHost, hosts: Hosts, tmp_path: Path) -> Iterator[UnitRig]:
    """An environment whose own build would fail."""
    with opened(systemd_host, hosts, tmp_path) as made:
        yield made


def opened(
    host: SystemdHost,
    hosts: Hosts,
    folder: Path,
    known: RegistryCredentials | None = None,
) -> AbstractContextManager[UnitRig]:
    name, build = f"production{next(_numbers)}", ("false",)
    return open_unit_rig(host, hosts, folder, name, credentials=known, build=build, files=LIB)


def promotion(to: UnitRig, origin: str, *prepared: PreparedTarget) -> Work:
    """Return the work of promoting to ``to`` what ``origin`` verified."""
    verified = PreparedRevision(prepared[0].revision, prepared)
    environment = Environment(EnvironmentName("production"), ProjectName(origin))
    to.project = replace(to.project, environment=environment, source=None)
    work = to.work("f" * 40)
    return replace(work, project=to.project, revision=handed_on(verified), handed_on=verified)


def deploy(rig: UnitRig, work: Work) -> PreparedTarget:
    prepared = rig.strategy.prepare(work)
    rig.strategy.apply(work, prepared)
    return prepared


def images_of(*pins: Pin | Built, commit: str | None = "a" * 40) -> PreparedTarget:
    """Return what a compose project, or an image's, has verified on this machine."""
    services = tuple(
        PlannedService(ServiceName(f"web{at or ''}"), pin) for at, pin in enumerate(pins)
    )
    followed = {str(pin.image): pin.digest for pin in pins if isinstance(pin, Pin)}
    sha = CommitSha(commit) if commit else None
    return PreparedTarget(Revision(sha, followed), services, host=LOCAL)


def program(engine: DockerEngine, version: str) -> str:
    """Have an image with a program and a folder beside it; return its name."""
    name = f"{engine.run_id}/{engine.unique('program')}:1"
    engine.build_image(name, files={"srv/app": app(version), "srv/lib/more": "more"})
    return name


def pushed(engine: DockerEngine, local: str, registry: Registry) -> Pin:
    """Have an image in a registry, and nowhere else."""
    login = ("login", "-u", USERNAME, "--password-stdin", registry.host)
    engine.docker(*login, stdin=PASSWORD.encode())
    digest = engine.push(local, registry.host, repository="app:1")
    engine.docker("logout", registry.host)
    engine.docker("rmi", "--force", engine.docker("images", "--quiet", local))
    return Pin(ImageReference.parse(f"{registry.host}/app:1"), Digest(digest))


# ── A unit, then a unit ───────────────────────────────────────────────────────────────────────


def test_d5_the_very_release_that_was_verified_runs(
    systemd_host: SystemdHost, hosts: Hosts, tmp_path: Path, production: UnitRig
) -> None:
    """On another target, with nothing left to build it from; the next environment gets it, too."""
    name = f"test{next(_numbers)}"
    with open_unit_rig(systemd_host, hosts, tmp_path, name, files=LIB) as test:
        test.commit({"build.sh": BUILD, "source.sh": app("one")})
        first = test.prepare()
        work = promotion(production, name, first)
        with pytest.raises(NotHandedOn, match="is not kept here"):  # nobody verified it yet
            production.strategy.prepare(work)
        test.strategy.confirm(test.work(new=False), first)
        test.commit({"source.sh": app("two")})
        test.prepare()  # what was built for the first one goes
        shutil.rmtree(test.repository.path)

        prepared = deploy(production, work)
        assert production.judged(prepared).verdict is Verdict.GOOD
        assert release_of(prepared) == release_of(first)
        assert production.sample().digests == {release_of(first).digest}
        assert prepared.revision == work.revision
        more = production.host.run("cat", production.path("current/lib/more"))
        assert more + "\n" == app("one")
        report = production.strategy.report(production.target)
        assert report.commit == first.revision.commit
        production.strategy.confirm(work, prepared)
        shutil.rmtree(tmp_path / "builds" / name)
        anew = production.strategy.prepare(promotion(production, name, first))
        assert release_of(anew) == release_of(first), "what it keeps itself is enough"
        third = promotion(production, production.project.name, prepared)
        assert release_of(production.strategy.prepare(third)) == release_of(first)


def test_what_is_not_to_be_had_any_more_is_refused_with_nothing_changed(
    systemd_host: SystemdHost, hosts: Hosts, tmp_path: Path, production: UnitRig
) -> None:
    """Spoilt, forgotten, or other than what is declared here; it says what helps."""
    name = f"test{next(_numbers)}"
    with open_unit_rig(systemd_host, hosts, tmp_path, name, files=LIB) as test:
        test.commit({"build.sh": BUILD, "source.sh": app("one")})
        first = test.prepare()
        test.strategy.confirm(test.work(new=False), first)
        production.change(files=(RepositoryPath("etc"),))
        with pytest.raises(NotHandedOn, match="has no etc") as caught:
            production.strategy.prepare(promotion(production, name, first))
        production.change(files=())
        (kept,) = (tmp_path / "builds").glob(f"{name}/kept/1/*/release/lib/more")
        text = kept.read_text()
        kept.unlink()
        kept.write_text(text.replace("one", "two"))
        with pytest.raises(NotHandedOn, match="is not kept here any more, or not unchanged"):
            production.strategy.prepare(promotion(production, name, first))
        kept.write_text(text)
        production.strategy.prepare(promotion(production, name, first))
        test.strategy.forget(test.target, first, [])
        with pytest.raises(NotHandedOn) as caught:
            production.strategy.prepare(promotion(production, name, first))
        assert f"reconciler deploy {name} --force" in caught.value.remedy
        assert caught.value.evidence == {"release": release_of(first).name}
        assert not production.strategy.observe(production.target)
        forgotten = replace(promotion(production, name, first), handed_on=None)
        with pytest.raises(NotHandedOn, match=f"what {name} verified is not on record any more"):
            production.strategy.prepare(forgotten)
        production.change(strategy=TargetStrategy.SYSTEMD_REMOTE)
        with pytest.raises(NotHandedOn, match="is never built again"):
            production.strategy.prepare(promotion(production, name, first))


@pytest.mark.slow
def test_d5_on_another_host_it_is_the_same_binary(
    systemd_host: SystemdHost,
    second_systemd_host: SystemdHost,
    hosts: Hosts,
    tmp_path: Path,
) -> None:
    name = f"test{next(_numbers)}"
    with (
        open_unit_rig(systemd_host, hosts, tmp_path, name, files=LIB) as test,
        Hosts(tmp_path / "second") as others,
    ):
        declare(others, second_systemd_host)
        test.commit({"build.sh": BUILD, "source.sh": app("one")})
        first = test.deploy()
        test.strategy.confirm(test.work(new=False), first)
        with opened(second_systemd_host, others, tmp_path) as production:
            prepared = deploy(production, promotion(production, name, first))
            assert production.judged(prepared).verdict is Verdict.GOOD
            assert production.sample().digests == test.sample().digests
            # Going back needs nothing of ours.
            second = deploy(production, promotion(production, name, first))
            shutil.rmtree(tmp_path / "builds")
            production.strategy.apply(production.work("f" * 40), prepared)
            assert production.judged(second).verdict is Verdict.GOOD


# ── An image, then a unit ─────────────────────────────────────────────────────────────────────


@pytest.mark.needs_registry
def test_d7_the_release_is_a_folder_of_the_image_at_its_digest(
    engine: DockerEngine, systemd_host: SystemdHost, hosts: Hosts, tmp_path: Path
) -> None:
    """Pulled by its digest, with the project's credentials, and not kept; no tag is looked up."""
    with Registry("htpasswd") as registry:
        known = RegistryCredentials(registry.host, USERNAME, Secret.of(PASSWORD))
        with opened(systemd_host, hosts, tmp_path, known) as production:
            pin = pushed(engine, program(engine, "one"), registry)
            production.change(image=str(pin.image), image_folder=HostPath("/srv"))
            asked = len(registry.requests())
            work = promotion(production, "shop", images_of(pin))
            prepared = deploy(production, work)
            assert production.judged(prepared).verdict is Verdict.GOOD
            assert release_of(prepared).name.startswith("a" * 12)
            assert production.host.run("cat", production.path("current/lib/more")) == "more"
            report = production.strategy.report(production.target)
            assert dict(report.detail)["image"] == str(pin.digest)
            assert str(report.commit) == "a" * 40
            assert prepared.revision == work.revision
            targets = [one.target for one in registry.requests()[asked:]]
            manifests = {target for target in targets if "/manifests/" in target}
            assert manifests == {f"/v2/app/manifests/{pin.digest}"}
            assert engine.docker("images", "--quiet", f"{registry.host}/app") == ""

            registry.delete("app", str(pin.digest))
            with pytest.raises(NotHandedOn, match="not to be had any more"):
                production.strategy.prepare(promotion(production, "shop", images_of(pin)))
            assert production.judged(prepared).verdict is Verdict.GOOD


def test_d7_of_what_was_built_without_a_registry_it_is_taken_too(
    engine: DockerEngine, production: UnitRig
) -> None:
    """By the service that it was built for; without a commit it is named by the image."""
    local = program(engine, "one")
    image = Digest(engine.docker("images", "--quiet", "--no-trunc", local))
    pin = Built(ImageReference.parse("shop-web:abc"), image)
    production.change(image="web", image_folder=HostPath("/srv"))
    verified = images_of(pin, commit=None)
    prepared = production.strategy.prepare(promotion(production, "shop", verified))
    assert release_of(prepared).name.startswith(image.short)
    assert engine.docker("ps", "--all", "--quiet", "--filter", f"ancestor={local}") == ""

    for change, said in (
        ({"image_folder": HostPath("/nothing")}, "has no folder /nothing"),
        ({"image_folder": HostPath("/bin"), "files": ()}, "/bin of shop-web:abc has no file app"),
    ):
        production.change(**change)
        with pytest.raises(CommandFailed, match=said):
            production.strategy.prepare(promotion(production, "shop", verified))
    for named, said in (("api", "did not hand on the image api"), ("", "hands on images")):
        production.change(image=named)
        with pytest.raises(NotHandedOn, match=said):
            production.strategy.prepare(promotion(production, "shop", verified))
    production.change(image="web", image_folder=HostPath("/srv"))
    engine.docker("rmi", "--force", str(image))
    with pytest.raises(NotHandedOn, match=f"is not on {LOCAL} any more"):
        production.strategy.prepare(promotion(production, "shop", verified))
