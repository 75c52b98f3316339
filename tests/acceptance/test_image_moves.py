"""A new digest behind a tag brings up what the tag means now, pinned by that very digest."""

import base64
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.parts.compose_rig import POLITE
from tests.parts.daemon import Daemon
from tests.parts.docker_engine import DockerEngine
from tests.parts.git_repository import run_git
from tests.parts.registry import PASSWORD, USERNAME, Registry
from tests.parts.shop import Images, Shop, declare, hosted_shop
from tests.parts.waiting import eventually

pytestmark = [pytest.mark.needs_docker, pytest.mark.needs_registry, pytest.mark.needs_git]


@pytest.fixture
def own_images(engine: DockerEngine) -> Iterator[Images]:
    """Images in a registry that the test may stop."""
    with Registry() as registry:
        yield Images(engine, registry)


def _seeded(shop: Shop, image: str) -> str:
    """Look until the image's digest is what the daemon compares with; return it."""

    def digest() -> str:
        shop.daemon.post(f"projects/{shop.name}/look")
        return next(
            (
                one["digest"] or ""
                for one in shop.daemon.get(f"projects/{shop.name}/images")["items"]
                if one["image"] == image
            ),
            "",
        )

    return eventually(digest, what=f"{image} is watched")


def _watched(shop: Shop) -> dict[str, str | None]:
    """Return image → why it is not watched."""
    items = shop.daemon.get(f"projects/{shop.name}/images")["items"]
    return {one["image"]: one["unwatched_because"] or None for one in items}


def test_a_moved_tag_is_deployed_by_its_digest_and_stays_readable(
    shop: Shop, images: Images
) -> None:
    """A11, A13, B1, B2, B6, B7: from the registry's new digest to the container that runs it."""
    tag = f"{shop.name}:latest"
    first = images.push(tag, version="one")
    shop.deploy_first(shop.compose(images.at(tag)))
    assert _seeded(shop, images.at(tag)) == first
    assert len(shop.all()) == 1, "the first tick records and deploys nothing"

    moved = images.push(tag, version="two")
    shop.look()
    newest = shop.deployed(2)
    assert newest["causes"][0]["trigger"] == "image-watch"
    assert newest["revision"]["images"] == {images.at(tag): moved}
    container = shop.running()
    assert container["Config"]["Image"] == f"{images.at(tag)}@{moved}"
    assert shop.engine.docker("exec", container["Id"], "cat", "/version") == "two"
    folder = shop.tree() / ".deploy"
    assert (folder / "web.sha").read_text() == f"{moved}\n"
    overrides = "".join(path.read_text() for path in folder.glob("*.y*ml"))
    assert f"{images.at(tag)}@{moved}" in overrides
    assert f"{images.at(tag)}@{first}" in overrides, "what was deployed before is kept"
    kept = shop.daemon.data / "projects" / shop.name / "repository.git"
    inside = ("--git-dir", kept, "--work-tree", shop.tree())
    assert run_git(*inside, "ls-files", "--others", "--exclude-standard") == "", "ours is ignored"
    compose_file = (shop.tree() / "compose.yaml").read_text()
    assert compose_file == shop.compose(images.at(tag)), "theirs is never edited"
    assert shop.shown()["state"] == "in-sync"
    shop.look()
    assert len(shop.all()) == 2


def test_a_release_that_ci_reports_is_looked_at_at_once(shop: Shop, images: Images) -> None:
    """D1: no interval is awaited; the record is kept, and it is the tag's move that deploys."""
    tag = f"{shop.name}:latest"
    images.push(tag, version="one")
    commit = shop.deploy_first(shop.compose(images.at(tag)))["revision"]["commit"]
    _seeded(shop, images.at(tag))
    moved = images.push(tag, version="two")
    reported = shop.daemon.post(
        "releases",
        {
            "project": shop.name,
            "commit": commit,
            "image": images.at(tag),
            "digest": moved,
            "build": {"result": "success", "finished_at": "2026-11-20T16:00:00Z"},
        },
    )
    newest = shop.deployed(2)
    assert newest["causes"][0]["trigger"] == "image-watch"
    assert newest["revision"]["images"] == reported["images"] == {images.at(tag): moved}
    assert shop.daemon.get("releases", project=shop.name)["items"] == [reported]


@pytest.mark.slow
def test_an_image_that_appears_triggers_nothing_and_one_that_leaves_is_dropped(
    shop: Shop, images: Images
) -> None:
    """A13: of a changed file the commit is the reason; its images are recorded with it."""
    tag, other = f"{shop.name}:1", f"{shop.name}-other:1"
    images.push(tag, version="one")
    images.push(other, version="other")
    shop.deploy_first(shop.compose(images.at(tag)))
    _seeded(shop, images.at(tag))
    shop.push(shop.compose(images.at(tag), worker=images.at(other)))
    shop.deployed(2)
    _seeded(shop, images.at(other))
    assert set(_watched(shop)) == {images.at(tag), images.at(other)}
    assert len(shop.all()) == 2

    shop.push(shop.compose(images.at(tag)))
    shop.deployed(3)
    shop.look()
    assert set(_watched(shop)) == {images.at(tag)}
    images.push(other, version="moved, and nobody cares")
    shop.look()
    assert len(shop.all()) == 3


def test_f12_a_label_of_another_watcher_keeps_a_service_as_it_is(
    shop: Shop, images: Images
) -> None:
    """Its tag moves and deploys nothing; what is deployed for another reason leaves it, too."""
    tag, left = f"{shop.name}:1", f"{shop.name}-left:1"
    images.push(tag, version="one")
    first = images.push(left, version="one")
    labelled = partial(_with_label, service="left", label="wud.watch: false")
    shop.deploy_first(labelled(shop.version("a", images.at(tag), left=images.at(left))))
    _seeded(shop, images.at(tag))
    before = shop.running("left")["Id"]

    images.push(left, version="two")
    shop.look()
    assert _watched(shop)[images.at(left)] == "its label wud.watch is false"
    (reason,) = (
        one for one in shop.daemon.why(shop.name)["reasons"] if one["code"] == "image-labelled"
    )
    assert images.at(left) in reason["text"]
    planned = {
        one["service"]: one for one in shop.daemon.get(f"projects/{shop.name}/plan")["images"]
    }
    assert (planned["left"]["fate"], planned["left"]["changes"]) == ("left", False)
    assert len(shop.all()) == 1

    shop.push(labelled(shop.version("b", images.at(tag), left=images.at(left))))
    assert shop.deployed(2)["revision"]["images"][images.at(left)] == first
    assert shop.running_version() == "b"
    assert shop.running("left")["Id"] == before


def _with_label(file: str, *, service: str, label: str) -> str:
    before, name, rest = file.partition(f"  {service}:\n")
    return before + name + rest.replace("labels: {", f"labels: {{{label}, ", 1)


@pytest.mark.slow
def test_variables_decide_which_image_is_watched(shop: Shop, images: Images) -> None:
    """A10: resolved by the project's variables it is watched, else skipped and shown as such."""
    one, two = f"{shop.name}:1", f"{shop.name}:2"
    images.push(one, version="one")
    images.push(two, version="two")
    shop.daemon.put(f"projects/{shop.name}/secrets/variable:TAG", {"value": "1"})
    repository = images.at(shop.name)
    optional = f"{images.plain()}\nprofiles: [never]"
    shop.deploy_first(
        shop.compose(f"{repository}:${{TAG}}", job=optional.replace("plain:1", "plain:${NOBODY}"))
    )
    _seeded(shop, images.at(one))
    watched = _watched(shop)
    assert watched[images.at(one)] is None
    (unresolved,) = (why for image, why in watched.items() if "NOBODY" in image)
    assert unresolved
    assert "NOBODY" in unresolved
    assert "NOBODY" in shop.daemon.log

    # Another value is another image: the next look deploys it.
    shop.daemon.put(f"projects/{shop.name}/secrets/variable:TAG", {"value": "2"})
    shop.daemon.post(f"projects/{shop.name}/deployments", {})
    shop.deployed(2)
    assert shop.engine.docker("exec", shop.running()["Id"], "cat", "/version") == "two"
    _seeded(shop, images.at(two))
    assert images.at(one) not in _watched(shop)


def test_a_registry_that_is_down_keeps_the_digest_and_deploys_nothing(
    daemon: Daemon, own_images: Images, tmp_path: Path
) -> None:
    """A12: what is not known is no change; git goes on; afterwards the move is found."""
    with hosted_shop(daemon, own_images, tmp_path) as shop:
        tag = f"{shop.name}:1"
        first = own_images.push(tag, version="one")
        shop.deploy_first(shop.compose(own_images.at(tag)))
        _seeded(shop, own_images.at(tag))

        own_images.registry.child.end()
        shop.look()
        (image,) = daemon.get(f"projects/{shop.name}/images")["items"]
        assert image["digest"] == first
        assert image["error"]
        assert any(
            "registry" in one["text"] or one["code"].startswith("source-")
            for one in daemon.why(shop.name)["reasons"]
        )
        assert len(shop.all()) == 1
        assert shop.running()


def test_an_image_that_many_projects_use_is_asked_for_once(
    daemon: Daemon, own_images: Images, tmp_path: Path
) -> None:
    """A13: one look-up per distinct image and tick, whoever follows it."""
    tag = "shared:1"
    own_images.push(tag, version="one")
    container: dict[str, object] = {"kind": "image", "expose_service": None, "expose_port": None}
    names = [
        declare(daemon, own_images.engine, image=own_images.at(tag), **container) for _ in range(4)
    ]

    def looks() -> list[str]:
        """Return when each project's image was looked up last, of those that were."""
        found = [daemon.get(f"projects/{name}/images")["items"] for name in names]
        return [items[0]["looked_at"] for items in found if items and items[0]["looked_at"]]

    for name in names:
        daemon.look(name)
    eventually(lambda: len(looks()) == 4, what="every project's image was looked up")
    daemon.stop()
    before = _heads(own_images.registry)
    daemon.start()  # the image loop's first pass is a whole tick
    started = daemon.get("status")["started_at"]
    eventually(lambda: min(looks()) > started, what="all were looked up again")
    eventually(lambda: _heads(own_images.registry) > before, what="the registry's log has it")
    assert _heads(own_images.registry) == before + 1
    assert all(daemon.deployments(name) == [] for name in names), "seeded, not deployed"


def _heads(registry: Registry) -> int:
    """Count the look-ups so far; what pushes ask of a registry is not among them."""
    asked = [one for one in registry.requests() if "/manifests/" in one.target]
    return len([one for one in asked if one.method == "HEAD"])


@pytest.mark.parametrize("auth", [pytest.param("htpasswd", marks=pytest.mark.slow), "token"])
def test_a_private_registry_needs_its_credential_and_nothing_else(
    shared_daemon: Daemon, engine: DockerEngine, tmp_path: Path, auth: str
) -> None:
    """A17: watched, pulled and deployed with the credential stored for it, never shown again."""
    with Registry(auth) as registry:  # type: ignore[arg-type]
        images = Images(engine, registry)
        config = registry.docker_config(tmp_path / "docker")

        def push(version: str) -> None:
            local = f"{engine.run_id}/private:1"
            engine.build_image(local, files={"version": version}, cmd=POLITE)
            engine.docker("tag", local, images.at("private:1"))
            engine.docker("--config", config, "push", images.at("private:1"))

        push("one")
        with hosted_shop(shared_daemon, images, tmp_path) as shop:
            shop.push(shop.compose(images.at("private:1")))
            refused = shop.settled(1)
            assert refused["status"] == "failed"
            assert refused["error"]["code"] == "source-denied"
            assert PASSWORD not in json.dumps(refused)

            path = f"projects/{shop.name}/secrets/registry:{registry.host}"
            stored = shared_daemon.put(path, {"value": PASSWORD, "username": USERNAME})
            assert PASSWORD not in json.dumps(stored)
            shared_daemon.post(f"projects/{shop.name}/deployments", {})
            shop.deployed(2)
            seeded = _seeded(shop, images.at("private:1"))
            push("two")
            shop.look()
            moved = shop.deployed(3)
            assert moved["revision"]["images"][images.at("private:1")] != seeded
            assert shop.engine.docker("exec", shop.running()["Id"], "cat", "/version") == "two"
            for text in (shared_daemon.log, *map(shared_daemon.log_of, range(1, 4))):
                encoded = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
                assert PASSWORD not in text
                assert encoded not in text


def test_an_image_project_is_watched_and_deployed_without_a_repository(
    shared_daemon: Daemon, images: Images, tmp_path: Path
) -> None:
    """A17: one image, its port and its volume; the tag moves, the container follows."""
    tag = "alone:1"
    images.push(tag, version="one")
    port = _free_port()
    with hosted_shop(
        shared_daemon,
        images,
        tmp_path,
    ) as unused:
        name = declare(
            shared_daemon,
            images.engine,
            kind="image",
            image=images.at(tag),
            ports=[f"127.0.0.1:{port}:80"],
            volumes=["data:/data"],
            expose_service=None,
            expose_port=None,
        )
        del unused
    try:
        shop = Shop(shared_daemon, images.engine, images, None, name)  # type: ignore[arg-type]
        _seeded(shop, images.at(tag))
        assert shop.all() == [], "the first tick records and deploys nothing"
        shared_daemon.post(f"projects/{name}/deployments", {})
        shop.deployed(1)
        images.push(tag, version="two")
        shop.look()
        shop.deployed(2)
        (container,) = images.engine.containers(name)
        assert images.engine.docker("exec", container["Id"], "cat", "/version") == "two"
        assert container["HostConfig"]["PortBindings"]["80/tcp"][0]["HostPort"] == str(port)
        assert [mount["Destination"] for mount in container["Mounts"]] == ["/data"]
    finally:
        shared_daemon.delete(f"projects/{name}")
        images.engine.remove_project(name)


@pytest.mark.slow
def test_stateful_services_are_left_alone(shop: Shop, images: Images) -> None:
    """B4: a database is neither pinned nor watched, nor replaced when the app moves."""
    tag, database = f"{shop.name}:1", f"{shop.name}-db:1"
    images.push(tag, version="one")
    images.push(database, version="db one")
    shop.daemon.patch(f"projects/{shop.name}", {"stateful_services": ["db"]})
    shop.deploy_first(shop.compose(images.at(tag), db=images.at(database)))
    _seeded(shop, images.at(tag))
    before = shop.running("db")
    images.push(database, version="db two")
    # Somebody else pushed it: this engine has not heard of it.
    shop.engine.docker("tag", before["Image"], images.at(database))
    shop.look()
    assert len(shop.all()) == 1
    images.push(tag, version="two")
    shop.look()
    shop.deployed(2)
    assert shop.running("db")["Id"] == before["Id"]
    assert not (shop.tree() / ".deploy" / "db.sha").exists()


def test_going_back_needs_neither_registry_nor_git(
    daemon: Daemon, own_images: Images, tmp_path: Path
) -> None:
    """B3: an earlier override is applied as it is: no build, no pull, the network gone."""
    with hosted_shop(daemon, own_images, tmp_path) as shop:
        tag = f"{shop.name}:1"
        own_images.push(tag, version="one")
        first = shop.deploy_first(shop.compose(own_images.at(tag)))
        own_images.push(tag, version="two")
        _ = shop.push(shop.compose(own_images.at(tag) + "\nenvironment: {A: b}"))
        shop.deployed(2)
        own_images.registry.child.end()
        said = daemon.cli("rollback", shop.name, "--wait")
        assert said.status == 0, said
        back = shop.deployed(3)
        assert back["restores"] == first["id"]
        assert shop.engine.docker("exec", shop.running()["Id"], "cat", "/version") == "one"
        # What a person picked stays: the source did not move.
        shop.daemon.post(f"projects/{shop.name}/look")
        assert shop.shown()["live"]["deployment"] == back["id"]


def _free_port() -> int:
    from tests.parts.child import free_port

    return free_port()


class TestConfiguredRegistry:
    """A14: `REGISTRY_ADDR` is probed, and its being away is one registry's trouble."""

    @pytest.mark.slow
    def test_away_at_the_start_and_back_later(
        self, engine: DockerEngine, images: Images, tmp_path: Path
    ) -> None:
        """One warning, git goes on, status says so; once it answers its images are watched."""
        private = Registry()
        with Daemon(env={"REGISTRY_ADDR": private.host}) as daemon:
            warnings = [line for line in daemon.log.splitlines() if private.host in line]
            eventually(
                lambda: f"registry {private.host}" in daemon.log, what="the probe was reported"
            )
            (status,) = (
                one for one in daemon.get("status")["registries"] if one["host"] == private.host
            )
            assert status["reachable"] is False
            assert status["error"]
            with hosted_shop(daemon, images, tmp_path) as shop:
                shop.deploy_first()
                with private:
                    elsewhere = Images(engine, private)
                    first = elsewhere.push("web:1", version="one")
                    shop.push(shop.compose(elsewhere.at("web:1")))
                    shop.deployed(2)
                    assert _seeded(shop, elsewhere.at("web:1")) == first
                    elsewhere.push("web:1", version="two")
                    shop.look()
                    shop.deployed(3)
            warnings = [
                line
                for line in daemon.log.splitlines()
                if f"registry {private.host}" in line and "warning" in line.lower()
            ]
            assert len(warnings) == 1
            assert "answers again" in daemon.log

    @pytest.mark.slow
    def test_its_credentials_come_from_the_environment(
        self, engine: DockerEngine, tmp_path: Path
    ) -> None:
        """A11: `REGISTRY_USER` and `REGISTRY_PASSWORD` are used for that host, by all."""
        with Registry("htpasswd") as registry:
            images = Images(engine, registry)
            config = registry.docker_config(tmp_path / "docker")
            engine.build_image(f"{engine.run_id}/private:1", cmd=POLITE)
            engine.docker("tag", f"{engine.run_id}/private:1", images.at("private:1"))
            engine.docker("--config", config, "push", images.at("private:1"))
            env = {
                "REGISTRY_ADDR": registry.host,
                "REGISTRY_USER": USERNAME,
                "REGISTRY_PASSWORD": PASSWORD,
            }
            with Daemon(env=env) as daemon, hosted_shop(daemon, images, tmp_path) as shop:
                shop.deploy_first(shop.compose(images.at("private:1")))
                assert _seeded(shop, images.at("private:1"))
                assert PASSWORD not in daemon.log
